# SPDX-License-Identifier: MIT
"""`PID:net,ipc` → namespaces of another process to join. Only reads /proc.

A pid may be another process by the time of the launch: the time at which it began goes along, and the launcher
compares.
"""

from jail._native import lib
from jail.errors import ConfigError, UsageError

PID_MAX = 1 << 22  # the kernel's own limit
# name → what clone would make anew, and what stands below /proc/PID/ns
KINDS = {
    "net": (lib.CLONE_NEWNET, "net"),
    "network": (lib.CLONE_NEWNET, "net"),
    "ipc": (lib.CLONE_NEWIPC, "ipc"),
    "uts": (lib.CLONE_NEWUTS, "uts"),
    "cgroup": (lib.CLONE_NEWCGROUP, "cgroup"),
}
REFUSED = {
    "mount": "a jail's files are in a mount namespace of its own",
    "pid": "PID 1 of a jail is its own stub",
    "user": "the ids of a jail are set in the namespace that it is started from",
    "time": "it would hold for the service's children only",
}


class Join:
    """The namespaces of one process: `flags` as clone names them, `files` below /proc/PID/ns."""

    __slots__ = ("files", "flags", "pid")

    def __init__(self, pid: int, names: list[str]) -> None:
        """Raises UsageError for what is no pid or no namespace that can be joined."""
        if not 1 <= pid <= PID_MAX:
            raise UsageError(f"join: {pid} is no pid")
        if not names:
            raise UsageError(f"join: which namespaces of process {pid}?")
        self.pid = pid
        self.flags = 0
        self.files: list[str] = []
        for name in names:
            flag, file = _kind(name)
            if self.flags & flag:
                raise UsageError(f"join: {name} is there twice")
            self.flags |= flag
            self.files.append(file)

    def started(self) -> int:
        """When the process began, in ticks since the boot. Raises ConfigError if there is none."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return int(file.read().rpartition(b")")[2].split()[19])
        except OSError as error:
            raise ConfigError(f"join: process {self.pid}: {error.strerror}") from error


def parse(text: str) -> tuple[int, list[str]]:
    """Read `PID:ns[,ns]…`. Raises UsageError if the pid is no number."""
    pid, _, names = text.partition(":")
    if not (pid.isascii() and pid.isdigit()) or len(pid) > 9:
        raise UsageError(f"join: {text[:40]!r} is not PID:NAMESPACE[,NAMESPACE]")
    return int(pid), [name for name in names.split(",") if name]


def make_joins(asked: list[tuple[int, list[str]]], hostname: str, netns: bool = False) -> list[Join]:
    """All that is to be joined; of each kind one, and none that is to be the jail's own. Raises UsageError."""
    joins = [Join(pid, names) for pid, names in asked]
    seen = 0
    for join in joins:
        if seen & join.flags:
            raise UsageError("join: one kind of namespace of two processes")
        seen |= join.flags
    if hostname and seen & lib.CLONE_NEWUTS:
        raise UsageError("join: a host name would be set for the joined uts namespace too")
    if netns and seen & lib.CLONE_NEWNET:
        raise UsageError("join: a network namespace cannot be joined and the jail's own")
    return joins


def _kind(name: str) -> tuple[int, str]:
    if name in REFUSED:
        raise UsageError(f"join: {name} cannot be joined: {REFUSED[name]}")
    if name not in KINDS:
        from jail.near import did_you_mean

        raise UsageError(f'join: unknown namespace "{name[:40]}"{did_you_mean(name, [*KINDS, *REFUSED])}')
    return KINDS[name]
