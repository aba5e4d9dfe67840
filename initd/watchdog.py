# SPDX-License-Identifier: MIT
"""The watchdog of one instance: expires unless the service gives a sign of life over ubus in time."""

from initd.definition import WATCHDOG_OFF, WATCHDOG_TIMEOUT_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.loop import Loop, Timer
    from initd.ubus.blob import Table


class Watchdog:
    """`is_own`: the service has set it itself, so its script does so no more."""

    __slots__ = ("_loop", "_on_expire", "_timer", "is_own", "mode", "timeout_s")

    def __init__(self, loop: "Loop", on_expire: "Callable[[], None]") -> None:
        self._loop = loop
        self._on_expire = on_expire
        self._timer: Timer | None = None
        self.is_own = False
        self.mode = WATCHDOG_OFF
        self.timeout_s = WATCHDOG_TIMEOUT_S

    def configure(self, asked: tuple[int, ...] | None) -> None:
        """What the script asks for: (mode, timeout), or None."""
        if not self.is_own:
            self.mode, self.timeout_s = asked or (WATCHDOG_OFF, WATCHDOG_TIMEOUT_S)

    def take(self, mode: int | None, timeout_s: int | None) -> None:
        """What the service itself asks for; None leaves it."""
        if mode is not None:
            self.mode, self.is_own = mode, True
        if timeout_s is not None:
            self.timeout_s, self.is_own = timeout_s, True

    def arm(self) -> None:
        """Begin to wait, anew if need be."""
        self.cancel()
        if self.mode != WATCHDOG_OFF:
            self._timer = self._loop.after(self.timeout_s, self._expire)

    def cancel(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def let_go(self) -> None:
        """Nobody is left to be told."""
        self.cancel()
        self._on_expire = lambda: None

    def _expire(self) -> None:
        self._timer = None
        self._on_expire()

    def listing(self) -> "Table":
        """As `service list` and `service watchdog` show it."""
        return {"mode": self.mode, "timeout": self.timeout_s}
