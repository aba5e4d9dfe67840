# SPDX-License-Identifier: MIT
"""The format of ubus' data against the recorded frames of the real programs, and against hostile bytes."""

import contextlib
import json
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initd.ubus import wire
from initd.ubus.blob import (
    MAX_BYTES,
    MAX_DEPTH,
    BlobError,
    Int8,
    Int16,
    Int64,
    attributes,
    pack_attribute,
    pack_table,
    unpack_table,
)

if TYPE_CHECKING:
    from initd.ubus.blob import Table, Value

RECORDED = json.loads((Path(__file__).parent / "ubus-frames.json").read_text())
FRAMES = [bytes.fromhex(frame["hex"]) for frame in RECORDED["frames"]]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

INTEGERS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**15), 2**15 - 1).map(Int16),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.integers(-128, 127).filter(lambda number: number not in (0, 1)).map(Int8),
)
STRINGS = st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
SCALARS = st.one_of(
    st.none(), INTEGERS, st.floats(allow_nan=False), STRINGS, st.binary(min_size=1, max_size=9)
)
VALUES: "st.SearchStrategy[Value]" = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(STRINGS, inner, max_size=4))
)
TABLES: "st.SearchStrategy[Table]" = st.dictionaries(STRINGS, VALUES, max_size=6)


def frame_of(raw: bytes) -> wire.Frame:
    assert wire.frame_length(raw) == len(raw)
    return wire.unpack_frame(raw, 0, len(raw))


def repacked(frame: wire.Frame) -> bytes:
    """The body of a frame, every value decoded and encoded again, in the recorded order."""
    out = b""
    if frame.type == wire.MONITOR:
        for kind, start, end in attributes(frame.body):
            inner = wire.Frame(wire.INVOKE, 0, 0, frame.body[start:end])
            out += pack_attribute(kind, repacked(inner) if kind == wire.M_DATA else inner.body)
        return out
    payloads = frame.attributes()
    for kind, start, end in attributes(frame.body):
        payload = frame.body[start:end]
        if kind in (wire.A_DATA, wire.A_SIGNATURE) and payload[:1] != b"\x03":
            payload = pack_table(unpack_table(payload))
        elif kind in (wire.A_STATUS, wire.A_OBJID, wire.A_OBJTYPE, wire.A_TARGET):
            out += wire.pack_word(kind, wire.word(payloads[kind]))
            continue
        elif kind in (wire.A_OBJPATH, wire.A_METHOD, wire.A_USER, wire.A_GROUP):
            out += wire.pack_string(kind, payloads[kind])
            continue
        out += pack_attribute(kind, payload)
    return out


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_a_recorded_frame_comes_out_as_it_went_in(number: int) -> None:
    frame = frame_of(FRAMES[number])
    frame.body = repacked(frame)
    assert frame.pack() == FRAMES[number]


def test_all_frames_are_there() -> None:
    assert len(FRAMES) == 167


def test_a_value_of_every_type_as_the_real_command_sent_it() -> None:
    frame = next(frame_of(raw) for raw in FRAMES if b"\3big" in raw and raw[1] == wire.INVOKE)
    data = unpack_table(frame.attributes()[wire.A_DATA])["data"]
    assert data == {"n": 5, "b": True, "f": 1.5, "neg": -3, "big": 5000000000, "s": 'ü"\\'}
    assert list(data) == ["n", "b", "f", "neg", "big", "s"]
    assert data["b"] is True and type(data["big"]) is Int64


@QUICK
@given(TABLES)
def test_what_is_packed_comes_back_with_its_types(table: "Table") -> None:
    raw = pack_table(table)
    back = unpack_table(raw)
    assert back == table and list(back) == list(table)
    assert pack_table(back) == raw and len(raw) % 4 == 0


def test_the_bytes_are_in_network_order() -> None:
    assert pack_table({"a": 1}) == bytes.fromhex("8500000c 0001 6100 00000001")
    assert pack_table({"": Int16(-2)}) == bytes.fromhex("8600000a 0000 0000 fffe 0000")
    assert pack_table({"d": 1.5})[8:] == struct.pack(">d", 1.5)
    assert pack_table({"l": [None, False]}) == bytes.fromhex(
        "8100001c 0001 6c00 80000008 00000000 87000009 00000000 00000000"
    )


def test_a_nan_stays_one() -> None:
    back = unpack_table(pack_table({"d": math.nan}))["d"]
    assert isinstance(back, float) and math.isnan(back)


def test_of_two_values_with_one_name_the_first_counts() -> None:
    assert unpack_table(pack_table({"a": 1}) + pack_table({"a": 2})) == {"a": 1}


def test_a_string_ends_at_its_first_nul_as_in_c() -> None:
    assert unpack_table(bytes.fromhex("8300000c 0001 6100 78007900")) == {"a": "x"}


def test_a_signature_is_a_table_of_types() -> None:
    frame = frame_of(next(raw for raw in FRAMES if b"hotplug.button" in raw))
    assert pack_table({"call": {"env": 1}}) == frame.attributes()[wire.A_SIGNATURE]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("8500", "cut off"),
        ("85000003", "an attribute of 3 bytes"),
        ("85000010 0001 6100 00000001", "an attribute of 16 bytes where 12"),
        ("0500000c 0001 6100 00000001", "without a name"),
        ("85000004", "without a name"),
        ("8500000c ffff 6100 00000001", "does not end"),
        ("8500000c 0001 6161 00000001", "does not end"),
        ("8500000b 0001 6100 00000100", "3 bytes for a number of 4"),
        ("87000008 0001 6100", "0 bytes for a number of 1"),
        ("83000008 0001 6100", "string that does not end"),
        ("8300000c 0001 6100 61616161", "string that does not end"),
        ("8900000c 0001 6100 61616161", "type 9 is not known"),
        ("8200000c 0001 6100 00000008", "an attribute of 8 bytes where 4"),
    ],
)
def test_wrong_bytes_are_refused(raw: str, message: str) -> None:
    with pytest.raises(BlobError, match=message):
        unpack_table(bytes.fromhex(raw))


def nested(depth: int) -> "Value":
    value: Value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded_both_ways() -> None:
    deepest = pack_table({"a": nested(MAX_DEPTH - 1)})
    assert unpack_table(deepest)
    with pytest.raises(BlobError, match="deeper"):
        pack_table({"a": nested(MAX_DEPTH)})
    raw = b""
    for _ in range(20000):  # far beyond what recursion would stand
        raw = struct.pack(">II", 0x81 << 24 | len(raw) + 8, 0) + raw
    with pytest.raises(BlobError, match="deeper"):
        unpack_table(raw)


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        -(2**63) - 1,
        Int8(128),
        Int16(-40000),
        "a\0b",
        "\ud800",
        {"a\0": 1},
        {"x" * 65536: 1},
        b"x" * MAX_BYTES,
    ],
)
def test_what_has_no_place_on_the_wire_is_refused(value: "Value") -> None:
    with pytest.raises(BlobError):
        pack_table({"a": value})


@QUICK
@given(st.binary(max_size=120))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(BlobError):
        unpack_table(raw)


@QUICK
@given(st.sampled_from(FRAMES), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_frame_decodes_or_is_refused(raw: bytes, at: int, change: bytes) -> None:
    damaged = bytearray(raw)
    at %= len(damaged)
    damaged[at : at + len(change)] = change[: len(damaged) - at]
    try:
        length = wire.frame_length(bytes(damaged))
        assert 12 <= length <= wire.FRAME_MAX
        payloads = wire.unpack_frame(bytes(damaged), 0, len(damaged)).attributes()
        unpack_table(payloads.get(wire.A_DATA, b""))
    except BlobError:
        pass


@pytest.mark.parametrize("head", ["01", "0000000000000000 00000000", "0000000000000000 00000003"])
def test_a_head_that_is_no_frame_is_refused(head: str) -> None:
    with pytest.raises(BlobError):
        wire.frame_length(bytes.fromhex(head).ljust(12, b"\0"))


@pytest.mark.parametrize("word", [0x00100004, 0x00FFFFFC, 0x01000008, 0x80000008, 0x00000006])
def test_a_blob_that_is_too_long_or_has_an_id_is_refused(word: int) -> None:
    with pytest.raises(BlobError):
        wire.frame_length(struct.pack(">II", 0, 0) + struct.pack(">I", word))


def test_the_largest_frame_is_allowed() -> None:
    raw = wire.pack_frame(wire.PING, 1, 0, bytes(MAX_BYTES - 4))
    assert wire.frame_length(raw) == len(raw) == wire.FRAME_MAX
    with pytest.raises(BlobError):
        wire.pack_frame(wire.PING, 1, 0, bytes(MAX_BYTES))


@pytest.mark.parametrize(
    "body",
    [
        pack_attribute(wire.A_OBJID, b"\0" * 3),
        pack_attribute(wire.A_STATUS, b"\0" * 8),
        pack_attribute(wire.A_METHOD, b"abc"),
        pack_attribute(wire.A_OBJPATH, b""),
        pack_attribute(wire.A_NO_REPLY, b"\0\0"),
        b"\0\0\0\x20",
    ],
)
def test_wrong_attributes_are_refused(body: bytes) -> None:
    with pytest.raises(BlobError):
        wire.Frame(wire.INVOKE, 1, 1, body).attributes()
