# SPDX-License-Identifier: MIT
"""The language of triggers: what each word means, what a bad script says, and that a bad one does nothing."""

import re
import string
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initd.ere import PATTERN_MAX
from initd.jsonscript import MAX_DEPTH, check, expand, run
from jail.errors import ConfigError

if TYPE_CHECKING:
    from initd.ubus.blob import Value

DATA = {"package": "dhcp", "empty": "", "n.x": "dots", "s": "S"}
YES: "list[Value]" = ["run_script", "yes"]
NO: "list[Value]" = ["run_script", "no"]


def outcome(script: "Value") -> list[list[str]]:
    asked: list[list[str]] = []
    run(script, DATA, asked.append)
    return asked


def is_true(condition: "Value") -> bool:
    """What a condition says, and that `not` and the branches agree."""
    (first,) = outcome(["if", condition, YES, NO])
    (second,) = outcome(["if", ["not", condition], NO, YES])
    assert first == second
    assert outcome(["if", condition, YES]) == ([["yes"]] if first == ["yes"] else [])
    return first == ["yes"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (["eq", "package", "dhcp"], True),
        (["eq", "package", "dhc"], False),
        (["eq", "package", "x", "dhcp"], True),
        (["eq", "package", ["x", "dhcp"]], True),
        (["eq", "package", []], False),
        (["eq", "package", "%package%"], True),
        (["eq", "empty", ""], True),
        (["eq", "unknown", ""], False),
        (["has", "empty"], True),
        (["has", "unknown"], False),
        (["regex", "package", "^dh"], True),
        (["regex", "package", "c"], True),
        (["regex", "package", "^c"], False),
        (["regex", "package", "x", ["y", "[[:alpha:]]{4}"]], True),
        (["regex", "package", "[^[:alpha:]]"], False),
        (["regex", "unknown", ".*"], False),
        (["and", ["has", "package"], ["has", "empty"]], True),
        (["and", ["has", "package"], ["has", "unknown"]], False),
        (["or", ["has", "unknown"], ["has", "empty"]], True),
        (["or", ["has", "unknown"]], False),
    ],
)
def test_conditions(condition: "Value", expected: bool) -> None:
    assert is_true(condition) is expected


def test_a_script_is_a_command_or_a_list_of_them() -> None:
    assert outcome([]) == []
    assert outcome(["run_script", "a", "b c", ""]) == [["a", "b c", ""]]
    assert outcome([["run_script", "a"], [["run_script", "b"], []]]) == [["a"], ["b"]]
    assert outcome(["if", ["has", "s"], [["run_script", "a"], ["run_script", "b"]]]) == [["a"], ["b"]]
    assert outcome(["if", ["has", "s"], [], NO]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%package%", "dhcp"),
        ("<%package%%package%>", "<dhcpdhcp>"),
        ("%unknown%", ""),
        ("%empty%", ""),
        ("100%", "100%"),
        ("100%%", "100%"),
        ("%%package%%", "%package%"),
        ("+%s.%N", "+%s.%N"),
        ("%n.x%", "dots"),
        ("%a b%package%", "%a bdhcp"),
        ("%", "%"),
        ("", ""),
    ],
)
def test_percent_signs(text: str, expected: str) -> None:
    assert expand(text, DATA) == expected
    assert outcome(["run_script", text]) == [[expected]]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("reload", "a script is a list"),
        (None, "a script is a list"),
        (["run_scrip", "x"], '"run_scrip" is no command: did you mean "run_script"?'),
        ([["exec", "x"]], '"exec" is no command'),
        (["run_script"], "run_script needs a command"),
        (["run_script", 1], "an argument of run_script is no string"),
        (["if", ["has", "s"]], "if needs a condition"),
        (["if", ["has", "s"], YES, NO, NO], "if needs a condition"),
        (["if", "s", YES], "a condition is a list"),
        (["if", [], YES], "a condition begins with its name"),
        (["if", ["hass", "s"], YES], '"hass" is no condition: did you mean "has"?'),
        (["if", ["has"], YES], "has needs 1 argument"),
        (["if", ["not", ["has", "s"], ["has", "s"]], YES], "not needs 1 argument"),
        (["if", ["eq", "s"], YES], "eq needs at least 2 arguments"),
        (["if", ["eq", "s", {"a": "b"}], YES], "an argument of eq is no string"),
        (["if", ["or"], YES], "or needs a condition"),
        (["if", ["regex", "s", "("], YES], '"(" is no pattern'),
        (["if", ["regex", "s", "a" * (PATTERN_MAX + 1)], YES], "a pattern longer than"),
    ],
)
def test_a_bad_script_says_what_is_wrong(script: "Value", fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)):
        check(script)
    with pytest.raises(ConfigError, match=re.escape(fault)):
        check(["if", ["or", ["has", "package"], ["has", "s"]], [], script])  # in the branch that is not taken


def test_a_bad_script_does_nothing() -> None:
    asked: list[list[str]] = []
    with pytest.raises(ConfigError):
        run([YES, ["nonsense"]], DATA, asked.append)
    assert asked == []


def test_depth_is_bounded() -> None:
    script: Value = YES
    for _ in range(MAX_DEPTH):
        script = [script]
    assert outcome(script) == [["yes"]]
    with pytest.raises(ConfigError, match="deeper"):
        check([script])
    condition: Value = ["has", "s"]
    for _ in range(10_000):
        condition = ["not", condition]
    with pytest.raises(ConfigError, match="deeper"):
        check(["if", condition, YES])


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a*)*b", "a*a*a*a*a*a*a*b", "(a?){200}a{200}"])
def test_no_pattern_keeps_initd_busy(pattern: str) -> None:
    """Nor many of them: what they may cost is counted for the script."""
    asked: list[list[str]] = []
    run(["if", ["regex", "name", pattern], YES], {"name": "a" * 40 + "!"}, asked.append)
    with pytest.raises(ConfigError, match="patterns take too long"):
        run(["if", ["regex", "name", *[pattern] * 9], YES], {"name": "a" * 100_000 + "!"}, asked.append)
    assert asked == []


def test_patterns_are_loaded_only_if_there_are_any() -> None:
    source = "import sys; from initd.jsonscript import check; check(['run_script', 'x'])"
    source += "; print('initd.ere' in sys.modules)"
    assert subprocess_output(source) == "False"


def subprocess_output(source: str) -> str:
    import subprocess

    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {source}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


WORDS = st.sampled_from(
    ["if", "eq", "has", "regex", "or", "and", "not", "run_script", "package", "%s%", "[", ""]
)
LEAVES = (
    WORDS | st.none() | st.booleans() | st.integers(0, 3) | st.text(string.punctuation + "ab", max_size=6)
)
SCRIPTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=12,
)


@given(SCRIPTS)
def test_any_value_is_a_script_or_a_configuration_error(script: "Value") -> None:
    asked: list[list[str]] = []
    try:
        run(script, DATA, asked.append)
    except ConfigError as error:
        assert asked == [] and str(error).startswith("script: ")
    else:
        check(script)


@given(st.text("%ab. s", max_size=12))
def test_doubled_percent_signs_come_out_as_they_were(text: str) -> None:
    assert expand(text.replace("%", "%%"), DATA) == text
