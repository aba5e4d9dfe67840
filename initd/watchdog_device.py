# SPDX-License-Identifier: MIT
"""The hardware watchdog: as long as the event loop turns, the machine is not reset.

Opened when somebody asks for it, and by process 1 at boot where there is one.
"""

import fcntl
import os
from _struct import Struct

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.loop import Loop, Timer

DEVICE = "/dev/watchdog"
TIMEOUT_S = 30
FREQUENCY_S = 5
_NUMBER = Struct("i")


class Watchdog:
    """Its state is one of offline (not open), running, stopped (open, and nobody feeds it)."""

    def __init__(self, loop: "Loop", path: str = DEVICE) -> None:
        self._loop = loop
        self._path = path
        self._fd = -1
        self._timer: Timer | None = None
        self.timeout_s = TIMEOUT_S
        self.frequency_s = FREQUENCY_S
        self.is_magic = False  # the device is told when it is closed on purpose

    @property
    def state(self) -> str:
        """In the words of `system watchdog`."""
        if self._fd < 0:
            return "offline"
        return "stopped" if self._timer is None else "running"

    def start(self) -> None:
        """Open the device and feed it. Raises OSError."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            self._try_timeout()
        if self._timer is None:
            self._feed()

    def _try_timeout(self) -> None:
        try:
            self.set_timeout(self.timeout_s)
        except OSError:
            return  # one that cannot be set has a time of its own

    def set_timeout(self, seconds: int) -> None:
        """How long the machine may hang; the device may choose a number near it. Raises OSError."""
        if self._fd >= 0:
            raw = fcntl.ioctl(self._fd, lib.WDIOC_SETTIMEOUT, _NUMBER.pack(seconds))
            seconds = _NUMBER.unpack(raw)[0]
        self.timeout_s = seconds

    def _feed(self) -> None:
        self._timer = self._loop.after(self.frequency_s, self._feed)
        os.write(self._fd, b"\0")

    def stop(self) -> None:
        """Feed it no more; if it knows what a magic close is and was asked for one, it sleeps, else it bites."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fd >= 0 and self.is_magic:
            os.write(self._fd, b"V")
            os.close(self._fd)
            self._fd = -1
