# SPDX-License-Identifier: MIT
"""The C half of `json` does what the whole does, where it is used."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initd.ubus.jsontext import parse_table
from jail.errors import ConfigError
from jail.slimjson import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=10)
@given(VALUES, st.sampled_from(["", " ", "\n\t\r "]))
def test_what_is_written_and_read_is_what_json_has(value: object, space: str) -> None:
    assert dumps(value) == json.dumps(value)
    assert loads(f"{space}{json.dumps(value, ensure_ascii=False, indent=1)}{space}".encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b" ",
            b"{",
            b'{"a"',
            b'{"a":}',
            b"[1,]",
            b"1 2",
            b"{} x",
            b"NaN",
            b"-Infinity",
            b"'a'",
            b'"\n"',
        ),
        *(b"\xff", b"tru", b"[" * 100_000),
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("text", ["{", '{"a"', '{"a" 1}', '{"a":1', "[1", "[1 2", '"a', '"\\x"', "{} x"])
def test_an_error_is_said_where_the_rest_of_json_is_not_loaded(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `ubus`, and in initd at a file of ACLs that was cut off."""
    for name in ("json.decoder", "json"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ValueError):
        loads(text.encode())
    for name in ("json.decoder", "json"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigError, match=r"^acl:1:[1-9]"):
        parse_table(text, "acl")


@pytest.mark.parametrize("value", [b"a", {1, 2}, float("nan"), float("inf")])
def test_what_is_no_value_of_json_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        dumps(value)
