# SPDX-License-Identifier: MIT
"""Extended regular expressions: what they match, what is none, and the same answers as the standard library's."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initd.ere import DEPTH_MAX, REPEAT_MAX, Budget, Pattern
from jail.errors import ConfigError


def is_in(pattern: str, text: str) -> bool:
    return Pattern(pattern).is_in(text, Budget(1 << 20))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("", ["", "a"], []),
        ("b", ["b", "abc"], ["", "ac"]),
        ("^b|c$", ["bx", "xc"], ["xb", "cx"]),
        ("^a.c$", ["abc", "a\nc"], ["ac", "abcd"]),
        ("^(ab)*$", ["", "abab"], ["aba"]),
        ("^(ab|cd)+e?$", ["ab", "cdabe"], ["e", "abee"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{1,2}$", ["a", "aa"], ["", "aaa"]),
        ("^[[:alpha:]_-]+$", ["a_-Z"], ["a1", ""]),
        ("^[]a]+$", ["]a"], ["[", "b"]),
        ("^[^]a]+$", ["[b"], ["]", "a"]),
        (r"^[\.]$", [".", "\\"], ["a"]),
        (r"^a\.b\(\*$", ["a.b(*"], ["axb(*"]),
        (r"^\w+\s\d\W$", ["ab_ 1-"], ["ab1-"]),
        (r"^\D\S$", ["ab"], ["1b", "a "]),
        ("^(lan|wan6?)([0-9]+)?$", ["lan", "wan", "wan6", "wan12"], ["lanx", "wa"]),
        ("a-b", ["xa-by"], ["ab"]),
        ("^(a|)b$", ["b", "ab"], ["aab"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [text for text in (*yes, *no) if is_in(pattern, text)] == yes


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "ends too early"),
        ("a)", "was not opened"),
        ("()", "an empty group"),
        ("*a", "nothing before *"),
        ("a|*", "nothing before *"),
        ("a**", "nothing before *"),
        ("[a", "ends too early"),
        ("[b-a]", "b-a is no range"),
        ("[[:alfa:]]", "is no class"),
        ("[[.a.]]", "is no class"),
        ("[[:", "is no class"),
        ("a{", "begins no count"),
        ("a{x}", "begins no count"),
        ("a{0}", "a count is 1 to"),
        ("a{2,1}", "a count is 1 to"),
        (f"a{{{REPEAT_MAX + 1}}}", "a count is 1 to"),
        (r"(a)\1", r"\1 is not known"),
        ("a\\", "ends too early"),
        ("((a{255}){255}){255}", "more than"),
        ("(" * (DEPTH_MAX + 1) + "a" + ")" * (DEPTH_MAX + 1), "nested deeper"),
    ],
)
def test_what_is_no_pattern(pattern: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        Pattern(pattern)


def test_a_long_text_costs_what_it_is_long() -> None:
    budget = Budget(1 << 20)
    assert not Pattern("(x+x+)+y").is_in("x" * 1000, budget)
    assert (1 << 20) - budget.steps < 20_000


LETTERS = st.text("ab.^$-", max_size=8)
PATTERNS = st.recursive(
    st.sampled_from(["a", "b", ".", "^", "$", "[ab]", "[^a]", "-", r"\.", "[a-b]"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("({0[0]}|{0[1]})".format)
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{1,}"])).map(
            "({0[0]}){0[1]}".format
        )
    ),
    max_leaves=6,
)


@given(PATTERNS, LETTERS)
def test_answers_are_those_of_the_standard_library(pattern: str, text: str) -> None:
    # its dot and its dollar stop at a line's end unless it is told
    expected = re.search(pattern.replace("$", r"\Z"), text, re.DOTALL) is not None
    assert is_in(pattern, text) is expected


@given(st.text(string.printable, max_size=12), st.text(string.printable, max_size=12))
def test_any_text_is_a_pattern_or_a_configuration_error(pattern: str, text: str) -> None:
    try:
        is_in(pattern, text)
    except ConfigError as error:
        assert str(error).startswith("script: ")
