# SPDX-License-Identifier: MIT
"""What the supervisor does as process 1 alone: signals that end the machine, the watchdog, and /etc/inittab.

The file systems before it and the end after it are boot.py's.
"""

import os

from initd import inittab
from initd.boot import HALT, POWEROFF, REBOOT
from initd.inittab import Inittab
from initd.log import INFO
from initd.output import Output
from initd.rcd import Scripts
from initd.slim import signal
from initd.ttys import Ttys
from initd.watchdog_device import DEVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.children import Children
    from initd.log import Log
    from initd.loop import Loop
    from initd.script import ScriptStarter
    from initd.watchdog_device import Watchdog

# what BusyBox's reboot, halt and poweroff send; PWR is a host that ends its container
ENDS = {
    signal.SIGTERM: REBOOT,
    signal.SIGUSR1: HALT,
    signal.SIGUSR2: POWEROFF,
    signal.SIGPWR: POWEROFF,
}


class First:
    """`stop` is called with what becomes of the machine, by whatever ends it."""

    def __init__(
        self,
        loop: "Loop",
        log: "Log",
        children: "Children",
        start: "ScriptStarter",
        root: str,
        stop: "Callable[[str], None]",
    ) -> None:
        self._loop, self._log, self._children, self._start = loop, log, children, start
        self._path = root + inittab.PATH
        self._stop = stop
        self._lines = Scripts(loop, log, children, start, _command, _name)
        self._ttys = Ttys(loop, log, children, start.nofile)
        self._table: Inittab | None = None
        self._is_ending = False
        for number, how in ENDS.items():
            self._on_end_signal(number, how)
        loop.on_signal(signal.SIGINT, self._on_ctrl_alt_del)

    def _on_end_signal(self, number: int, how: str) -> None:
        self._loop.on_signal(number, lambda: self._stop(how))

    def feed(self, watchdog: "Watchdog") -> None:
        """From now on the machine is reset if the loop stops, where it has a watchdog."""
        if os.path.exists(DEVICE):
            try:
                watchdog.start()
            except OSError as error:
                self._log.error(f"{DEVICE}: {error.strerror}")

    def read(self) -> None:
        """The file, also once more; what it no longer has is not started again."""
        try:
            with open(self._path, encoding="utf-8", errors="surrogateescape") as file:
                self._table = inittab.parse(file.read(), self._path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._log.error(f"{self._path}: {error.strerror}")
            self._table = None
            return
        for fault in self._table.faults:
            self._log.error(fault)

    def read_again(self) -> None:
        """After a change of it: terminals come and go, the rest is for the next boot or end."""
        if not self._is_ending:
            self.read()
            terminals = self._of(*inittab.EARLY, *inittab.LATE)
            self._ttys.keep(terminals)
            self._ttys.start(terminals)

    def _of(self, *actions: str) -> list[inittab.Entry]:
        return self._table.of(*actions) if self._table is not None else []

    def before_boot(self, then: "Callable[[], None]") -> None:
        """What comes before the scripts, one line after the other; then terminals, so that a boot can be watched."""

        def done() -> None:
            self._ttys.start(self._of(*inittab.EARLY))
            then()

        self.read()
        self._lines.run([entry.text for entry in self._of(inittab.SYSINIT)], inittab.SYSINIT, done)

    def after_boot(self) -> None:
        """What comes after the scripts."""

        def done() -> None:
            for entry in self._of(inittab.ONCE):
                self._run(entry)
            self._ttys.start(self._of(*inittab.LATE))

        self._lines.run([entry.text for entry in self._of(inittab.WAIT)], inittab.WAIT, done)

    def begin_end(self) -> None:
        """Before the services: terminals are hung up, and lines that still run are not waited for."""
        self._is_ending = True
        self._lines.run([], inittab.SHUTDOWN, lambda: None)
        self._ttys.close()

    def after_services(self, then: "Callable[[], None]") -> None:
        """The lines for the end, when no service is left."""
        self._lines.run([entry.text for entry in self._of(inittab.SHUTDOWN)], inittab.SHUTDOWN, then)

    def _on_ctrl_alt_del(self) -> None:
        """As BusyBox's init: without a file it reboots, with one the file says what it does."""
        if self._table is None:
            self._stop(REBOOT)
            return
        entries = self._of(inittab.CTRLALTDEL)
        if not entries:
            self._log.info(f"ctrl-alt-del: {self._path} has no line for it")
        for entry in entries:
            self._run(entry)

    def _run(self, entry: inittab.Entry) -> None:
        """Start it and go on; what it prints goes to the log."""
        try:
            pid, outputs = self._start(_command(entry.text, entry.action))
        except OSError as error:
            self._log.error(f"{entry.text}: {error.strerror}")
            return
        said = [Output(self._loop, self._log, fd, _name(entry.text), pid, INFO) for fd in outputs]
        self._children.watch(pid, lambda status: self._tell(entry, said, os.waitstatus_to_exitcode(status)))

    def _tell(self, entry: inittab.Entry, said: list[Output], code: int) -> None:
        for output in said:
            output.catch_up()
        if code:
            self._log.info(f"{entry.text}: {f'exit status {code}' if code > 0 else f'signal {-code}'}")


def _command(text: str, action: str) -> list[str]:
    program, argv = inittab.command_of(text)
    return [program, *argv[1:]]


def _name(text: str) -> str:
    return inittab.command_of(text)[1][0].rpartition("/")[2]
