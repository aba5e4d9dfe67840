# SPDX-License-Identifier: MIT
"""What a service writes to its stdout or stderr, line by line to the log.

The service is never blocked for good: what it writes faster than RATE lines a second is read and dropped, and
one line a second says how many. While it drops, the pipe is read every PAUSE_S only, so that a flood costs
the supervisor little; only such a service finds its pipe full for that long.
"""

import os

from initd.allowance import Allowance
from initd.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.log import Log
    from initd.loop import Loop, Timer

LINE_MAX = 896  # bytes; with the head of a line, and some escapes, less than what a log daemon takes
MARK = "..."  # at the end of a part of a line that was longer, and at the start of the next part
CHUNK_BYTES = 1 << 16  # what a pipe holds
CLOSE_CHUNKS = 16
RATE, BURST = 100, 1000
PAUSE_S = 0.02
TELL_S = 1.0


class Output:
    """The lines of one pipe, whose read end it owns. `fd` must be non-blocking."""

    __slots__ = (
        "_dropped", "_facility", "_fd", "_ident", "_is_inside", "_is_watched", "_level", "_lines", "_log", "_loop",
        "_partial", "_pause", "_pid", "_tell",
    )  # fmt: skip

    def __init__(
        self, loop: "Loop", log: "Log", fd: int, ident: str, pid: int, level: int, facility: str = "daemon"
    ) -> None:
        self._loop, self._log, self._fd = loop, log, fd
        self._ident, self._pid, self._level, self._facility = ident, pid, level, facility
        self._partial = b""
        self._is_inside = False  # of a line of which a part is out already
        self._lines = Allowance(RATE, BURST, loop.now())
        self._dropped = 0
        self._tell: Timer | None = None
        self._pause: Timer | None = None
        self._is_watched = False
        self._watch()

    @property
    def is_closed(self) -> bool:
        """Whether the other side closed the pipe, or close() was called."""
        return self._fd < 0

    def catch_up(self) -> None:
        """Take a bounded piece of what the pipe holds: the end of who wrote it is about to be told."""
        if self._fd >= 0 and self._lines.left >= 1:
            self._read()

    def close(self) -> None:
        """Take what the pipe still holds, to a bound: the service may have left a child that goes on writing."""
        for _ in range(CLOSE_CHUNKS):
            if self._fd < 0 or not self._read():
                break
        self._end()

    def _watch(self) -> None:
        self._pause = None
        self._loop.watch(self._fd, READ, self._ready)
        self._is_watched = True  # not before: a watch that failed is not to be undone

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._loop.unwatch(self._fd)

    def _ready(self, events: int) -> None:
        self._read()
        if self._fd >= 0 and self._lines.left < 1:
            self._unwatch()  # the next piece is not urgent
            self._pause = self._loop.after(PAUSE_S, self._watch)

    def _read(self) -> bool:
        """One bounded piece. False if there is none for now, or for ever."""
        try:
            chunk = os.read(self._fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self._end()
            return False
        self._take(chunk)
        return True

    def _take(self, chunk: bytes) -> None:
        self._lines.refill(self._loop.now())
        if self._partial:
            chunk = self._partial + chunk
        start, size = 0, len(chunk)
        while self._lines.left >= 1:
            end = chunk.find(b"\n", start, start + LINE_MAX + 1)
            if end >= 0:
                self._line(chunk[start:end])
                start = end + 1
            elif size - start > LINE_MAX:
                end = _cut(chunk, start)
                self._part(chunk[start:end])
                start = end
            else:
                break
        else:
            start = self._drop(chunk, start)
        self._partial = chunk[start:]

    def _drop(self, chunk: bytes, start: int) -> int:
        """Count the lines from `start` on and return where the last, unfinished one begins."""
        end = chunk.rfind(b"\n", start) + 1
        if end > start:
            self._is_inside = False
            self._lose(chunk.count(b"\n", start, end))
            start = end
        if len(chunk) - start > LINE_MAX:
            self._is_inside = True
            self._lose(1)
            return len(chunk)
        return start

    def _line(self, raw: bytes) -> None:
        text = raw.removesuffix(b"\r")
        mark = MARK if self._is_inside else ""
        self._is_inside = False
        self._lines.take()
        if text:
            self._write(mark + decoded(text))

    def _part(self, raw: bytes) -> None:
        mark = MARK if self._is_inside else ""
        self._is_inside = True
        self._lines.take()
        self._write(mark + decoded(raw) + MARK)

    def _write(self, text: str) -> None:
        self._log.write(self._level, text, self._ident, self._pid, self._facility)

    def _lose(self, count: int) -> None:
        self._dropped += count
        if self._tell is None:
            self._tell = self._loop.after(TELL_S, self._tell_dropped)

    def _tell_dropped(self) -> None:
        self._tell = None
        if self._dropped:
            self._write(f"({self._dropped} lines dropped: more than {RATE} a second)")
            self._dropped = 0

    def _end(self) -> None:
        if self._fd < 0:
            return
        self._unwatch()
        for timer in (self._pause, self._tell):
            if timer is not None:
                timer.cancel()
        self._pause = None
        if self._partial:
            self._line(self._partial)
            self._partial = b""
        self._tell_dropped()
        os.close(self._fd)
        self._fd = -1


def _cut(chunk: bytes, start: int) -> int:
    """Where the part that begins at `start` ends: not inside a character of UTF-8."""
    end = start + LINE_MAX
    for back in range(4):
        if chunk[end - back] & 0xC0 != 0x80:
            return end - back
    return end


def decoded(raw: bytes) -> str:
    """Text of bytes; those that are no UTF-8 become escapes."""
    return raw.decode("utf-8", "backslashreplace")
