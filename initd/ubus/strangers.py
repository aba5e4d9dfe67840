# SPDX-License-Identifier: MIT
"""Descriptors that others have sent: closed without a wait.

The last close of a socket that lingers, or of a serial line, takes as long as its owner has said, and whoever may
connect may send one, also inside of another socket's queue. Such a wait ends by a signal: one comes every TICK_S while
something is closed here. Must not be used for descriptors of our own, where an error would be worth a word.
"""

import posix

from initd.slim import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from initd.slim import socket

TICK_S = 0.001


def never_wait() -> None:
    """For a process that others rely on, once: from now on it has a handler for the signal."""
    signal.signal(signal.SIGALRM, _wake)


def _wake(number: int, frame: "FrameType | None") -> None:
    """That it came is all that is wanted."""


def close_fd(fd: int) -> None:
    """Close a descriptor that may be -1."""
    if fd >= 0:
        _hurry(TICK_S)
        try:
            posix.close(fd)
        except OSError:
            return  # its file system says so, which is its owner's; closed it is
        finally:
            _hurry(0)


def close_socket(connected: "socket.socket") -> None:
    """Close a connection with all that was sent into it and not read."""
    _hurry(TICK_S)
    try:
        connected.close()
    finally:
        _hurry(0)


def _hurry(tick_s: float) -> None:
    if signal.getsignal(signal.SIGALRM) is _wake:
        signal.setitimer(signal.ITIMER_REAL, tick_s, tick_s)
