# SPDX-License-Identifier: MIT
"""What a run of the probe said and how it ended."""

import errno
import re


class Result:
    """What a run of the probe printed and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"status {self.status}\n{self.out}{self.err}"

    def all(self, name: str) -> list[str]:
        """The values of all lines with this name."""
        return [
            value for key, _, value in (line.partition(" ") for line in self.out.splitlines()) if key == name
        ]

    def __getitem__(self, name: str) -> str:
        """The value of the one line with this name; of a failed try, the error's name."""
        values = self.all(name)
        assert len(values) == 1, f"{len(values)} lines {name!r} in {self!r}"
        return self.each(name)[0]

    def each(self, name: str) -> list[str]:
        """The same of all lines with this name."""
        return [
            errno.errorcode[int(value.split()[1])] if value.startswith("errno ") else value
            for value in self.all(name)
        ]

    def tries(self) -> dict[str, str]:
        """Each try and its result."""
        found = {}
        for line in self.out.splitlines():
            match = re.fullmatch(r"(\S+) (?:ok|errno (\d+))", line)
            if match:
                found[match[1]] = errno.errorcode[int(match[2])] if match[2] else "ok"
        return found
