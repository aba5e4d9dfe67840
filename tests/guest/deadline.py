# SPDX-License-Identifier: MIT
"""Guests under a deadline: which there is time for.

STOCKADE_DEADLINE is a time in seconds as `date +%s` gives them. A guest that may not be over by then is left out, and
that is said aloud wherever the result is said; one that was started is waited for.
"""

import os
import time
from collections.abc import Mapping

VARIABLE = "STOCKADE_DEADLINE"
# beside another one, and half as much again; what is slow to make is made before (tests/everything.py)
NEEDS_S = {"x86_64": 25 * 60, "i386": 25 * 60, "mipsel": 30 * 60, "mips": 30 * 60}


def left_s(environment: Mapping[str, str] = os.environ) -> float:
    """The seconds that are left, without an end where there is no deadline."""
    value = environment.get(VARIABLE, "")
    return float(value) - time.time() if value else float("inf")


def why_left_out(name: str, left: float) -> str:
    """The reason not to start a guest, or ""."""
    if left >= NEEDS_S[name]:
        return ""
    return f"it may need {NEEDS_S[name] // 60} minutes and there are {max(0, int(left)) // 60}"
