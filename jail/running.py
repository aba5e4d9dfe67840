# SPDX-License-Identifier: MIT
"""Which jails run, by the name that each was started under. Only reads /proc, as root.

PID 1 of a jail is ujail-init, and its command line says the name and what holds the service. Nobody in the jail can
write that: the stub's memory is closed to them, and a copy of it that they start is no PID 1 one level below us. Any
user can start one that is, in a user namespace of their own: jails of other users are not looked at.
"""

import os
import sys

from jail import procfs
from jail._native import lib
from jail.capabilities import CapabilitySets
from jail.errors import ConfigError
from jail.ids import Identity
from jail.privilege import BIND, CONNECT, FILES, STUB, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STUB_WORDS = 6  # ujail-init init GRACE NAME DOOR [RULE...] PID


class Running:
    """A jail: `pid` of its PID 1, `service_pid`, and the `door` and `rules` that hold that (see privilege.py)."""

    __slots__ = ("door", "name", "parent", "pid", "rules", "service_pid", "started")

    def __init__(
        self, pid: int, started: int, name: str, door: str, rules: list[str], inner_pid: str
    ) -> None:
        self.pid = pid
        self.started = started
        self.name = name
        self.door = door
        self.rules = rules
        self.parent = procfs.parent(pid)
        self.service_pid = _child(pid, inner_pid)

    @property
    def root(self) -> str:
        """The jail's root as we can reach it."""
        return f"/proc/{self.pid}/root"

    def held(self) -> str:
        """What holds its service, in words: the door, and rules for ports."""
        ports = [f"{kind} {word}" for kind in (BIND, CONNECT) for word in self.ruled(kind)]
        return "; ".join([self.door, *ports])

    def ruled(self, kind: str) -> list[str]:
        """What the rules of one kind name."""
        return [text for word, _, text in (rule.partition(" ") for rule in self.rules) if word == kind]

    def places(self) -> list[str] | None:
        """What Landlock lets the service write; None if it has no such rules."""
        return self.ruled(WRITE) if FILES in self.rules else None

    def namespaces(self) -> list[str]:
        """Those which are not our own, in the order in which they can be joined."""
        kinds = ("net", "ipc", "uts", "cgroup", "pid", "mnt", "user")
        return [kind for kind in kinds if _namespace(self.pid, kind) != _namespace(os.getpid(), kind)]

    def privilege(self) -> tuple[Identity, CapabilitySets]:
        """Who the service is now, and what it may: a program that is entered gets no more."""
        status = procfs.status(self.service_pid)
        if int(status["PPid"]) != self.pid:
            raise ConfigError(f"jail {self.name}: its service has ended")  # and the pid is another process's
        # looked at last: who has left it never comes back. In its own a process has all capabilities
        if _namespace(self.service_pid, "user") != _namespace(self.pid, "user"):
            raise ConfigError(
                f"jail {self.name}: its service is in a user namespace of its own making,"
                " and what it may there says nothing of what it may here"
            )
        uids, gids = self._map("uid"), self._map("gid")
        uid, gid = uids(int(status["Uid"].split()[1])), gids(int(status["Gid"].split()[1]))
        if uid is None or gid is None:
            raise ConfigError(f"jail {self.name}: the ids of its service are not in its user namespace")
        groups = [gids(int(word)) for word in status["Groups"].split()]
        known = tuple(group for group in groups if group is not None) or (gid,)
        bounding, permitted = int(status["CapBnd"], 16), int(status["CapPrm"], 16)
        identity = Identity(uid, gid, known if self._may_set_groups() else (), "")
        if uid == 0 and permitted == bounding:
            return identity, CapabilitySets(bounding, permitted, 0, permitted)
        # whatever its uid, exec is to leave it these and give it no others
        return identity, CapabilitySets(bounding, permitted, permitted, permitted, permitted, keep=True)

    def _map(self, kind: str) -> "Callable[[int], int | None]":
        """From ids as we see them to those in the jail's user namespace, None for one that is not there."""
        with open(f"/proc/{self.pid}/{kind}_map", encoding="ascii") as file:
            rows = [tuple(int(word) for word in line.split()) for line in file]

        def inside(outside: int) -> int | None:
            for first, start, count in rows:
                if start <= outside < start + count:
                    return first + outside - start
            return None

        return inside

    def _may_set_groups(self) -> bool:
        with open(f"/proc/{self.pid}/setgroups", encoding="ascii") as file:
            return file.read().strip() == "allow"

    def limits(self) -> dict[str, str]:
        """The resource limits of the service, as words."""
        from jail.limits import NUMBERS

        # a line for each by its number, in columns; prlimit(2) would need a capability that root may not have
        with open(f"/proc/{self.service_pid}/limits", encoding="ascii") as file:
            rows = [line[26:67].split() for line in file][1:]
        return {name: " ".join(rows[number]) for name, number in NUMBERS.items()}

    def group(self) -> str:
        """The service's control group of version 2, "" for the root's or none."""
        return procfs.group(self.service_pid).removeprefix("/")

    def nice(self) -> int:
        return os.getpriority(os.PRIO_PROCESS, self.service_pid)

    def ioprio(self) -> str:
        """As words, "" for what follows from the nice value."""
        from jail._native import ffi
        from jail.processargs import show_ioprio

        level = ffi.new("int *")
        return show_ioprio(lib.read_ioprio(self.service_pid, level), level[0])

    def oom_score_adj(self) -> str:
        with open(f"/proc/{self.service_pid}/oom_score_adj", encoding="ascii") as file:
            return file.read().strip()

    def umask(self) -> int:
        return int(procfs.status(self.service_pid).get("Umask", "0022"), 8)


def find_jail(name: str, parent: int = 0) -> Running | None:
    """The running jail of this name, or with this PID 1 or service; only of `parent` if that is given.

    Raises ConfigError if there are two.
    """
    found = [jail for jail in all_jails() if _is_meant(jail, name) and parent in (0, jail.parent)]
    if len(found) > 1:
        pids = ", ".join(str(jail.pid) for jail in found)
        raise ConfigError(f"jail {name}: several have this name, with the pids {pids}")
    return found[0] if found else None


def require_jail(name: str) -> Running:
    """The same. Raises ConfigError if there is none, naming those that run."""
    jail = find_jail(name)
    if jail is None:
        others = sorted({each.name for each in all_jails()})
        raise ConfigError(
            f"jail {name}: none that runs has this name; there are {', '.join(others) or 'none'}"
        )
    return jail


def _is_meant(jail: Running, name: str) -> bool:
    return jail.name == name or (name.isdigit() and int(name) in (jail.pid, jail.service_pid))


def all_jails() -> list[Running]:
    """Those with a PID namespace of their own; jails inside of jails are not ours."""
    found = [jail_at(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()]
    return [jail for jail in found if jail is not None]


def jail_at(pid: int) -> Running | None:
    """The jail whose PID 1 a process is; None if it is none, has ended, or its service does not run yet."""
    try:
        # first: should the pid be another process's before all is looked at, the launcher sees it by this
        started = procfs.started(pid)
        if not os.path.samestat(os.stat(f"/proc/{pid}/exe"), os.stat(STUB)):
            return None
        words = _words(pid)
        levels = procfs.status(pid)["NSpid"].split()
        if len(words) >= STUB_WORDS and words[1] == "init" and levels[1:] == ["1"] and _is_ours(pid):
            jail = Running(pid, started, words[3], words[4], words[5:-1], words[-1])
            # until its exec it still has the launcher's privileges, which nobody who enters may get
            return jail if procfs.has_executed(jail.service_pid) else None
    except (OSError, StopIteration):
        return None
    return None


def _words(pid: int) -> list[str]:
    """Its command line."""
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
        return file.read().split("\0")[:-1]


def _is_ours(pid: int) -> bool:
    """Whether a process is in our user namespace, or in one that we have made."""
    if _namespace(pid, "user") == _namespace(os.getpid(), "user"):
        return True
    import fcntl

    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        owner = fcntl.ioctl(fd, lib.NS_GET_OWNER_UID, bytes(4))
    finally:
        os.close(fd)
    return int.from_bytes(owner, sys.byteorder) == os.geteuid()


def _child(pid: int, inner_pid: str) -> int:
    """The process that PID 1 knows under a number. Raises StopIteration.

    One in a PID namespace below has more numbers, and the last of those is no word about this one.
    """
    return next(child for child in _children(pid) if _is_numbered(child, inner_pid))


def _is_numbered(child: int, inner_pid: str) -> bool:
    try:
        return procfs.status(child)["NSpid"].split()[1] == inner_pid
    except OSError:
        return False  # an orphan that PID 1 has reaped meanwhile


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:  # a kernel without this file
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _parent(entry) == pid]


def _parent(entry: str) -> int:
    try:
        return procfs.parent(int(entry))
    except OSError:
        return 0


def _namespace(pid: int, kind: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except FileNotFoundError:
        if os.path.lexists(f"/proc/self/ns/{kind}"):
            raise  # it has ended
        return ""  # not in this kernel
