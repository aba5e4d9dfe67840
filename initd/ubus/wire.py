# SPDX-License-Identifier: MIT
"""The messages of ubus: their numbers, frames, and the attributes inside. Must not read a socket."""

from _struct import Struct

from initd.ubus.blob import MAX_BYTES, NAMED, WORD, BlobError, attributes, pack_attribute, pack_table
from jail.errors import JailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initd.ubus.blob import Value

(
    HELLO,
    STATUS,
    DATA,
    PING,
    LOOKUP,
    INVOKE,
    ADD_OBJECT,
    REMOVE_OBJECT,
    SUBSCRIBE,
    UNSUBSCRIBE,
    NOTIFY,
    MONITOR,
) = range(12)
TYPE_NAMES = (
    *("hello", "status", "data", "ping", "lookup", "invoke", "add_object", "remove_object"),
    *("subscribe", "unsubscribe", "notify"),
)

(
    A_STATUS,
    A_OBJPATH,
    A_OBJID,
    A_METHOD,
    A_OBJTYPE,
    A_SIGNATURE,
    A_DATA,
    A_TARGET,
    A_ACTIVE,
    A_NO_REPLY,
    A_SUBSCRIBERS,
    A_USER,
    A_GROUP,
) = range(1, 14)
# attributes of a MONITOR message
M_CLIENT, M_PEER, M_SEND, M_SEQ, M_TYPE, M_DATA = range(6)

# objects of the broker itself; ids below SYSTEM_MAX belong to it
EVENT_OBJECT, ACL_OBJECT, MONITOR_OBJECT = 1, 2, 3
SYSTEM_MAX = 1024

(
    OK,
    INVALID_COMMAND,
    INVALID_ARGUMENT,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    NO_DATA,
    PERMISSION_DENIED,
    TIMEOUT,
    NOT_SUPPORTED,
    UNKNOWN_ERROR,
    CONNECTION_FAILED,
    NO_MEMORY,
    PARSE_ERROR,
    SYSTEM_ERROR,
) = range(14)
STATUS_TEXTS = (
    *("Success", "Invalid command", "Invalid argument", "Method not found", "Not found", "No response"),
    *("Permission denied", "Request timed out", "Operation not supported", "Unknown error"),
    *("Connection failed", "Out of memory", "Parsing message data failed", "System error"),
)

HEAD_BYTES = 12  # version, type, seq, peer and the word of the blob
FRAME_MAX = 8 + MAX_BYTES
ATTRIBUTES_MAX = 64  # of a message: there are 13 ids, and they are taken apart in one go
_HEAD = Struct(">BBHII")
_PEER = Struct(">I")
_WORDS = frozenset((A_STATUS, A_OBJID, A_OBJTYPE, A_TARGET))
_STRINGS = frozenset((A_OBJPATH, A_METHOD, A_USER, A_GROUP))
_BYTES = frozenset((A_ACTIVE, A_NO_REPLY))


class UbusError(JailError):
    """A request that ended with another status than 0; `code` is that status."""

    def __init__(self, code: int) -> None:
        super().__init__(status_text(code))
        self.code = code


def status_text(code: int) -> str:
    """What the `ubus` command says for a status."""
    return STATUS_TEXTS[code] if 0 <= code < len(STATUS_TEXTS) else f"Unknown error: {code}"


class Frame:
    """One message. `body` holds its attributes; `fd` came along with it or is -1, and has one owner."""

    __slots__ = ("body", "fd", "peer", "seq", "type")

    def __init__(self, type: int, seq: int, peer: int, body: bytes = b"", fd: int = -1) -> None:
        self.type = type
        self.seq = seq
        self.peer = peer
        self.body = body
        self.fd = fd

    def __repr__(self) -> str:
        return f"Frame(type={self.type}, seq={self.seq}, peer={self.peer:#x}, {len(self.body)} bytes)"

    def pack(self) -> bytes:
        """The bytes on the wire. Raises BlobError for a body longer than a message can be."""
        return pack_frame(self.type, self.seq, self.peer, self.body)

    def attributes(self) -> dict[int, bytes]:
        """Payloads by attribute id, those of fixed size checked; strings without their NUL.

        Unknown attributes are left out. Of two with the same id the last counts, as in libubox.
        Raises BlobError.
        """
        found = {}
        body = self.body
        left = ATTRIBUTES_MAX
        for kind, start, end in attributes(body):
            left -= 1
            if left < 0:
                raise BlobError("more attributes than a message has")
            if kind in _STRINGS:
                if start == end or body[end - 1]:
                    raise BlobError("a string that does not end")
                found[kind] = body[start:end].partition(b"\0")[0]
                continue
            if kind & NAMED or not A_STATUS <= kind <= A_GROUP:
                continue
            size = end - start
            if (kind in _WORDS and size != 4) or (kind in _BYTES and size != 1):
                raise BlobError(f"{size} bytes in attribute {kind}")
            found[kind] = body[start:end]
        return found


def pack_frame(type: int, seq: int, peer: int, body: bytes) -> bytes:
    """A frame on the wire. Raises BlobError for a body longer than a message can be."""
    length = 4 + len(body)
    if length > MAX_BYTES:
        raise BlobError("longer than a message can be")
    return _HEAD.pack(0, type, seq, peer, length) + body


def frame_length(head: "bytes | bytearray", start: int = 0) -> int:
    """How many bytes the frame has whose first HEAD_BYTES are at `start`.

    Raises BlobError for a frame that nobody may send: another version, a length that is no multiple of four
    or above 1 MiB, a blob with an id.
    """
    version, _, _, _, word = _HEAD.unpack_from(head, start)
    # the upper byte is the blob's id; it and all above MAX_BYTES fall to one comparison
    if version or not 4 <= word <= MAX_BYTES or word & 3:
        raise BlobError(f"no frame: version {version}, blob {word:#010x}")
    return 8 + int(word)


def unpack_frame(data: "bytes | bytearray", start: int, end: int) -> Frame:
    """The frame in data[start:end], whose length frame_length() found."""
    _, type, seq, peer, _ = _HEAD.unpack_from(data, start)
    return Frame(type, seq, peer, bytes(data[start + HEAD_BYTES : end]))


def word(payload: bytes) -> int:
    """The number in an attribute of four bytes."""
    return int(_PEER.unpack(payload)[0])


def as_int32(id: int) -> int:
    """An id as the signed number that a table carries."""
    return id - (1 << 32) if id >= 1 << 31 else id


def pack_word(id: int, value: int) -> bytes:
    """An attribute that holds an id or a status."""
    return WORD.pack(id << 24 | 8) + WORD.pack(value)


def pack_flag(id: int, value: bool) -> bytes:
    """An attribute of one byte, true or false."""
    return pack_attribute(id, b"\1" if value else b"\0")


def pack_string(id: int, value: bytes) -> bytes:
    """An attribute that holds a string; the NUL is added."""
    return pack_attribute(id, value + b"\0")


def path_bytes(text: str) -> bytes:
    """A path or method as bytes. Raises UbusError (invalid argument) for what is no text or has a NUL."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UbusError(INVALID_ARGUMENT) from None
    if b"\0" in raw:
        raise UbusError(INVALID_ARGUMENT)
    return raw


def lookup_body(path: str | None) -> bytes:
    """LOOKUP of one path, of a prefix that ends in `*`, or of everything."""
    return b"" if path is None else pack_string(A_OBJPATH, path_bytes(path))


def invoke_body(object_id: int, method: str, data: "Mapping[str, Value]") -> bytes:
    """INVOKE; NOTIFY starts the same way. Raises BlobError."""
    return raw_invoke_body(object_id, path_bytes(method), pack_table(data))


def raw_invoke_body(object_id: int, method: bytes, data: bytes) -> bytes:
    """INVOKE with data that is packed already."""
    head = pack_word(A_OBJID, object_id) + pack_string(A_METHOD, method)
    return head + pack_attribute(A_DATA, data)


def status_body(status: int, object_id: int) -> bytes:
    """STATUS of an object for one call."""
    return pack_word(A_STATUS, status) + pack_word(A_OBJID, object_id)


def data_body(object_id: int, data: "Mapping[str, Value]") -> bytes:
    """DATA of an object for one call. Raises BlobError."""
    return pack_word(A_OBJID, object_id) + pack_attribute(A_DATA, pack_table(data))
