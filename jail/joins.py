# SPDX-License-Identifier: MIT
"""`PID:net,ipc`, `NAME:net` → namespaces of another process, or of a running jail, to join. Only reads /proc.

A pid may be another process by the time of the launch: the time at which it began goes along, and the launcher
compares.
"""

from jail import procfs
from jail._native import lib
from jail.errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.plan import Plan
    from jail.spec import JailSpec

PID_MAX = 1 << 22  # the kernel's own limit
PID_DIGITS = 10  # as many are no pid
# name → what clone would make anew, and what stands below /proc/PID/ns
KINDS = {
    "net": (lib.CLONE_NEWNET, "net"),
    "network": (lib.CLONE_NEWNET, "net"),
    "ipc": (lib.CLONE_NEWIPC, "ipc"),
    "uts": (lib.CLONE_NEWUTS, "uts"),
    "cgroup": (lib.CLONE_NEWCGROUP, "cgroup"),
}
REFUSED = {
    "mount": "a jail's files are in a mount namespace of its own (one that is shared has all of another's)",
    "pid": "PID 1 of a jail is its own stub (one that is shared has all of another's)",
    "user": "the ids of a jail are set in the namespace that it is started from",
    "time": "it would hold for the service's children only",
}


class Join:
    """The namespaces of one process: `flags` as clone names them, `files` below /proc/PID/ns.

    `pid` is 0 for a jail until find() has found it.
    """

    __slots__ = ("_started", "files", "flags", "name", "pid")

    def __init__(self, target: int | str, names: list[str]) -> None:
        """Raises UsageError for what is no pid, no name, or no namespace that can be joined."""
        if isinstance(target, int) and not 1 <= target <= PID_MAX:
            raise UsageError(f"join: {target} is no pid")
        if not target:
            raise UsageError("join: no name of a jail")
        if not names:
            raise UsageError(f"join: which namespaces of {target}?")
        self.pid = target if isinstance(target, int) else 0
        self.name = "" if isinstance(target, int) else target
        self._started = 0
        self.flags = 0
        self.files: list[str] = []
        for name in names:
            flag, file = _kind(name)
            if self.flags & flag:
                raise UsageError(f"join: {name} is there twice")
            self.flags |= flag
            self.files.append(file)

    def find(self) -> None:
        """Look for the jail. Raises ConfigError if there is none, or one that has no such namespace of its own."""
        if not self.name:
            return
        from jail.running import require_jail

        jail = require_jail(self.name)
        shared = [file for file in self.files if file not in jail.namespaces()]
        if shared:
            raise ConfigError(f"join: jail {self.name} has no {shared[0]} namespace of its own")
        self.pid, self._started = jail.pid, jail.started

    def started(self) -> int:
        """When the process began, in ticks since the boot. Raises ConfigError if there is none."""
        if self._started:
            return self._started  # as it was found: its pid may be another's by now
        try:
            return procfs.started(self.pid)
        except OSError as error:
            raise ConfigError(f"join: process {self.pid}: {error.strerror}") from error


def parse(text: str) -> tuple[int | str, list[str]]:
    """Read `PID:ns[,ns]…` or `NAME:ns[,ns]…`."""
    target, _, names = text.rpartition(":") if ":" in text else (text, "", "")
    is_pid = target.isascii() and target.isdigit() and len(target) < PID_DIGITS
    return int(target) if is_pid else target, [name for name in names.split(",") if name]


def make_joins(asked: list[tuple[int | str, list[str]]], hostname: str, netns: bool = False) -> list[Join]:
    """All that is to be joined; of each kind one, and none that is to be the jail's own. Raises UsageError."""
    joins = [Join(target, names) for target, names in asked]
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


def join(plan: "Plan", spec: "JailSpec") -> int:
    """Namespaces of others, before all that is ours. Returns their kinds, as clone names them."""
    from jail import raresteps

    joined = 0
    for each in make_joins(spec.joins, spec.hostname, spec.netns or spec.is_network_made()):
        each.find()
        started = each.started()
        if not each.name:
            plan.joins.append((each.pid, started))
        plan.steps.append(raresteps.setns(each.pid, started, each.files))
        joined |= each.flags
    return joined
