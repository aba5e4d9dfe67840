# SPDX-License-Identifier: MIT
"""The console of a jail: the master of its terminal, and whoever is attached to it.

It is always read, so that a service never waits for an operator who is not there; the end of what it said last is
kept for the next one. Both ways a piece goes on when the one before is gone: who is attached and reads nothing holds
the service up, for STALL_S. Imported where there is a console.
"""

import os
import stat
from errno import ENOTTY

from initd.allowance import Allowance
from initd.loop import READ, WRITE
from initd.slim import socket
from initd.ubus.strangers import close_fd, close_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.loop import Loop, Timer

CHUNK_BYTES = 4096
KEPT_BYTES = 4096  # of what was said to nobody
CLOSE_CHUNKS = 16
STALL_S = 10.0
RATE_BYTES, BURST_BYTES = 1 << 18, 1 << 16  # a second: a flood costs the supervisor no more
PAUSE_S = 0.05
MULTIPLEXER = "/dev/ptmx"


class JailConsole:
    """One console. It owns the master; `on_end` is called when nobody has the terminal open any more."""

    __slots__ = (
        "_bytes", "_fd", "_is_asking", "_kept", "_line", "_loop", "_on_end", "_pause", "_stall", "_to_line",
        "_to_master",
    )  # fmt: skip

    def __init__(self, loop: "Loop", fd: int, on_end: "Callable[[], None]" = lambda: None) -> None:
        os.set_blocking(fd, False)
        self._loop, self._fd, self._on_end = loop, fd, on_end
        self._line: Line | None = None
        self._kept = self._to_line = self._to_master = b""
        self._bytes = Allowance(RATE_BYTES, BURST_BYTES, loop.now())
        self._pause: Timer | None = None
        self._stall: Timer | None = None
        self._is_asking = False  # the loop watches the master
        self._wait()

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def attach(self, fd: int) -> None:
        """Give it to somebody else, who first gets what was said to nobody. The descriptor is ours from now on.

        Raises OSError if it is neither a socket nor a terminal, and it stays the caller's.
        """
        line = Line(fd)
        self._detach()
        self._line = line
        self._to_line, self._kept = self._kept, b""
        self._write_line()
        try:
            self._wait()
        except OSError:  # the kernel watches no more: who was attached sees the end
            self._detach()

    def close(self) -> None:
        """The jail has ended: what it said last is handed on, as far as somebody takes it."""
        for _ in range(CLOSE_CHUNKS):
            if self._fd < 0 or not self._read():
                break
            self._write_line()
        self._end()

    def _end(self) -> None:
        self._detach()
        if self._pause is not None:
            self._pause.cancel()
        if self._is_asking:
            self._is_asking = False
            self._loop.unwatch(self._fd)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _wait(self) -> None:
        """Ask the loop for what can be done next: read a side whose last piece is gone, write where one is left."""
        if self._fd < 0:
            return
        if self._line is not None:
            wanted = (WRITE if self._to_line else 0) | (0 if self._to_master else READ)
            self._line.watch(self._loop, wanted, self._line_ready)
        wanted = (WRITE if self._to_master else 0) | (0 if self._to_line or self._pause else READ)
        if wanted:
            self._loop.watch(self._fd, wanted, self._master_ready)
        elif self._is_asking:
            self._loop.unwatch(self._fd)
        self._is_asking = bool(wanted)

    def _master_ready(self, events: int) -> None:
        self._write_master()
        if not self._to_line and self._pause is None:
            self._read()
            self._write_line()
        self._wait()

    def _read(self) -> bool:
        """A piece of what the jail says. False if there is none now."""
        try:
            piece = os.read(self._fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # nobody has the other side open
            self._end()
            self._on_end()
            return False
        self._bytes.refill(self._loop.now())
        self._bytes.take(len(piece))
        if self._bytes.left < 0:
            self._pause = self._loop.after(PAUSE_S, self._go_on)
        if self._line is None:
            self._kept = (self._kept + piece)[-KEPT_BYTES:]
        else:
            self._to_line += piece
        return True

    def _go_on(self) -> None:
        self._pause = None
        self._wait()

    def _write_master(self) -> None:
        if not self._to_master:
            return
        try:
            self._to_master = self._to_master[os.write(self._fd, self._to_master) :]
        except BlockingIOError:
            return  # the jail has not read what was typed before
        except OSError:
            self._to_master = b""  # reading will tell

    def _line_ready(self, events: int) -> None:
        self._write_line()
        line = self._line
        if line is not None and not self._to_master:
            try:
                piece = line.read()
            except BlockingIOError:
                piece = None
            except OSError:
                piece = b""
            if piece == b"":
                self._detach()
            elif piece:
                self._to_master = piece
                self._write_master()
        self._wait()

    def _write_line(self) -> None:
        line = self._line
        if line is None or not self._to_line:
            return
        try:
            self._to_line = self._to_line[line.write(self._to_line) :]
        except BlockingIOError:
            if self._stall is None:
                self._stall = self._loop.after(STALL_S, self._give_up)
            return
        except OSError:
            self._detach()
            return
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _give_up(self) -> None:
        self._detach()
        self._wait()

    def _detach(self) -> None:
        """What is attached sees its end; what it did not take is for the next one."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._to_master = b""
        if self._line is not None:
            self._line.close(self._loop)
            self._line = None
            self._kept, self._to_line = self._to_line[-KEPT_BYTES:], b""


class Line:
    """Whoever is attached: a socket, or a terminal. Neither can make us wait, whoever else has it open."""

    __slots__ = ("_fd", "_is_watched", "_socket")

    def __init__(self, fd: int) -> None:
        """Raises OSError for anything else."""
        mode = os.fstat(fd)
        self._is_watched = False
        self._socket: socket.socket | None = None
        if stat.S_ISSOCK(mode.st_mode):
            self._fd = fd
            self._socket = socket.socket(fileno=fd)
            return
        if not os.isatty(fd) or is_master(fd):
            raise OSError(ENOTTY, os.strerror(ENOTTY))
        # an open file of our own, whose flags nobody else can change
        self._fd = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        close_fd(fd)

    def watch(self, loop: "Loop", wanted: int, callback: "Callable[[int], None]") -> None:
        """Be told of these events; of none for 0."""
        if wanted:
            loop.watch(self._fd, wanted, callback)
        elif self._is_watched:
            loop.unwatch(self._fd)
        self._is_watched = bool(wanted)

    def read(self) -> bytes:
        """What was typed; b"" at the end. Raises OSError."""
        if self._socket is not None:
            return self._socket.recv(CHUNK_BYTES, socket.MSG_DONTWAIT)
        return os.read(self._fd, CHUNK_BYTES)

    def write(self, text: bytes) -> int:
        """How much of it was taken. Raises OSError."""
        if self._socket is not None:
            return self._socket.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return os.write(self._fd, text)

    def close(self, loop: "Loop") -> None:
        self.watch(loop, 0, lambda events: None)
        if self._socket is not None:
            close_socket(self._socket)
        else:
            close_fd(self._fd)


def is_master(fd: int) -> bool:
    """Whether it is the master of a terminal. A new one would come of opening it again."""
    try:
        return os.fstat(fd).st_rdev == os.stat(MULTIPLEXER).st_rdev
    except OSError:
        return False
