# SPDX-License-Identifier: MIT
"""The data format of ubus: attributes (blob) and named, typed values (blobmsg), to and from Python values.

A length is believed only after it was held against the bytes that are really there, and nesting is bounded,
so hostile bytes cost no more than their own size. Must not read a socket.
"""

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    # unspec without bytes is None, int8 of 0 or 1 is bool, int32 is int; the classes below keep other sizes
    Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
    Table: TypeAlias = "dict[str, Value]"

UNSPEC, ARRAY, TABLE, STRING, INT64, INT32, INT16, INT8, DOUBLE = range(9)
MAX_BYTES = 1 << 20  # the largest message of ubus, so the largest attribute too
MAX_DEPTH = 32
NAMED = 0x80  # in the upper byte of an attribute's word: a blobmsg name comes first
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1

WORD = Struct(">I")
_HEAD = Struct(">IH")
_SHORT = Struct(">H")
_SCALARS = {INT8: Struct(">b"), INT16: Struct(">h"), INT32: Struct(">i"), INT64: Struct(">q")}
_REAL = Struct(">d")
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")


class BlobError(ValueError):
    """Bytes that are no blob, or a value that cannot become one."""


class Int8(int):
    """A number to be sent as int8; also how an int8 that is neither 0 nor 1 arrives."""

    __slots__ = ()


class Int16(int):
    """A number that is an int16 on the wire."""

    __slots__ = ()


class Int64(int):
    """A number that is an int64 on the wire even where it would fit into an int32."""

    __slots__ = ()


_SIZED = {INT8: Int8, INT16: Int16, INT64: Int64}


def pack_attribute(kind: int, payload: bytes) -> bytes:
    """One attribute with its padding; `kind` is the upper byte of its word."""
    length = 4 + len(payload)
    if length > MAX_BYTES:
        raise BlobError("longer than a message can be")
    return WORD.pack(kind << 24 | length) + payload + _PAD[length & 3]


def attributes(data: bytes, start: int = 0, end: int = -1) -> "Iterator[tuple[int, int, int]]":
    """Walk the attributes in data[start:end]: upper byte of the word, start and end of the payload.

    Raises BlobError where a length leaves the bytes that are there.
    """
    if end < 0:
        end = len(data)
    while start < end:
        if end - start < 4:
            raise BlobError("cut off inside an attribute's length")
        (word,) = WORD.unpack_from(data, start)
        length = word & 0xFFFFFF
        following = start + (length + 3 & ~3)
        if length < 4 or following > end:
            raise BlobError(f"an attribute of {length} bytes where {end - start} are left")
        yield word >> 24, start + 4, start + length
        start = following


def pack_table(values: "Mapping[str, Value]") -> bytes:
    """The content of a table, without a head of its own: what DATA carries. Raises BlobError."""
    return b"".join([_pack(_text(name), value, 1) for name, value in values.items()])


def unpack_table(data: bytes, start: int = 0, end: int = -1) -> "Table":
    """The values of a table's content. Of two with the same name the first counts, as in libubox."""
    return _unpack_table(data, start, len(data) if end < 0 else end, 1)


def split_table(data: bytes) -> list[tuple[bytes, bytes]]:
    """The values of a table's content by name, each as the bytes it came in, all of them checked."""
    _unpack_table(data, 0, len(data), 1)
    pairs = zip(attributes(data), _named(data, 0, len(data)), strict=True)
    return [(name, data[first - 4 : stop + 3 & ~3]) for (_, first, stop), (_, name, _, _) in pairs]


def _text(text: str) -> bytes:
    """UTF-8; bytes that are none came in as surrogates and leave as they came."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BlobError(f"{text!r} is no text") from error
    if b"\0" in raw:  # every other reader stops there and would see another string
        raise BlobError("a NUL byte inside a string")
    return raw


def _pack(name: bytes, value: "Value", depth: int) -> bytes:
    kind, payload = _payload(value, depth)
    size = len(name)
    if size > 0xFFFF:
        raise BlobError("a name longer than 65535 bytes")
    head = size + 6 & ~3  # two bytes of length, the name, its NUL, padded
    length = 4 + head + len(payload)
    if length > MAX_BYTES:
        raise BlobError("longer than a message can be")
    word = (NAMED | kind) << 24 | length
    return b"".join((_HEAD.pack(word, size), name, bytes(head - 2 - size), payload, _PAD[length & 3]))


def _payload(value: "Value", depth: int) -> tuple[int, bytes]:
    kind = type(value)
    if kind is str:
        return STRING, _text(value) + b"\0"  # type: ignore[arg-type]
    if kind is bool:
        return INT8, b"\1" if value else b"\0"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, dict):
        _bound(depth)
        return TABLE, b"".join([_pack(_text(name), item, depth + 1) for name, item in value.items()])
    if isinstance(value, list | tuple):
        _bound(depth)
        return ARRAY, b"".join([_pack(b"", item, depth + 1) for item in value])
    if kind is float:
        return DOUBLE, _REAL.pack(value)
    if value is None:
        return UNSPEC, b""
    if isinstance(value, bytes):
        return UNSPEC, value
    raise BlobError(f"{kind.__name__} has no type on the wire")


def _bound(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise BlobError(f"nested deeper than {MAX_DEPTH}")


def _integer(value: int) -> tuple[int, bytes]:
    kind = INT32 if INT32_MIN <= value <= INT32_MAX else INT64
    for sized, mark in _SIZED.items():
        if isinstance(value, mark):
            kind = sized
    packer = _SCALARS[kind]
    if not -1 << packer.size * 8 - 1 <= value < 1 << packer.size * 8 - 1:
        raise BlobError(f"{value} does not fit into {packer.size * 8} bits")
    return kind, packer.pack(value)


def _named(data: bytes, start: int, end: int) -> "Iterator[tuple[int, bytes, int, int]]":
    for kind, first, stop in attributes(data, start, end):
        if not kind & NAMED or stop - first < 4:
            raise BlobError("a value without a name")
        (size,) = _SHORT.unpack_from(data, first)
        body = first + (size + 6 & ~3)
        if body > stop or data[first + 2 + size]:
            raise BlobError("a name that does not end")
        yield kind & 0x7F, data[first + 2 : first + 2 + size], body, stop


def _unpack_table(data: bytes, start: int, end: int, depth: int) -> "Table":
    table: Table = {}
    for kind, raw, body, stop in _named(data, start, end):
        name = raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        table.setdefault(name, _unpack(data, kind, body, stop, depth))
    return table


def _unpack(data: bytes, kind: int, start: int, end: int, depth: int) -> "Value":
    if kind == STRING:
        if start == end or data[end - 1]:
            raise BlobError("a string that does not end")
        return data[start:end].partition(b"\0")[0].decode("utf-8", "surrogateescape")
    if kind in (TABLE, ARRAY):
        _bound(depth)
        if kind == TABLE:
            return _unpack_table(data, start, end, depth + 1)
        return [_unpack(data, of, at, stop, depth + 1) for of, _, at, stop in _named(data, start, end)]
    if kind == UNSPEC:
        return data[start:end] or None
    packer = _REAL if kind == DOUBLE else _SCALARS.get(kind)
    if packer is None:
        raise BlobError(f"type {kind} is not known")
    if end - start != packer.size:
        raise BlobError(f"{end - start} bytes for a number of {packer.size}")
    (number,) = packer.unpack_from(data, start)
    if kind == INT8 and number in (0, 1):
        return bool(number)
    mark = _SIZED.get(kind)
    return mark(number) if mark else number  # type: ignore[no-any-return]


def type_of(value: "Value") -> int:
    """The blobmsg type that a value has on the wire."""
    return (
        _payload(value, 1)[0] if not isinstance(value, dict | list) else (ARRAY, TABLE)[type(value) is dict]
    )
