# SPDX-License-Identifier: MIT
"""Commands that events ask for: one at a time, the same one not twice, and none for ever.

A command waits for its delay and then for its turn. Asked for again while it waits, it stays one; while it
runs, it will run once more. After PATIENCE_S the log says that it still runs, after LIMIT_S its process group
is killed, so that the others have their turn.
"""

import os
import resource

from initd.slim import deque, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initd.children import Children
    from initd.log import Log
    from initd.loop import Loop, Timer

COMMANDS_MAX = 256
PATIENCE_S = 60.0
LIMIT_S = 300.0
SHOWN_MAX = 200  # characters of a command in the log
WAITS, READY, RUNS = 0, 1, 2
_STDIO = (
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
    (os.POSIX_SPAWN_DUP2, 0, 1),
    (os.POSIX_SPAWN_DUP2, 0, 2),
)
_DEFAULT = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]


class Command:
    """One command line from the time it was asked for until it has run."""

    __slots__ = ("again_ms", "argv", "pid", "state", "timer")

    def __init__(self, argv: tuple[str, ...]) -> None:
        self.argv = argv
        self.state = WAITS
        self.timer: Timer | None = None
        self.again_ms = -1  # the delay of the next run, if it was asked for while this one ran
        self.pid = 0

    def __str__(self) -> str:
        shown = " ".join(self.argv)
        return shown if len(shown) <= SHOWN_MAX else f"{shown[:SHOWN_MAX]}..."


class Commands:
    """All commands that wait or run."""

    def __init__(
        self, loop: "Loop", children: "Children", log: "Log", nofile: tuple[int, int] | None = None
    ) -> None:
        """`nofile`: the limit of descriptors that commands get, where initd has raised its own."""
        self._loop, self._children, self._log, self._nofile = loop, children, log, nofile
        self._commands: dict[tuple[str, ...], Command] = {}
        self._ready: deque[Command] = deque()
        self._running: Command | None = None
        self._is_full = False

    def __len__(self) -> int:
        return len(self._commands)

    def run(self, argv: "Sequence[str]", delay_ms: int = 0) -> None:
        """Run the command after the delay, when it has its turn; what events ask for."""
        self.queue(argv, delay_ms)

    def queue(self, argv: "Sequence[str]", delay_ms: int = 0, limit: int = COMMANDS_MAX) -> bool:
        """The same for somebody who lets no more than `limit` commands wait. False if they do already."""
        key = tuple(argv)
        command = self._commands.get(key)
        if command is None:
            if len(self._commands) >= limit:
                if not self._is_full:
                    self._is_full = True
                    self._log.warning(f"{limit} commands wait already: not run: {Command(key)}")
                return False
            command = self._commands[key] = Command(key)
            self._delay(command, delay_ms)
        elif command.state == RUNS:
            command.again_ms = max(command.again_ms, delay_ms)
        elif command.timer is not None and command.timer.due_s < self._loop.now() + delay_ms / 1000:
            command.timer.cancel()
            self._delay(command, delay_ms)
        return True

    def _delay(self, command: Command, delay_ms: int) -> None:
        command.state = WAITS
        command.timer = self._loop.after(delay_ms / 1000, lambda: self._is_due(command))

    def _is_due(self, command: Command) -> None:
        command.state, command.timer = READY, None
        self._ready.append(command)
        self._next()

    def _next(self) -> None:
        while self._running is None and self._ready:
            command = self._ready.popleft()
            try:
                command.pid = self._spawn(command.argv)
            except (OSError, ValueError) as error:
                self._log.warning(f"{command}: {getattr(error, 'strerror', None) or error}")
                self._drop(command)
                continue
            command.state = RUNS
            self._running = command
            self._follow(command)

    def _follow(self, command: Command) -> None:
        command.timer = self._loop.after(PATIENCE_S, lambda: self._is_late(command))
        self._children.watch(command.pid, lambda status: self._ended(command, status))

    def _spawn(self, argv: tuple[str, ...]) -> int:
        if not argv:
            raise ValueError("no command")
        pid = os.posix_spawnp(
            argv[0], argv, os.environ, file_actions=_STDIO, setpgroup=0, setsigmask=(), setsigdef=_DEFAULT
        )
        if self._nofile is not None:
            try:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, self._nofile)
            except OSError:
                return pid  # it has ended already
        return pid

    def _is_late(self, command: Command) -> None:
        self._log.warning(f"{command}: still runs after {PATIENCE_S:.0f} s, and others wait for their turn")
        command.timer = self._loop.after(LIMIT_S - PATIENCE_S, lambda: self._kill(command))

    def _kill(self, command: Command) -> None:
        command.timer = None
        self._log.error(f"{command}: killed after {LIMIT_S:.0f} s")
        kill_group(command.pid)

    def _ended(self, command: Command, status: int) -> None:
        if command.timer is not None:
            command.timer.cancel()
            command.timer = None
        self._running = None
        code = os.waitstatus_to_exitcode(status)
        # what a script answers to `running` is no fault of it, and its service is told of already
        if code and not (code == 1 and command.argv[-1] == "running"):
            self._log.warning(
                f"{command}: {f'exit status {code}' if code > 0 else f'killed by signal {-code}'}"
            )
        if command.again_ms >= 0:
            delay_ms, command.again_ms = command.again_ms, -1
            self._delay(command, delay_ms)
        else:
            self._drop(command)
        self._next()

    def _drop(self, command: Command) -> None:
        self._commands.pop(command.argv, None)  # close() may have been quicker
        self._is_full = False

    def close(self) -> None:
        """Forget what waits, and end what runs."""
        for command in self._commands.values():
            if command.timer is not None:
                command.timer.cancel()
        if self._running is not None:
            self._running.again_ms = -1
            kill_group(self._running.pid)
        self._commands.clear()
        self._ready.clear()


def kill_group(pid: int) -> None:
    """End a command with all that it started and that did not leave its process group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
