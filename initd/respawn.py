# SPDX-License-Identifier: MIT
"""Whether an instance that ended unasked is started again, and when. Pure functions of numbers."""

START_SPACING_S = 1.0  # of two starts of one instance, whatever it asks for: procd spins with a timeout of 0

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Respawn: TypeAlias = tuple[int, ...]  # threshold and timeout in seconds, retry


def count_crash(respawn: "Respawn", crashes: int, ran_s: float) -> int:
    """The quick ends in a row, with the one at hand; a run of `threshold` seconds or more is none of them."""
    return crashes + 1 if ran_s < respawn[0] else 0


def is_hopeless(respawn: "Respawn", crashes: int) -> bool:
    """Whether to give up. A retry of 0 is for ever."""
    return 0 < respawn[2] < crashes


def delay_s(respawn: "Respawn", ran_s: float) -> float:
    """How long to wait before the next start."""
    return max(float(respawn[1]), START_SPACING_S - ran_s, 0.0)


def reason(crashes: int, ran_s: float) -> str:
    """The words for having given up."""
    return f"crash loop: {crashes} crashes, {ran_s:.0f} seconds since the last"
