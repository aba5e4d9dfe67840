# SPDX-License-Identifier: MIT
"""What `ubus monitor` prints of the copy of a message."""

from initd.ubus import wire
from initd.ubus.blob import BlobError, attributes, unpack_table
from initd.ubus.jsontext import format_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table

_NAMES = {
    wire.A_STATUS: "status",
    wire.A_OBJPATH: "objpath",
    wire.A_OBJID: "objid",
    wire.A_METHOD: "method",
    wire.A_OBJTYPE: "objtype",
    wire.A_SIGNATURE: "signature",
    wire.A_DATA: "data",
    wire.A_ACTIVE: "active",
    wire.A_NO_REPLY: "no_reply",
    wire.A_USER: "user",
    wire.A_GROUP: "group",
}
_PARTS = {wire.M_CLIENT: 4, wire.M_PEER: 4, wire.M_SEND: 1, wire.M_TYPE: 4, wire.M_DATA: -1}


class Copy:
    """A copied message: whose, in which direction, and what it says."""

    __slots__ = ("body", "client", "is_sent", "peer", "type")

    def __init__(self, raw: bytes) -> None:
        """Raises BlobError."""
        parts = {kind: raw[start:end] for kind, start, end in attributes(raw)}
        for kind, size in _PARTS.items():
            if kind not in parts or len(parts[kind]) != size >= 0:
                raise BlobError("no copy of a message")
        self.client = wire.word(parts[wire.M_CLIENT])
        self.peer = wire.word(parts[wire.M_PEER])
        self.type = wire.word(parts[wire.M_TYPE])
        self.is_sent = parts[wire.M_SEND] != b"\0"
        self.body = parts[wire.M_DATA]

    def line(self) -> str:
        """One line for people."""
        word = wire.TYPE_NAMES[self.type] if self.type < len(wire.TYPE_NAMES) else str(self.type)
        arrow = "->" if self.is_sent else "<-"
        return f"{arrow} {self.client:08x} #{self.peer:08x} {word:>14}: {format_value(describe(self.body))}"


def describe(body: bytes) -> "Table":
    """The attributes of a message, in the order of their ids; a part that is no table is left empty.

    Anybody may send what is no message, and a monitor that ends by it would see nothing of what follows.
    """
    table: Table = {}
    try:
        found = wire.Frame(0, 0, 0, body).attributes()
    except BlobError as error:
        return {"unreadable": str(error)}
    for kind, payload in sorted(found.items()):
        name = _NAMES.get(kind)
        if name is None:
            continue
        if kind in (wire.A_DATA, wire.A_SIGNATURE):
            table[name] = _table(payload)
        elif kind in (wire.A_STATUS, wire.A_OBJID, wire.A_OBJTYPE):
            table[name] = wire.as_int32(wire.word(payload))
        elif kind in (wire.A_ACTIVE, wire.A_NO_REPLY):
            table[name] = payload != b"\0"
        else:
            table[name] = payload.decode("utf-8", "surrogateescape")
    return table


def _table(payload: bytes) -> "Table":
    try:
        return unpack_table(payload)
    except BlobError:
        return {}
