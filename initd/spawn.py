# SPDX-License-Identifier: MIT
"""Definition → JailSpec → Plan → a running instance, by the jail library in this process.

Plans are kept, so that a respawn costs no more than the launch. Must not wait for anything but the launch itself.
"""

import os
from errno import ESTALE

from initd.identity import digest
from initd.jailspec import SERVICES, make_spec
from initd.pidfile import write_pid
from initd.sharing import Shared, is_shared
from initd.slim import signal
from initd.stdio import Stdio
from jail.errors import ConfigError, SetupError
from jail.launch import launch
from jail.packed import Packed
from jail.spec import SOCKETS, TRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initd.definition import Definition
    from initd.tracing import Tracing
    from jail.cgroup import Group
    from jail.launch import Jail


class Started:
    """An instance that runs.

    pid: our child, for a jail its PID 1, which forwards signals. service_pid: the service.
    stdout_fd, stderr_fd: read ends, non-blocking, or -1. pidfile: of the jail, "" if none was written.
    trace: if the child is the tracer, which will tell the pid of the service. notify_abi: of its program, if
    its denied calls wait for our answers; listener_fd: what they ask, if the launch has taken it, or -1.
    console_fd: the master of its console, or -1.
    """

    __slots__ = (
        "console_fd", "listener_fd", "notify_abi", "pid", "pidfile", "service_pid", "stderr_fd", "stdout_fd",
        "trace", "warnings",
    )  # fmt: skip

    def __init__(self, pid: int, service_pid: int, output: Stdio, warnings: list[str]) -> None:
        self.pid = pid
        self.service_pid = service_pid
        self.stdout_fd, self.stderr_fd = output.read_fds
        self.warnings = warnings
        self.pidfile = ""
        self.trace: Tracing | None = None
        self.notify_abi = ""
        self.console_fd = self.listener_fd = -1


class Plans:
    """The plan of each instance that was started, in the least memory. `ubus_socket` is what jails are shown.

    `limits` are those of an instance that asks for none: where initd has changed its own. `tree` is where groups
    are: instances of another tree may have the same names.
    """

    __slots__ = ("_filters", "_groups", "_kept", "limits", "shared", "tree", "ubus_socket")

    def __init__(
        self,
        ubus_socket: str = SOCKETS["ubus"][0],
        limits: "Mapping[str, str] | None" = None,
        tree: str = SERVICES,
    ) -> None:
        self.tree = tree
        self.ubus_socket = ubus_socket
        self.limits = dict(limits or {})
        self.shared = Shared()
        self._groups: dict[tuple[str, str], Group] = {}
        self._kept: dict[tuple[str, str], tuple[bytes, Packed]] = {}
        self._filters: dict[bytes, bytes] = {}  # of all that are kept, each once

    def find(self, definition: "Definition", mark: bytes | None = None) -> Packed | None:
        """What was planned for the same definition, unless a file that was missing has come.

        `mark` is mark_of() the definition, taken before anything else is read; None takes it now.
        """
        known, packed = self._kept.get(_key(definition), (b"", None))
        if is_shared(definition):
            return None  # who else is there now decides
        if packed is None or known != (mark_of(definition) if mark is None else mark):
            return None
        if not packed.is_current():
            return None
        self._remember_group(definition, packed)
        return packed

    def make(self, definition: "Definition", mark: bytes | None = None) -> Packed:
        """Plan anew. Raises JailError, OSError; then what was kept stays, and is tried before the next one."""
        if mark is None:
            mark = mark_of(definition)
        old_mark, old = self._kept.get(_key(definition), (b"", None))
        spec = make_spec(definition, self.ubus_socket, self.tree)
        spec.limits = {**self.limits, **spec.limits}
        packed = Packed(self.shared.plan(definition, spec), self._filters)
        # the script meant the process that it named; the kernel gives its pid to another one some day
        if old is not None and old_mark == mark and old.joins != packed.joins and not is_shared(definition):
            raise ConfigError("jail setns: a process of that pid is another one by now")
        self._kept[_key(definition)] = (mark, packed)
        self._drop_filters()
        self._remember_group(definition, packed)
        return packed

    def _remember_group(self, definition: "Definition", packed: Packed) -> None:
        """For the end of what is started now; the end before has let go of it."""
        if packed.group:
            self._groups[_key(definition)] = packed.group

    def kill(self, definition: "Definition") -> bool:
        """Kill all processes of the instance at once; False if it has no cgroup, or the kernel cannot."""
        group = self._groups.get(_key(definition))
        return group is not None and group.kill()

    def describe_oom(self, definition: "Definition") -> str:
        """What the kernel has killed in the instance's group for want of memory, "" for nothing."""
        group = self._groups.get(_key(definition))
        return group.describe_oom() if group else ""

    def end(self, definition: "Definition") -> bool:
        """The instance has ended: what it left in its cgroup is killed, and the group removed.

        Returns False while killed processes are still there; call again a moment later.
        """
        group = self._groups.get(_key(definition))
        if group is not None and not group.remove():
            group.kill()
            if not group.remove():
                return False
        self._groups.pop(_key(definition), None)
        return True

    def forget(self, definition: "Definition") -> None:
        """Its instance is gone for good; end() it first."""
        self._kept.pop(_key(definition), None)
        self._drop_filters()

    def _drop_filters(self) -> None:
        """Never more filters than plans: those that no plan has any more go when there are."""
        if len(self._filters) > len(self._kept):
            used = {code for _, packed in self._kept.values() for code in packed.filters}
            self._filters = {code: code for code in self._filters if code in used}


def mark_of(definition: "Definition") -> bytes:
    """What a plan is kept under."""
    return digest(definition.identity())


def spawn(
    definition: "Definition", plans: Plans, identity: tuple[object, ...] | None = None, net_fd: int = -1
) -> Started:
    """Start an instance and return once its program runs. Raises JailError or OSError; then nothing is left.

    `identity` is the definition's, taken a moment ago; None takes it now. `net_fd` is the network that was made
    for it.
    """
    mark = mark_of(definition) if identity is None else digest(identity)
    kept = plans.find(definition, mark)
    packed = kept or plans.make(definition, mark)
    piped = not definition.has_console
    stdio = Stdio(piped and definition.stdout, piped and definition.stderr)
    try:
        if definition.mode == TRACE:
            return _spawn_traced(definition, packed, stdio, net_fd)
        try:
            jail, console_fd = _launch(packed, stdio.service_fds, net_fd, definition.has_console)
        except SetupError as error:
            # files were replaced since the plan was made; if that is not the reason, the next try says so
            if kept is None and not _is_stale(error):
                raise
            packed = plans.make(definition)
            jail, console_fd = _launch(packed, stdio.service_fds, net_fd, definition.has_console)
    except BaseException:
        stdio.close_read_fds()
        raise
    finally:
        stdio.close_service_fds()
    plans.shared.made(definition, packed.namespaces, jail.pid)
    started = Started(jail.pid, jail.service_pid, stdio, list(packed.warnings))
    started.notify_abi, started.listener_fd = packed.notify_abi, jail.listener_fd
    started.console_fd = console_fd
    if definition.jail and definition.jail.pidfile:
        _write_pidfile(definition.jail.pidfile, started)
    return started


def _launch(
    packed: Packed, stdio: tuple[int, int, int], net_fd: int, has_console: bool
) -> "tuple[Jail, int]":
    """The jail, and the master of its console or -1."""
    if not has_console:
        return launch(packed, stdio=stdio, net_fd=net_fd), -1
    from jail.console import Passage

    passage = Passage()
    try:
        jail = launch(packed, stdio=stdio, net_fd=net_fd, console_fd=passage.console_fd)
        try:
            return jail, passage.take()
        except OSError:  # no descriptor is left
            if jail.listener_fd >= 0:
                os.close(jail.listener_fd)
            os.kill(jail.pid, signal.SIGKILL)
            os.waitpid(jail.pid, 0)
            raise
    finally:
        passage.close()


def _spawn_traced(definition: "Definition", packed: Packed, stdio: Stdio, net_fd: int) -> Started:
    """The tracer, which starts it: what fails then is told by its end."""
    from initd.tracing import launch_traced

    pid, trace = launch_traced(definition, packed, stdio.service_fds, net_fd)
    started = Started(pid, pid, stdio, list(packed.warnings))
    if definition.seccomp:
        started.warnings.append(f"{definition.seccomp} is not in force while everything is recorded")
    started.trace = trace
    return started


def _key(definition: "Definition") -> tuple[str, str]:
    return definition.service, definition.instance


def _is_stale(error: SetupError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == ESTALE


def _write_pidfile(path: str, started: Started) -> None:
    """As ujail -P: the service's pid as the host sees it. The instance runs without one if it must."""
    try:
        write_pid(path, started.service_pid)
        started.pidfile = path
    except OSError as error:
        started.warnings.append(f"pidfile {path}: {error.strerror}")
