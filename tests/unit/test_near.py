# SPDX-License-Identifier: MIT
"""Near matches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail.near import did_you_mean, near

KNOWN = ["read", "write", "readv", "openat", "clock_nanosleep"]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("raed", "read"),  # two neighbours swapped are one edit
        ("READ", "read"),
        ("redv", "readv"),
        ("wrtie", "write"),
        ("clock_nanoslep", "clock_nanosleep"),
        ("clok_nansleeep", "clock_nanosleep"),
        ("xyz", ""),
        ("rxxd", ""),
        ("", ""),
        ("read" * 100, ""),
    ],
)
def test_near_match_is_the_closest_name(name: str, match: str) -> None:
    assert near(name, KNOWN) == match


def test_closest_name_wins_over_an_earlier_one() -> None:
    assert near("readvv", ["read", "readv"]) == "readv"


def test_message_ends_with_the_match_or_with_nothing() -> None:
    assert did_you_mean("raed", KNOWN) == ': did you mean "read"?'
    assert did_you_mean("xyz", KNOWN) == ""


@settings(max_examples=50, deadline=None)
@given(name=st.text("abz_0", min_size=3, max_size=12), at=st.integers(0, 12), char=st.sampled_from("axyz_1"))
def test_one_inserted_character_is_always_near(name: str, at: int, char: str) -> None:
    assert near(name[:at] + char + name[at:], [name]) == name
