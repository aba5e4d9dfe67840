# SPDX-License-Identifier: MIT
"""Lines to stderr that never wait: what a full pipe or a stopped terminal does not take is dropped and counted."""

import os
import select
import stat

STDERR = 2


class Stderr:
    """Writes to a copy of a descriptor that is its own, so that O_NONBLOCK does not fall on other users of it."""

    def __init__(self, fd: int = STDERR) -> None:
        self._fd = fd
        self._own = -1
        self._lost = 0
        self._is_polled = True
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            return  # closed: each write fails and is counted
        if stat.S_ISREG(mode):
            self._is_polled = False  # does not wait, and a second opening would have an offset of its own
        elif not stat.S_ISSOCK(mode):
            self._reopen()

    def _reopen(self) -> None:
        try:
            self._own = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return  # no /proc yet, or a terminal of elsewhere: poll() has to do
        self._is_polled = False

    def write(self, line: str) -> None:
        """Write one line, or count it as lost. A line that lost ones precede is led by their number."""
        note = f"({self._lost} lines lost)\n" if self._lost else ""
        raw = f"{note}{line}\n".encode("utf-8", "backslashreplace")
        try:
            if self._is_polled and not self._is_ready():
                self._lost += 1
                return
            os.write(self._own if self._own >= 0 else self._fd, raw)
        except OSError:
            self._lost += 1
            return
        self._lost = 0

    def _is_ready(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return any(events & select.POLLOUT for _, events in poll.poll(0))

    def close(self) -> None:
        """Give back the copy."""
        if self._own >= 0:
            os.close(self._own)
            self._own, self._is_polled = -1, True
