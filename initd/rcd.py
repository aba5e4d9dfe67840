# SPDX-License-Identifier: MIT
"""The scripts of rc.d: one after another, what they print to the log, never longer than said here.

Their order is that of their names, byte by byte: S100x comes before S20y. A script's end is what counts, not
the end of its output: daemons that it leaves behind may hold that open.
"""

import os

from initd.log import INFO
from initd.output import Output
from initd.slim import signal, signal_name
from jail.errors import JailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from initd.children import Children
    from initd.log import Log
    from initd.loop import Loop, Timer

    # argv → pid, descriptors of what it prints; raises JailError, OSError
    Start: TypeAlias = Callable[[list[str]], tuple[int, list[int]]]
    # a script and what it is to do → argv; raises OSError
    MakeCommand: TypeAlias = Callable[[str, str], list[str]]

BOOT_LIMIT_S = 120.0  # then the next one has its turn; the script itself may go on
SHUTDOWN_LIMIT_S = 15.0  # then TERM
KILL_AFTER_S = 10.0  # then KILL, and the next one
RC_COMMON = "#!/bin/sh /etc/rc.common"


def in_order(names: "Iterable[str]", letter: str) -> list[str]:
    """The links for the boot (S) or the shutdown (K), first to last."""
    return sorted((name for name in names if name[0] == letter and len(name) > 1), key=os.fsencode)


def list_scripts(folder: str, letter: str) -> list[str]:
    """The paths of a directory's scripts in their order. Raises OSError."""
    return [f"{folder}/{name}" for name in in_order(os.listdir(folder), letter)]


def script_name(path: str) -> str:
    """The service's name: that of what a link leads to, else without letter and number."""
    name = os.path.basename(path)
    if os.path.islink(path):
        return os.path.basename(os.readlink(path)) or name
    return name[1:].lstrip("0123456789") or name


def script_command(path: str, action: str, root: str) -> list[str]:
    """How a script is run; below a prefix with the prefix's own rc.common."""
    if root:
        with open(path, "rb") as file:
            line = file.readline(len(RC_COMMON) + 2)
        if line.rstrip() == RC_COMMON.encode():
            return ["/bin/sh", f"{root}/etc/rc.common", path, action]
    return [path, action]


class Scripts:
    """Runs a row of scripts, or of what else `command` makes commands of; only one row at a time."""

    def __init__(
        self,
        loop: "Loop",
        log: "Log",
        children: "Children",
        start: "Start",
        command: "MakeCommand",
        name: "Callable[[str], str]" = script_name,
    ) -> None:
        self._loop = loop
        self._log = log
        self._children = children
        self._start = start
        self._command = command
        self._name = name  # by which the log has what it prints
        self._rest: list[str] = []
        self._action = ""
        self._done: Callable[[], None] | None = None
        self._run = 0  # counts the scripts: an end or a time that is not of the last one is ignored
        self._pid = 0
        self._timer: Timer | None = None

    def run(self, paths: list[str], action: str, done: "Callable[[], None]") -> None:
        """Run them all with `action`, then call done(). A row that still runs is given up."""
        if self._timer is not None:
            self._timer.cancel()
        self._rest, self._action, self._done = paths[::-1], action, done
        self._next()

    def _next(self) -> None:
        self._run += 1
        self._timer = None
        while self._rest:
            path = self._rest.pop()
            try:
                self._begin(path)
                return
            except (JailError, OSError) as error:
                text = error.strerror if isinstance(error, OSError) else error
                self._log.error(f"{path} {self._action}: {text}")
        done, self._done = self._done, None
        if done is not None:
            done()

    def _begin(self, path: str) -> None:
        name, run = self._name(path), self._run
        self._pid, outputs = self._start(self._command(path, self._action))
        said = [Output(self._loop, self._log, fd, name, self._pid, INFO) for fd in outputs]
        limit_s = SHUTDOWN_LIMIT_S if self._action == "shutdown" else BOOT_LIMIT_S
        self._timer = self._loop.after(limit_s, lambda: self._is_late(path, limit_s))
        self._children.watch(self._pid, lambda status: self._has_ended(path, run, said, status))

    def _has_ended(self, path: str, run: int, said: list[Output], status: int) -> None:
        for output in said:
            output.catch_up()
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            self._log.error(f"{path} {self._action}: killed by {signal_name(-code) or f'signal {-code}'}")
        elif code:
            self._log.info(f"{path} {self._action}: exit status {code}")
        if run == self._run and self._timer is not None:
            self._timer.cancel()
            self._next()

    def _is_late(self, path: str, limit_s: float) -> None:
        if self._action != "shutdown":
            self._log.error(f"{path} {self._action}: still running after {limit_s:g} s; going on")
            self._next()
            return
        self._log.error(f"{path} {self._action}: still running after {limit_s:g} s: TERM")
        _kill(self._pid, signal.SIGTERM)
        self._timer = self._loop.after(KILL_AFTER_S, lambda: self._is_too_late(path))

    def _is_too_late(self, path: str) -> None:
        self._log.error(f"{path} {self._action}: still running after TERM: KILL, going on")
        _kill(self._pid, signal.SIGKILL)
        self._next()


def _kill(pid: int, number: int) -> None:
    """The script with what it started; each is a session of its own."""
    try:
        os.killpg(pid, number)
    except OSError:
        return  # it has just ended
