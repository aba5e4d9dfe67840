# SPDX-License-Identifier: MIT
"""One process of an instance from its start to its end, with what exists only as long.

That is its log pipes, its pidfile, and a cgroup if it has limits of one: the end of the process is told only
when all else in the group was killed and is gone, so that nothing of it meets its successor.
"""

import os
from errno import ESRCH

from initd.pidfile import remove_pid, write_pid
from initd.slim import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.definition import Definition
    from initd.host import Host, Lines, Started
    from initd.jailconsole import JailConsole
    from initd.listening import Listening
    from initd.loop import Loop
    from initd.netifd import Handed
    from jail.netmaker import Made

GROUP_RETRY_S = 0.02
GROUP_PATIENCE_S = 10.0  # then the kernel holds a process that cannot be killed, and we go on


class Process:
    """It runs until `on_end(status)`, a wait status; when it `is_over` before, only its group is waited for.

    `identity` is what it was started with, or adopted since.
    """

    __slots__ = (
        "_definition",
        "_ended_s",
        "_handed",
        "_host",
        "_listening",
        "_name",
        "_network",
        "_on_end",
        "_outputs",
        "_pidfiles",
        "began_s",
        "console",
        "identity",
        "is_over",
        "oom",
        "pid",
        "service_pid",
        "trace",
        "warnings",
    )

    def __init__(
        self,
        host: "Host",
        definition: "Definition",
        identity: tuple[object, ...],
        on_end: "Callable[[int], None]",
        network: "Made | None" = None,
    ) -> None:
        """Start it, in a network that was made for it. Raises JailError, OSError; then there is none of both."""
        self._host = host
        self._definition = definition  # the one it was started with
        self.is_over = False
        self.oom = ""  # what the kernel killed in it for want of memory, once it is over
        self._ended_s = 0.0
        self._name = definition.full_name
        self._on_end = on_end
        self._outputs: list[Lines] = []
        self._pidfiles: list[str] = []
        self._listening: Listening | None = None
        self.console: JailConsole | None = None
        self.identity, self.began_s = identity, host.loop.now()
        self._network = network
        self._handed: Handed | None = None
        try:
            started = host.spawn(definition, identity, network.fd if network else -1)
        except BaseException:
            self._leave_network()
            raise
        self.pid, self.service_pid = started.pid, started.service_pid
        self.warnings, self.trace = started.warnings, started.trace
        try:
            host.children.watch(started.pid, self._ended)
            self._take(definition, started)
        except BaseException:
            # who asked is told that there is none: one that ran on would have nobody, and a second beside it
            self._on_end = lambda status: None
            if self._listening is None and started.listener_fd >= 0:
                os.close(started.listener_fd)
            self.kill_all()
            raise

    def _take(self, definition: "Definition", started: "Started") -> None:
        """What belongs to a process that runs."""
        if started.console_fd >= 0:
            self.console = _console(self._host.loop, started.console_fd)
        for text in started.warnings:
            self._host.log.warning(f"{self._name}: {text}")
        if self._network is not None:
            self._network.let_go()  # the jail is in it
        if self.trace is None:
            self._handed = self._host.hand_network(definition, started.pid)
        self._open_outputs(definition, started)
        if self.trace is not None:
            self.trace.follow(self._host.loop, self._host.log, self._name, self._found_service)
        if started.notify_abi:
            from initd.listening import Listening

            host = self._host
            self._listening = Listening(
                host.loop,
                host.log,
                definition,
                self.service_pid,
                started.notify_abi,
                host.denials.note,
                self.kill_all,
                started.listener_fd,
            )
        if definition.pidfile:
            self._write_pidfile(definition.pidfile, self.pid)
        if started.pidfile:
            self._pidfiles.append(started.pidfile)

    def _found_service(self, pid: int) -> None:
        """The tracer has started it."""
        self.service_pid = pid
        if self._definition.jail is not None and self._definition.jail.pidfile:
            self._write_pidfile(self._definition.jail.pidfile, pid)

    def _leave_network(self) -> None:
        """What was moved into it goes back, the rest goes."""
        if self._network is not None:
            self._network.close()

    def kill(self, number: int) -> None:
        """Send a signal. Only initd reaps, so until `on_end` the pid is no other process's. Raises OSError."""
        if self.is_over:
            raise ProcessLookupError(ESRCH, "has ended")
        self._host.kill(self.pid, number)

    def kill_all(self) -> None:
        """KILL, to all of the group if there is one; to the tracer last, for it has a file to write."""
        try:
            self._host.kill_group(self._definition)
        except OSError as error:
            self._warn("kill the cgroup", error)
        if self.trace is not None:
            self.trace.end(self._host.loop, self.try_kill)
        else:
            self.try_kill(signal.SIGKILL)

    def try_kill(self, number: int) -> None:
        """Send a signal; a kernel that refuses is worth a line."""
        try:
            self.kill(number)
        except OSError as error:
            if error.errno != ESRCH:
                self._warn(f"signal {number}", error)

    def _open_outputs(self, definition: "Definition", started: "Started") -> None:
        for fd, is_error in ((started.stdout_fd, False), (started.stderr_fd, True)):
            if fd < 0:
                continue
            try:
                self._outputs.append(self._host.output(fd, definition, started.service_pid, is_error))
            except OSError as error:  # the service runs, only its words are lost
                os.close(fd)
                self._warn("output", error)

    def _write_pidfile(self, path: str, pid: int) -> None:
        try:
            write_pid(path, pid)
            self._pidfiles.append(path)
        except OSError as error:
            self._warn(f"pidfile {path}", error)

    def _ended(self, status: int) -> None:
        self.is_over, self._ended_s = True, self._host.loop.now()
        self._leave_network()
        if self._handed is not None:
            self._handed.take_back()
        for output in self._outputs:
            output.close()
        if self.console is not None:
            self.console.close()
        if self.trace is not None:
            self.trace.close()
        if self._listening is not None:
            self._listening.close()
            self._listening = None  # it would hold us, and we it
        for path in self._pidfiles:
            try:
                remove_pid(path)
            except OSError as error:
                self._warn(f"pidfile {path}", error)
        if oom := self.describe_oom():
            self.oom = oom
            self._host.log.error(f"{self._name}: {oom}")
        self._end_group(status)

    def describe_oom(self) -> str:
        """What the kernel has killed of it for want of memory up to now, "" for nothing."""
        return self.oom if self.is_over and self.oom else self._host.describe_oom(self._definition)

    def _end_group(self, status: int) -> None:
        if not self._is_group_gone():
            if self._host.loop.now() - self._ended_s < GROUP_PATIENCE_S:
                self._host.loop.after(GROUP_RETRY_S, lambda: self._end_group(status))
                return
            self._host.log.error(f"{self._name}: there are processes in its cgroup that do not end")
        self._on_end(status)

    def _is_group_gone(self) -> bool:
        try:
            return self._host.end_group(self._definition)
        except OSError as error:
            self._warn("remove the cgroup", error)
            return True

    def _warn(self, what: str, error: OSError) -> None:
        self._host.log.warning(f"{self._name}: {what}: {error.strerror}")


def _console(loop: "Loop", fd: int) -> "JailConsole":
    from initd.jailconsole import JailConsole

    try:
        return JailConsole(loop, fd)
    except BaseException:
        os.close(fd)
        raise
