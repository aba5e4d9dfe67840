# SPDX-License-Identifier: MIT
"""What /proc says of a process, and how it writes mounts: one reader of each file, for ujail, jailctl and initd.

Not on the path of a plain start. initd reads these while it runs: must not import more than it has. A process that is
gone is an OSError; who may meet one says what that means.
"""

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

MOUNTINFO = "/proc/self/mountinfo"
# of the fields of /proc/PID/stat behind the name, which may have anything in it
PARENT, FLAGS, STARTED = 1, 6, 19


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status, values without blanks around them."""
    # newline: a name may have a carriage return in it, which ends no line
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace", newline="\n") as file:
        pairs = [line.partition(":") for line in file]
    return {name: value.strip() for name, _, value in pairs}


def behind_name(stat: bytes) -> list[bytes]:
    """The fields of /proc/PID/stat that follow the name."""
    return stat.rpartition(b")")[2].split()


def _stat(pid: "int | str") -> list[bytes]:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return behind_name(file.read())


def parent(pid: int) -> int:
    """0 where the kernel is just removing the process."""
    return int(_stat(pid)[PARENT])


def started(pid: "int | str") -> int:
    """When a process began, in ticks since the boot; exec does not change it."""
    return int(_stat(pid)[STARTED])


def has_executed(pid: int) -> bool:
    """Whether a process runs a program of its own; False from its fork or clone to its exec."""
    return not int(_stat(pid)[FLAGS]) & lib.TASK_NOT_EXECUTED


def group(pid: int) -> str:
    """Its path in the version 2 hierarchy of control groups, "" where it has none."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "")


def open_mounts() -> "TextIO":
    """The mounts that we see, a line each. A carriage return in a path is no end of one: who may mount somewhere
    (with fusermount, say) could else write lines of others.
    """
    return open(MOUNTINFO, encoding="utf-8", errors="surrogateescape", newline="\n")


def unescape(field: str) -> str:
    """A path of mountinfo: what would end a field or a line is in octal there."""
    for escape, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, letter)
    return field
