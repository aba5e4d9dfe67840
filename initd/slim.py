# SPDX-License-Identifier: MIT
"""The C halves of signal, socket, heapq and collections, which initd uses instead of the whole.

The Python halves bring enum, functools, operator and more: a megabyte in every initd, a tenth of what it
takes. For types they are what they always were. A socket from here has no accept() and no `with`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import heapq
    import signal
    import socket
    from bisect import bisect_left
    from collections import OrderedDict, deque
else:
    import _heapq as heapq
    import _signal as signal
    import _socket as socket
    from _bisect import bisect_left
    from _collections import OrderedDict, deque

__all__ = ["OrderedDict", "accept", "bisect_left", "deque", "heapq", "signal", "signal_name", "socket"]


def accept(listener: socket.socket) -> socket.socket:
    """The next connection. Raises OSError."""
    fd, _ = listener._accept()  # type: ignore[attr-defined]
    return socket.socket(fileno=fd)


def signal_name(number: int) -> str:
    """SIGTERM for 15; "" for a number without a name. Of several names the one that signal.Signals gives."""
    names = [name for name, value in vars(signal).items() if value == number and name.startswith("SIG")]
    return min([name for name in names if "_" not in name], default="")
