# SPDX-License-Identifier: MIT
"""A run of utrace for the tests: its status, what it said and the policy that it wrote."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jails import Host
    from result import Result

DYNAMIC = ("glibc", "musl")
STATIC = ("static-glibc", "static-musl")


class Traced:
    """`first` is what the policy says of the program that was started."""

    def __init__(self, result: "Result", file: Path) -> None:
        self.status = result.status
        self.err = result.err
        self.policy: dict[str, Any] = json.loads(file.read_text())
        self.counts: dict[str, int] = self.policy["counts"]
        self.first: dict[str, Any] = next(iter(self.policy.get("programs", {"": {}}).values()))


def trace(host: "Host", file: Path, *command: object, options: tuple[object, ...] = ()) -> Traced:
    return Traced(host.run(host.utrace, "-f", file, *options, "--", *command), file)
