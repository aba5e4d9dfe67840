# SPDX-License-Identifier: MIT
"""Who is connected to the broker and what is theirs: peers, objects, their types, who waits for whom.

Everything that a peer can make grow has a bound, and what belongs to a peer goes with it.
"""

import os

from initd.slim import bisect_left, deque
from initd.ubus import wire
from initd.ubus.acl import Credentials
from initd.ubus.blob import split_table
from initd.ubus.wire import Frame, UbusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

OBJECTS_MAX = 1024  # of one peer; as many subscriptions and patterns of one object
KEPT_MAX = 4 << 20  # bytes of paths, signatures and patterns of one peer
SIGNATURE_MAX = 1 << 16  # of an object: it is taken apart in one go
CALLS_MAX = 4096  # of one peer that wait for an answer; the oldest is forgotten beyond
LOOKUPS_MAX = 64  # of one peer that wait until it has read the answers to the ones before
ITEM_BYTES = 256  # of memory for an object, a method, a pattern, a subscription or a call, beside its names


class Peer:
    """A connected client. How a frame leaves is the broker's business: `transmit`."""

    __slots__ = (
        *("calls", "copies", "id", "kept_bytes", "kept_items", "lookups", "objects", "transmit"),
        *("waiting_bytes", "who"),
    )

    def __init__(self, id: int, who: Credentials, transmit: "Callable[[Peer, Frame], bool]") -> None:
        self.id = id
        self.who = who
        self.transmit = transmit
        self.objects: dict[int, Served] = {}
        self.calls: dict[tuple[int, int], Served] = {}  # (seq, object id) → who has to answer
        self.lookups: deque[Lookup] = deque()
        self.kept_bytes = self.kept_items = 0
        self.waiting_bytes = 0  # sent and not taken yet; the broker counts
        self.copies = 0  # frames copied to this peer as a monitor

    @property
    def held_bytes(self) -> int:
        """About the memory that is taken by what is remembered for it."""
        items = self.kept_items + len(self.calls) + len(self.lookups)
        return self.kept_bytes + ITEM_BYTES * items + sum([len(lookup.prefix) for lookup in self.lookups])

    def send(self, type: int, seq: int, peer: int, body: bytes, fd: int = -1) -> bool:
        """Send a frame; `fd` stays the caller's. True if nothing waits in front of the next one."""
        return self.transmit(self, Frame(type, seq & 0xFFFF, peer, body, fd))

    def answer(self, request: Frame, status: int) -> None:
        """End a request of this peer."""
        self.send(wire.STATUS, request.seq, request.peer, wire.pack_word(wire.A_STATUS, status))


class Lookup:
    """A question about several objects, answered as fast as the peer reads."""

    __slots__ = ("at", "paths", "prefix", "request", "status")

    def __init__(self, request: Frame, paths: list[bytes], prefix: bytes | None) -> None:
        self.request = Frame(request.type, request.seq, request.peer)  # without its body
        self.paths = paths
        self.prefix = prefix or b""
        self.at = bisect_left(paths, self.prefix)
        self.status = wire.OK if prefix is None else wire.NOT_FOUND

    def next_path(self) -> bytes | None:
        """The next path that is asked for."""
        if self.at == len(self.paths) or not self.paths[self.at].startswith(self.prefix):
            return None
        self.at += 1
        return self.paths[self.at - 1]


class ObjectType:
    """A signature, shared by the objects that name its id: method names, each with its whole attribute.

    Each user is charged for all of it, for who made it may part first.
    """

    __slots__ = ("id", "methods", "size", "users")

    def __init__(self, id: int, signature: bytes) -> None:
        self.id = id
        self.methods = split_table(signature)
        self.size = len(signature)
        self.users = 0


class Served:
    """An object that a peer has added. `path` is empty for an anonymous one."""

    __slots__ = (
        *("calls", "id", "kept_bytes", "kept_items", "notices", "path", "patterns", "peer", "subscribers"),
        *("targets", "type"),
    )

    def __init__(self, id: int, peer: Peer, path: bytes, type: ObjectType | None) -> None:
        self.id = id
        self.peer = peer
        self.path = path
        self.type = type
        self.kept_bytes = self.kept_items = 0
        self.subscribers: dict[int, Served] = {}
        self.targets: dict[int, Served] = {}
        self.patterns: list[tuple[bytes, bool]] = []
        self.calls: dict[tuple[int, int], Peer] = {}  # (peer id, seq) → who waits
        self.notices = 0

    def keep(self, size: int, items: int) -> None:
        """Count what is remembered for the peer. Raises UbusError (no memory) if that is too much."""
        if self.peer.kept_bytes + size > KEPT_MAX:
            raise UbusError(wire.NO_MEMORY)
        self.peer.kept_bytes += size
        self.peer.kept_items += items
        self.kept_bytes += size
        self.kept_items += items


def draw_id(taken: "Container[int]") -> int:
    """An id that nobody can guess and nobody has."""
    while True:
        id = int.from_bytes(os.urandom(4), "big")
        if id >= wire.SYSTEM_MAX and id not in taken:
            return id


class Registry:
    """All peers and objects of one broker."""

    __slots__ = ("_draw", "_sorted", "objects", "paths", "peers", "types")

    def __init__(self, draw: "Callable[[Container[int]], int]" = draw_id) -> None:
        self._draw = draw
        self.peers: dict[int, Peer] = {}
        self.objects: dict[int, Served] = {}
        self.paths: dict[bytes, Served] = {}
        self.types: dict[int, ObjectType] = {}
        self._sorted: list[bytes] | None = []

    def join(self, who: Credentials, transmit: "Callable[[Peer, Frame], bool]") -> Peer:
        """A new peer with an id of its own."""
        peer = Peer(self._draw(self.peers), who, transmit)
        self.peers[peer.id] = peer
        return peer

    def add(self, peer: Peer, path: bytes, type_id: int | None, signature: bytes | None) -> Served:
        """A new object. Raises UbusError, BlobError."""
        if path in self.paths:
            raise UbusError(wire.INVALID_ARGUMENT)
        if len(peer.objects) >= OBJECTS_MAX:
            raise UbusError(wire.NO_MEMORY)
        kind = None
        if type_id is not None:
            kind = self.types.get(type_id)
            if kind is None:
                raise UbusError(wire.INVALID_ARGUMENT)
        elif signature is not None:
            if len(signature) > SIGNATURE_MAX:
                raise UbusError(wire.NO_MEMORY)
            kind = ObjectType(self._draw(self.types), signature)
        served = Served(self._draw(self.objects), peer, path, kind)
        size, methods = (kind.size, len(kind.methods)) if kind is not None else (0, 0)
        served.keep(len(path) + size, 2 + methods)
        self.objects[served.id] = peer.objects[served.id] = served
        if kind is not None:
            self.types[kind.id] = kind
            kind.users += 1
        if path:
            self.paths[path] = served
            self._sorted = None
        return served

    def drop(self, served: Served) -> None:
        """Forget an object that nothing refers to any more."""
        del self.objects[served.id], served.peer.objects[served.id]
        served.peer.kept_bytes -= served.kept_bytes
        served.peer.kept_items -= served.kept_items
        if served.path:
            del self.paths[served.path]
            self._sorted = None
        if served.type is not None:
            served.type.users -= 1
            if not served.type.users:
                del self.types[served.type.id]

    def sorted_paths(self) -> list[bytes]:
        """Every path, in order; the list is replaced, never changed, when objects come and go."""
        if self._sorted is None:
            self._sorted = sorted(self.paths)
        return self._sorted

    def expect_answer(self, caller: Peer, seq: int, served: Served) -> None:
        """Note that an object owes a peer the answer to its call."""
        if len(caller.calls) >= CALLS_MAX:
            oldest_seq, _ = oldest = next(iter(caller.calls))
            del caller.calls.pop(oldest).calls[caller.id, oldest_seq]
        caller.calls[seq, served.id] = served
        served.calls[caller.id, seq] = caller

    def settle_answer(self, caller: Peer, seq: int, served: Served) -> None:
        """The answer came, or never will."""
        del caller.calls[seq, served.id], served.calls[caller.id, seq]
