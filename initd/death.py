# SPDX-License-Identifier: MIT
"""How a process ended, in numbers and in words."""

import os

from initd.slim import signal, signal_name

SIGNAL_BASE = 128
LAST_SIGNAL = 64  # mips has 127, and nobody uses those; but programs do end with exit status 255


def exit_code(status: int) -> int:
    """A wait status → the exit status, 128 + N for signal N, as shells and procd count."""
    if os.WIFSIGNALED(status):
        return SIGNAL_BASE + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def words(code: int) -> str:
    """How it ended: "exit status 3", or "signal 9 (SIGKILL)"."""
    # a jail's stub passes on the signal that ended its service as such a status
    if SIGNAL_BASE < code <= SIGNAL_BASE + LAST_SIGNAL:
        number = code - SIGNAL_BASE
        name = signal_name(number)
        return f"signal {number} ({name})" if name else f"signal {number}"
    return f"exit status {code}"


def is_denial(code: int) -> bool:
    """Whether it looks like a death by a policy."""
    return code == SIGNAL_BASE + signal.SIGSYS
