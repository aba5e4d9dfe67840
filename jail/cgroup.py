# SPDX-License-Identifier: MIT
"""A version 2 control group for one instance: found in a plan, made at launch, killed and removed afterwards.

The kernel reads the values, so `16M` and `max` are what it takes them for. Only groups that somebody asked for
are made: joining one can cost milliseconds, which a service without limits need not pay.
"""

import _signal  # the C half of `signal`, without enum
import os
from errno import EBUSY, ENODEV, ENOENT

from jail import procfs
from jail.errors import ConfigError, SetupError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.spec import JailSpec

READ_MAX = 4096  # of a file of a group
USUAL = ("cpu", "io", "memory", "pids")
ATTEMPTS = 5  # to make one below a directory that the ends of other jails take away
END_S = 5.0  # after which a process that was killed is one that the kernel holds
# of the files that every group has these are limits; the others would move or kill processes
OWN_LIMITS = ("cgroup.max.depth", "cgroup.max.descendants")


class Group:
    """`root` is where the hierarchy is mounted, `name` the path below it, `files` what is written into which.

    `vrf` is the device that its sockets are bound to, "" for none. `is_ours`: nobody else starts anything in it, so
    what is in it already was left behind by a start of ours.
    """

    __slots__ = ("files", "is_ours", "name", "root", "vrf")

    def __init__(
        self, root: str, name: str, files: dict[str, str], is_ours: bool = True, vrf: str = ""
    ) -> None:
        self.root = root
        self.name = name
        self.files = files
        self.is_ours = is_ours
        self.vrf = vrf

    @property
    def path(self) -> str:
        return f"{self.root}/{self.name}"

    def describe(self) -> str:
        words = [f"{file} {value}" for file, value in self.files.items()]
        return ", ".join([*words, f"vrf {self.vrf}"] if self.vrf else words)

    def make(self) -> bool:
        """Make the group with its limits, nothing alive in it. Raises SetupError; then there is none of it.

        Returns False if it is the old one, for killed processes are still on their way out of it.
        """
        for attempt in range(ATTEMPTS):
            made: list[str] = []
            try:
                self._make(made)
            except SetupError as error:
                for path in reversed(made):
                    _try_remove(path)
                cause = error.__cause__
                is_gone = isinstance(cause, OSError) and cause.errno in (ENOENT, ENODEV)
                if not is_gone or attempt == ATTEMPTS - 1:
                    raise
            else:
                break
        return self.path in made

    def _make(self, made: list[str]) -> None:
        names = self.name.split("/")
        wanted = sorted({_controller(file) for file in self.files} - {"cgroup"})
        above = self.root
        for name in names:
            for controller in wanted:
                _write(f"{above}/cgroup.subtree_control", f"+{controller}")
            above += f"/{name}"
            if above == self.path and not self._clear():
                continue
            try:
                os.mkdir(above, 0o755)
            except FileExistsError:
                continue
            except OSError as error:
                raise SetupError(f"make cgroup {above}", error) from error
            made.append(above)
        for file, value in self.files.items():
            _write(f"{above}/{file}", value)
        if self.vrf:
            from jail.vrf import bind

            bind(self.path, self.vrf)

    def _clear(self) -> bool:
        """Remove what an earlier run left: processes, and limits that nobody asks for any more.

        False if killed processes are still on their way out of it: then the group is used again. Raises
        SetupError where they may be somebody else's.
        """
        try:
            os.rmdir(self.path)
        except OSError as error:
            if error.errno == EBUSY and not self.is_ours:
                raise SetupError(f"make cgroup {self.path} (another jail has this name)", error) from error
            if error.errno == EBUSY:
                self.kill()
            return error.errno != EBUSY
        return True

    def kill(self) -> bool:
        """Kill all that is in it; False where there is no group."""
        try:
            fd = os.open(f"{self.path}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return self.kill_each()
        try:
            return os.write(fd, b"1") == 1
        finally:
            os.close(fd)

    def kill_each(self) -> bool:
        """The same for kernels before 5.14, one by one; what they start meanwhile is for the next call."""
        try:
            with open(f"{self.path}/cgroup.procs", encoding="ascii") as file:
                pids = [int(line) for line in file]
        except OSError:
            return False
        for pid in pids:
            self._kill_member(pid)
        return True

    def _kill_member(self, pid: int) -> None:
        """The pid may be another's by now: a descriptor holds the process while its group is looked at."""
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if procfs.group(pid).endswith(f"/{self.name}"):
                _signal.pidfd_send_signal(fd, _signal.SIGKILL)
        except OSError:
            return  # it has ended
        finally:
            os.close(fd)

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory, in it and below."""
        try:
            events = _read(f"{self.path}/memory.events")
        except OSError:
            return 0  # no memory controller, or no group
        found = [line.split() for line in events.splitlines()]
        return sum(int(words[1]) for words in found if words[0] == "oom_kill")

    def describe_oom(self) -> str:
        """What is to be said of them, "" for nothing."""
        kills = self.oom_kills()
        if not kills:
            return ""
        try:
            limit = _read(f"{self.path}/memory.max").strip()
        except OSError:
            limit = "?"
        return f"out of memory: the kernel killed {kills} of its processes, memory.max is {limit}"

    def remove(self) -> bool:
        """Remove it and the directories above that are empty then. False if something is in it still."""
        try:
            os.rmdir(self.path)
        except OSError as error:
            return error.errno == ENOENT
        above = self.name.rpartition("/")[0]
        while above:
            try:
                os.rmdir(f"{self.root}/{above}")
            except OSError:
                break  # others are in it
            above = above.rpartition("/")[0]
        return True


def _try_remove(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # somebody has come into it


def find_group(name: str, files: dict[str, str], is_ours: bool = True, vrf: str = "") -> Group:
    """The group to be made. Raises ConfigError where this system cannot hold these limits."""
    root = hierarchy()
    asked = ", ".join([*files, f"vrf {vrf}"] if vrf else files)
    if not root:
        raise ConfigError(f"cgroup: {asked} cannot be set: no version 2 hierarchy is mounted")
    present = _read(f"{root}/cgroup.controllers").split()
    for file in files:
        controller = _controller(file)
        if controller != "cgroup" and controller not in present:
            raise ConfigError(
                f"cgroup: {file} cannot be set: {root} has no controller {controller[:40]}"
                f" (it has {', '.join(present) or 'none'}); perhaps version 1 holds it"
            )
    return Group(root, name, dict(files), is_ours, vrf)


def describe_missing() -> str:
    """What a system without all of version 2 is told once, "" for nothing."""
    try:
        root = hierarchy()
        present = _read(f"{root}/cgroup.controllers").split() if root else []
    except OSError:
        return ""  # no /proc yet
    missing = [name for name in USUAL if name not in present]
    if not missing:
        return ""
    return f"cgroup: version 2 has no controller {', '.join(missing)}: a service with such a limit will not start"


def hierarchy() -> str:
    """Where version 2 is mounted, "" if it is nowhere."""
    with procfs.open_mounts() as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                return procfs.unescape(before.split(" ")[4])
    return ""


def is_limit(file: str) -> bool:
    """Whether a name can be a file of a group that holds a limit."""
    controller = _controller(file)
    return (
        "/" not in file
        and bool(controller)
        and file.isprintable()
        and len(file) > len(controller) + 1
        and (controller != "cgroup" or file in OWN_LIMITS)
    )


def _controller(file: str) -> str:
    return file.partition(".")[0]


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, READ_MAX).decode()
    finally:
        os.close(fd)


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)
    except OSError as error:
        hint = " (processes are in a group above)" if error.errno == EBUSY else ""
        raise SetupError(f'write "{text[:40]}" to {path}{hint}', error) from error


def end_group(path: str) -> str:
    """Kill what is left in a group and remove it; returns what is to be said of it, "" for nothing.

    For `ujail`, when its jail has ended.
    """
    from time import monotonic, sleep

    root = hierarchy()
    group = Group(root, path.removeprefix(f"{root}/"), {})
    said = group.describe_oom()
    deadline = monotonic() + END_S
    while not group.remove():
        group.kill()
        if monotonic() > deadline:
            return f"{said}{'; ' if said else ''}{path}: there are processes in it that do not end"
        sleep(0.002)
    return said


def check_limits(spec: "JailSpec") -> None:
    """The group's name, its limits and its device. Raises UsageError."""
    if spec.vrf:
        from jail.vrf import check

        check(spec)
    if not spec.cgroup or {"", ".", ".."} & set(spec.cgroup.split("/")):
        raise UsageError(f"bad cgroup {spec.cgroup!r}")
    for file, value in spec.cgroup_files.items():
        if not is_limit(file):
            raise UsageError(f"cgroup: {file[:40]!r} is no limit of a group")
        if "\0" in value or not value:
            raise UsageError(f"cgroup: {file}: no value")
