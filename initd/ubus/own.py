# SPDX-License-Identifier: MIT
"""The broker's own objects: events (1), the ACL as clients may ask for it (2), copies of all traffic (3)."""

from initd.ubus import wire
from initd.ubus.acl import LISTEN, SEND
from initd.ubus.blob import pack_attribute, pack_table, unpack_table
from initd.ubus.exchange import Exchange, has_room
from initd.ubus.registry import OBJECTS_MAX, Peer, Served
from initd.ubus.wire import Frame, pack_flag, pack_string, pack_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table, Value

RESERVED = b"ubus."  # events that only the broker sends
DATA_MAX = 1 << 16  # of who is not root: it is taken apart in one go, before the ACL can be asked


class Events:
    """Object 1: who listens to which events, and sending them."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._sent = 0
        self._listeners: dict[int, Served] = {}  # objects with patterns
        exchange.own[wire.EVENT_OBJECT] = self._call
        exchange.on_object = self._tell_object

    def _call(self, peer: Peer, frame: Frame, method: bytes, data: bytes) -> int:
        if peer.who.uid and len(data) > DATA_MAX:
            return wire.INVALID_ARGUMENT
        table = unpack_table(data)
        if method == b"register":
            return self._register(peer, table)
        if method == b"send":
            return self._send_for(peer, table)
        return wire.INVALID_COMMAND

    def _register(self, peer: Peer, table: "Table") -> int:
        id, text = table.get("object"), table.get("pattern")
        if not isinstance(id, int) or not isinstance(text, str):
            return wire.INVALID_ARGUMENT
        served = self._exchange.own_object(peer, id & 0xFFFFFFFF)
        pattern = text.encode("utf-8", "surrogateescape")
        is_prefix = pattern.endswith(b"*")
        pattern = pattern[:-1] if is_prefix else pattern
        if not self._exchange.acl.allows(peer.who, LISTEN, pattern, is_prefix=is_prefix):
            return wire.PERMISSION_DENIED
        if (pattern, is_prefix) in served.patterns:
            return wire.OK
        if len(served.patterns) >= OBJECTS_MAX:
            return wire.NO_MEMORY
        served.keep(len(pattern) + 1, 1)
        served.patterns.append((pattern, is_prefix))
        self._listeners[served.id] = served
        return wire.OK

    def _send_for(self, peer: Peer, table: "Table") -> int:
        name, data = table.get("id"), table.get("data")
        if not isinstance(name, str) or not isinstance(data, dict):
            return wire.INVALID_ARGUMENT
        event = name.encode("utf-8", "surrogateescape")
        if event.startswith(RESERVED) or not self._exchange.acl.allows(peer.who, SEND, event):
            return wire.PERMISSION_DENIED
        self.send(event, data, peer)
        return wire.OK

    def send(self, event: bytes, data: "Table", sender: Peer | None = None) -> None:
        """Send an event to all who listen to its name, once to each object, and not back to the sender.

        Lost for those who have too much to read already.
        """
        rest = pack_string(wire.A_METHOD, event) + pack_attribute(wire.A_DATA, pack_table(data))
        for id, served in list(self._listeners.items()):
            if served.peer is not sender and _is_heard(event, served) and has_room(served.peer, len(rest)):
                self._sent += 1
                served.peer.send(wire.INVOKE, self._sent, 0, pack_word(wire.A_OBJID, id) + rest)

    def _tell_object(self, served: Served, is_added: bool) -> None:
        if not is_added:
            self._listeners.pop(served.id, None)
        if not served.path:
            return
        path = served.path.decode("utf-8", "surrogateescape")
        event = b"ubus.object.add" if is_added else b"ubus.object.remove"
        self.send(event, {"id": wire.as_int32(served.id), "path": path})


def _is_heard(event: bytes, served: Served) -> bool:
    return any(
        event.startswith(pattern) if is_prefix else event == pattern for pattern, is_prefix in served.patterns
    )


class AclObject:
    """Object 2: what the ACL files say under `acl` about the objects of the one who asks."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        exchange.own[wire.ACL_OBJECT] = self._call

    def _call(self, peer: Peer, frame: Frame, method: bytes, data: bytes) -> int:
        if method != b"query":
            return wire.INVALID_COMMAND
        acl = self._exchange.acl
        found: list[Value] = []
        for grant in acl.grants:
            if grant.acl is None:
                continue
            for served in peer.objects.values():
                if served.path and grant.covers(served.path):
                    entry: Table = {"obj": served.path.decode("utf-8", "surrogateescape")}
                    entry |= {
                        key: name for key, name in (("user", grant.user), ("group", grant.group)) if name
                    }
                    found.append(entry | {"acl": grant.acl})
        body = wire.data_body(wire.ACL_OBJECT, {"seq": acl.sequence, "acl": found})
        peer.send(wire.DATA, frame.seq, frame.peer, body)
        return wire.OK


class Monitor:
    """Object 3: copies of every frame for root."""

    def __init__(self, exchange: Exchange) -> None:
        self._peers: dict[int, Peer] = {}
        exchange.own[wire.MONITOR_OBJECT] = self._call

    def _call(self, peer: Peer, frame: Frame, method: bytes, data: bytes) -> int:
        if peer.who.uid:
            return wire.PERMISSION_DENIED
        if method == b"add":
            self._peers[peer.id] = peer
            peer.copies = 0
        elif method == b"remove":
            self.forget(peer)
        else:
            return wire.METHOD_NOT_FOUND
        return wire.OK

    def forget(self, peer: Peer) -> None:
        """No more copies to this peer."""
        self._peers.pop(peer.id, None)

    def copy(self, peer: Peer, frame: Frame, is_sent: bool) -> None:
        """Copy a frame that was received from a peer or is to be sent to it. A copy is not copied again."""
        if not self._peers or frame.type == wire.MONITOR or len(frame.body) > wire.FRAME_MAX - 64:
            return
        body = pack_word(wire.M_CLIENT, peer.id) + pack_word(wire.M_PEER, frame.peer)
        body += pack_word(wire.M_SEQ, frame.seq) + pack_word(wire.M_TYPE, frame.type)
        body += pack_flag(wire.M_SEND, is_sent) + pack_attribute(wire.M_DATA, frame.body)
        for watching in list(self._peers.values()):
            watching.copies += 1
            watching.send(wire.MONITOR, watching.copies, 0, body)
