# SPDX-License-Identifier: MIT
"""Lines to syslog that never wait and never fail, whatever becomes of the log daemon.

A full socket: lines wait in a bounded backlog, and what does not fit is counted. A log daemon that went
away: lines wait for PATIENCE_S, then go to stderr until it is back. None at all: stderr. A service cannot
forge lines: what is not printable leaves as an escape.
"""

import os
import time

from initd.loop import WRITE
from initd.slim import deque
from initd.stderr import Stderr
from initd.syslog import PATH, Syslog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.loop import Loop, Timer

ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7
_NAMES = (
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
)
FACILITIES = {name: number for number, name in enumerate(_NAMES)}
FACILITIES |= {f"local{number}": 16 + number for number in range(8)}
PACKET_MAX = 1024  # RFC 3164; many log daemons cut there
IDENT_MAX = 64
BACKLOG_MAX = 1 << 16
PATIENCE_S = 5.0
RETRY_S = 0.2


class Log:
    """The way to the log. `level` is about what initd says of itself, not about what services say."""

    def __init__(
        self, loop: "Loop", ident: str = "initd", to_stderr: bool = False, path: str = PATH, level: int = INFO
    ) -> None:
        self.level = level
        self.ident = ident
        self._loop = loop
        self._syslog = Syslog(path)
        self._stderr = Stderr()
        self._is_mirrored = to_stderr
        self._was_there = False
        self._gone_s = 0.0  # since when the log daemon is away, while its lines wait
        self._backlog: deque[tuple[bytes, str]] = deque()  # while there is one, a timer or a descriptor waits
        self._bytes = 0
        self._lost = 0
        self._watched_fd = -1
        self._timer: Timer | None = None
        self._stamp = (0, "")

    def error(self, text: str) -> None:
        """Something that a person has to see to."""
        self._own(ERROR, text)

    def warning(self, text: str) -> None:
        """Something that is not as it was asked for."""
        self._own(WARNING, text)

    def info(self, text: str) -> None:
        """What happened."""
        self._own(INFO, text)

    def debug(self, text: str) -> None:
        """What happened, for those who look for a fault."""
        self._own(DEBUG, text)

    def _own(self, level: int, text: str) -> None:
        if level <= self.level:
            self.write(level, text, pid=os.getpid())

    def write(self, level: int, text: str, ident: str = "", pid: int = 0, facility: str = "daemon") -> None:
        """One line. Of a packet that is longer than PACKET_MAX the end is cut off."""
        packet, line = self._pack(level, text, ident, pid, facility)
        if self._is_mirrored:
            self._stderr.write(line)
        if self._backlog:
            self._keep(packet, line)
            return
        rest = self._syslog.send(packet)
        if rest is None and not self._was_there:
            self._print(line)
            return
        self._was_there = rest is not None
        if rest != b"":
            self._gone_s = self._loop.now()
            self._keep(packet if rest is None else rest, line)
            self._wait(rest is None)

    def _pack(self, level: int, text: str, ident: str, pid: int, facility: str) -> tuple[bytes, str]:
        """The line as syslog(3) sends it, and as a person reads it on stderr."""
        now_s = int(time.time())
        if self._stamp[0] != now_s:
            self._stamp = (now_s, time.strftime("%b %e %H:%M:%S", time.localtime(now_s)))
        line = f"{_tag(ident or self.ident)}{f'[{pid}]' if pid else ''}: {printable(text)}"
        priority = FACILITIES.get(facility, FACILITIES["daemon"]) << 3 | level & 7
        packet = f"<{priority}>{self._stamp[1]} {line}".encode()
        return packet if len(packet) <= PACKET_MAX else packet[: PACKET_MAX - 3] + b"...", line

    def _print(self, line: str) -> None:
        if not self._is_mirrored:
            self._stderr.write(line)

    def _keep(self, packet: bytes, line: str) -> None:
        # once it is full it takes nothing until half of it is gone: one gap, not thousands of small ones
        if self._lost or self._bytes + len(packet) > BACKLOG_MAX:
            self._lost += 1
        else:
            self._backlog.append((packet, line))
            self._bytes += len(packet)

    def _wait(self, by_time: bool) -> None:
        """Come back when the socket takes more; after a time if there is none, or it does not keep its word."""
        fd = -1 if by_time else self._syslog.fileno()
        if fd >= 0:
            try:
                self._loop.watch(fd, WRITE, self._ready)
            except OSError:  # no memory for it
                fd = -1
        self._watched_fd = fd
        if fd < 0:
            self._timer = self._loop.after(RETRY_S, self._retry)

    def _unwatch(self) -> None:
        if self._watched_fd >= 0:
            self._loop.unwatch(self._watched_fd)
            self._watched_fd = -1

    def _ready(self, events: int) -> None:
        self._unwatch()  # first: a send may close the descriptor
        before = self._bytes
        is_there = self._flush()
        if self._backlog:
            self._wait(not is_there or self._bytes == before)

    def _retry(self) -> None:
        self._timer = None
        if not self._flush() and self._loop.now() - self._gone_s > PATIENCE_S:
            self._give_up()
        if self._backlog:
            self._wait(not self._was_there)

    def _flush(self) -> bool:
        """Send what waits, as far as it goes. False if there is no log daemon."""
        while self._backlog:
            packet, line = self._backlog[0]
            rest = self._syslog.send(packet)
            if rest is None:
                if self._was_there:
                    self._was_there, self._gone_s = False, self._loop.now()
                return False
            self._was_there = True
            self._bytes -= len(packet) - len(rest)
            if rest:
                self._backlog[0] = (rest, line)
                return True
            self._backlog.popleft()
            if self._lost and self._bytes <= BACKLOG_MAX // 2:
                self._tell_lost()
        return True

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, 0
        packet, line = self._pack(
            WARNING, f"the log took no more: {lost} lines lost", "", os.getpid(), "daemon"
        )
        self._keep(packet, line)

    def _give_up(self) -> None:
        """The log daemon does not come back: what waits is printed, like what comes after it."""
        while self._backlog:
            self._print(self._backlog.popleft()[1])
        if self._lost:
            self._print(f"{self.ident}: {self._lost} lines lost")
        self._bytes = self._lost = 0

    def close(self) -> None:
        """Send what still goes at once, print the rest, and give back everything."""
        self._unwatch()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush()
        self._give_up()
        self._syslog.close()
        self._stderr.close()


def facility_fault(name: str) -> str:
    """What is wrong with the name of a facility, "" if nothing is."""
    if name in FACILITIES:
        return ""
    from jail.near import did_you_mean

    return f'unknown facility "{name}"{did_you_mean(name, FACILITIES)}'


def printable(text: str) -> str:
    """The text with an escape for each character that is none to be seen, bytes that were no UTF-8 among them."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() or char == "\t" else _escape(ord(char)) for char in text])


def _escape(code: int) -> str:
    if code < 0x100 or 0xDC80 <= code <= 0xDCFF:  # a byte, or what surrogateescape made of one
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}"


def _tag(ident: str) -> str:
    """The name in front of a line, without what ends it: a service called `x[1]: y` is still seen as that."""
    if ident.isidentifier():
        return ident[:IDENT_MAX]
    kept = [char if char.isprintable() and char not in " :[]" else "_" for char in ident[:IDENT_MAX]]
    return "".join(kept)
