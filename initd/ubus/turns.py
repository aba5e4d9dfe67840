# SPDX-License-Identifier: MIT
"""Messages that wait for their turn: those of all users but root share SLICE_S in each turn of the loop.

A few bytes may ask for much work, a thousand such messages fit into one read, and anybody may connect. Peers take
turns, one message each. Knows nothing of what a message means.
"""

from initd.loop import Loop
from initd.slim import deque
from initd.ubus.channel import FD_BYTES, FRAME_BYTES
from initd.ubus.strangers import close_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.loop import Timer
    from initd.ubus.registry import Peer
    from initd.ubus.wire import Frame

SLICE_S = 0.01


class Turns:
    """`serve(peer, frame)` has to close the frame's descriptor; it may forget() any peer."""

    __slots__ = ("_bytes", "_loop", "_serve", "_timer", "_waiting")

    def __init__(self, loop: Loop, serve: "Callable[[Peer, Frame], None]") -> None:
        self._loop = loop
        self._serve = serve
        self._waiting: dict[int, tuple[Peer, deque[Frame]]] = {}
        self._bytes: dict[int, int] = {}  # of what waits, by peer
        self._timer: Timer | None = None

    def has(self, peer: "Peer") -> bool:
        """Whether something of a peer waits: then no more of it should be read."""
        return peer.id in self._waiting

    def held_bytes(self, peer: "Peer") -> int:
        """Of what waits of a peer."""
        return self._bytes.get(peer.id, 0)

    def add(self, peer: "Peer", frames: "list[Frame]") -> None:
        """They are served at the end of this turn of the loop, or of later ones."""
        if frames:
            self._waiting[peer.id] = peer, deque(frames)
            self._bytes[peer.id] = sum(map(_size, frames))
            self._go_on()

    def _go_on(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._loop.after(0, self._run)

    def _run(self) -> None:
        self._timer = None
        end_s = self._loop.now() + SLICE_S
        try:
            while self._waiting:
                id = next(iter(self._waiting))
                peer, frames = self._waiting.pop(id)
                frame = frames.popleft()
                size = self._bytes.pop(id)
                if frames:
                    self._waiting[id] = peer, frames  # the last in the row now
                    self._bytes[id] = size - _size(frame)
                self._serve(peer, frame)
                if self._loop.now() >= end_s:
                    break
        finally:
            self._go_on()

    def forget(self, peer: "Peer") -> None:
        """It is gone."""
        _, frames = self._waiting.pop(peer.id, (peer, ()))
        self._bytes.pop(peer.id, None)
        for frame in frames:
            close_fd(frame.fd)


def _size(frame: "Frame") -> int:
    return len(frame.body) + FRAME_BYTES + (FD_BYTES if frame.fd >= 0 else 0)
