# SPDX-License-Identifier: MIT
"""Denied calls as lines of JSON in a file: what `ujail -M` and `seccomp_log` ask for.

The file is appended to and bounded. Who may write its directory cannot make us write elsewhere.
"""

import os
from errno import EINVAL, EMLINK
from stat import S_ISREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.denial import Denial

MODE = 0o600  # arguments may be secrets
MAX_BYTES = 1 << 20


class EventLog:
    """Once the file is full, or cannot be written, `lost` counts what would have been in it."""

    __slots__ = ("_fd", "lost", "path")

    def __init__(self, path: str) -> None:
        """Open or make it. Raises OSError with its name."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        self.path = path
        self.lost = 0
        self._fd = os.open(path, flags | os.O_CLOEXEC, MODE)
        info = os.fstat(self._fd)
        if not S_ISREG(info.st_mode) or info.st_nlink > 1:
            self.close()
            number = EMLINK if S_ISREG(info.st_mode) else EINVAL
            raise OSError(number, os.strerror(number), path)

    def write(self, denial: "Denial") -> None:
        """Add one line, if there is room."""
        from jail.slimjson import dumps

        line = dumps(denial.fields()).encode() + b"\n"
        try:
            if os.fstat(self._fd).st_size + len(line) <= MAX_BYTES and os.write(self._fd, line) == len(line):
                return
        except OSError:
            pass  # a full disk, say
        self.lost += 1

    def close(self) -> None:
        os.close(self._fd)
