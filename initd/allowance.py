# SPDX-License-Identifier: MIT
"""So much at once and so much a second: what keeps a flood of somebody else's from costing the supervisor more."""


class Allowance:
    """`left` may go below 0 where what is taken is known only afterwards. Times are the loop's."""

    __slots__ = ("_burst", "_rate", "_then_s", "left")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._then_s = now_s
        self.left = float(burst)

    def refill(self, now_s: float) -> None:
        """Add what has come since the last time, up to the burst."""
        self.left = min(self.left + (now_s - self._then_s) * self._rate, self._burst)
        self._then_s = now_s

    def take(self, amount: float = 1) -> None:
        self.left -= amount
