# SPDX-License-Identifier: MIT
"""Programs on terminals, as inittab has them: started again whenever they end, for some only once Enter was pressed.

While it waits for Enter a terminal costs a descriptor and no process. One that cannot be opened, or whose
program ends at once, is tried less and less often, and the log says why once.
"""

import fcntl
import os
import resource

from initd.inittab import CONSOLE, Entry, term_of
from initd.loop import READ
from initd.slim import signal
from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from initd.children import Children
    from initd.log import Log
    from initd.loop import Loop, Timer

PROMPT = b"\nPlease press Enter to activate this console.\n"
ACTIVE = "/sys/class/tty/console/active"
LONG_S = 10.0  # a program that ran so long has worked
PAUSE_S, PAUSE_MAX_S = 1.0, 60.0
# a serial line without a carrier must not stop us
OPEN = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Tty:
    """One line of inittab at work: it asks (has a descriptor), runs (has a pid), or pauses (has a timer)."""

    def __init__(
        self, loop: "Loop", log: "Log", children: "Children", nofile: tuple[int, int], entry: Entry
    ) -> None:
        self._loop, self._log, self._children, self._nofile = loop, log, children, nofile
        self.entry = entry
        self.pid = 0
        self._fd = -1
        self._timer: Timer | None = None
        self._pause_s = PAUSE_S
        self._said = ""
        self._is_closed = False

    def begin(self) -> None:
        """Ask, or run."""
        self._timer = None
        try:
            self._fd = os.open(f"/dev/{self.entry.tty}", OPEN)
            if self.entry.asks:
                os.write(self._fd, PROMPT)
                self._loop.watch(self._fd, READ, self._typed)
            else:
                self._run()
        except OSError as error:
            self._forget()
            self._again(0, f"{error.strerror}")

    def _typed(self, events: int) -> None:
        try:
            read = os.read(self._fd, 256)
        except BlockingIOError:
            return
        except OSError:
            read = b""  # the line was hung up
        if read and not (b"\n" in read or b"\r" in read):
            return
        self._loop.unwatch(self._fd)
        try:
            if read:
                self._run()
                return
            self._again(0, "hung up")
        except OSError as error:
            self._again(0, f"{error.strerror}")
        self._forget()

    def _run(self) -> None:
        """Raises OSError where no process can be had."""
        fd, started_s = self._fd, self._loop.now()
        self.pid = os.fork()
        if not self.pid:
            become(self.entry, fd, self._nofile)
        self._fd = -1
        os.close(fd)
        self._children.watch(self.pid, lambda status: self._ended(status, self._loop.now() - started_s))

    def _ended(self, status: int, ran_s: float) -> None:
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        self._again(ran_s, f"ended with {code}" if code >= 0 else f"killed by signal {-code}")

    def _again(self, ran_s: float, why: str) -> None:
        if self._is_closed:
            return
        if ran_s >= LONG_S:
            self._pause_s, self._said = PAUSE_S, ""
        elif self._said != why:
            self._said = why
            self._log.info(f"{self.entry.tty}: {self.entry.text}: {why}; it is tried again")
        self._timer = self._loop.after(self._pause_s, self.begin)
        if ran_s < LONG_S:
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    def _forget(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def retire(self) -> None:
        """Ask no more and do not start again; what runs goes on."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            self._loop.unwatch(self._fd)
            self._forget()

    def hang_up(self) -> None:
        """The end for who is logged in: shells that somebody types into do not hear TERM."""
        self.retire()
        if self.pid:
            try:
                os.killpg(self.pid, signal.SIGHUP)
            except OSError:
                return  # it is not yet a group's, or no more


class Ttys:
    """All terminals of inittab."""

    def __init__(self, loop: "Loop", log: "Log", children: "Children", nofile: tuple[int, int]) -> None:
        self._parts = (loop, log, children, nofile)
        self._ttys: dict[tuple[str, str, str], Tty] = {}

    def start(self, entries: list[Entry]) -> None:
        """Those that are not there yet."""
        for entry in entries:
            if entry.key not in self._ttys:
                self._ttys[entry.key] = tty = Tty(*self._parts, entry)
                tty.begin()

    def keep(self, entries: list[Entry]) -> None:
        """Those of the others are not started again."""
        kept = {entry.key for entry in entries}
        for key in [key for key in self._ttys if key not in kept]:
            self._ttys.pop(key).retire()

    def close(self) -> None:
        """The end of all."""
        for tty in self._ttys.values():
            tty.hang_up()


def become(entry: Entry, fd: int, nofile: tuple[int, int]) -> "NoReturn":
    """Be the program of a line, with its terminal for a session of its own. This copy of initd does not go on."""
    try:
        os.setsid()
        os.set_blocking(fd, True)
        for target in range(3):
            os.dup2(fd, target)
        if os.isatty(0):
            take_terminal(0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        resource.setrlimit(resource.RLIMIT_NOFILE, nofile)
        os.environ["TERM"] = term_of(entry.tty, _active(), os.environ.get("TERM", ""))
        os.execv(entry.program, entry.argv)
    except OSError as error:
        os.write(2, f"{entry.text}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
    finally:
        os._exit(127)


def _active() -> str:
    try:
        with open(ACTIVE) as file:
            return file.read()
    except OSError:
        return CONSOLE


def take_terminal(fd: int) -> None:
    """Be its session, and usable; a program that gets less than that is better than none."""
    import termios

    try:
        fcntl.ioctl(fd, lib.TIOCSCTTY, 1)
        make_sane(fd)
    except (OSError, termios.error) as error:
        os.write(2, f"terminal: {error}\n".encode("utf-8", "surrogateescape"))


def make_sane(fd: int) -> None:
    """Undo what a program that was killed has left of a terminal; its speed stays."""
    import termios as t

    old = t.tcgetattr(fd)
    cflag = old[2] & ~(t.CSIZE | t.PARENB | t.CSTOPB) | t.CS8 | t.CREAD | t.HUPCL | t.CLOCAL
    lflag = t.ISIG | t.ICANON | t.ECHO | t.ECHOE | t.ECHOK | t.ECHOCTL | t.ECHOKE | t.IEXTEN
    letters = old[6]
    for index, letter in ((t.VINTR, 3), (t.VQUIT, 28), (t.VERASE, 127), (t.VKILL, 21), (t.VEOF, 4)):
        letters[index] = bytes([letter])
    letters[t.VSTART], letters[t.VSTOP], letters[t.VSUSP] = b"\x11", b"\x13", b"\x1a"
    t.tcsetattr(fd, t.TCSANOW, [t.ICRNL | t.IXON, t.OPOST | t.ONLCR, cflag, lflag, *old[4:6], letters])
