# SPDX-License-Identifier: MIT
"""Triggers: which events are meant, what a bad one says, and that it does not keep others from being run."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initd.triggers import Trigger, fire, read, variables

if TYPE_CHECKING:
    from initd.ubus.blob import Table, Value

RELOAD: "list[Value]" = ["run_script", "/etc/init.d/x", "reload"]


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ("config.change", "config.change", True),
        ("config.change", "config.changed", False),
        ("config.change", "config", False),
        ("interface.*", "interface.up", True),
        ("interface.*", "interface.wan.up", True),
        ("interface.*", "interface", True),
        ("interface.*", "interface.", False),
        ("interface.*", "interfaces.up", False),
        ("interface.*.up", "interface.up", True),
        ("interface.*.up", "interface.wan.up", True),
        ("interface.*.up", "interface.down", False),
        ("interface.*.up", "interface.wan.down", False),
        ("interface.*.up", "interface.wan.upper", False),
        ("interface.*.up", "interface..up", False),
        ("a*b", "axb", False),
        ("a*b", "a*b", True),
        (".*", "anything", False),
        (".*", ".anything", True),
    ],
)
def test_which_event_is_meant(pattern: str, event: str, expected: bool) -> None:
    assert Trigger(pattern, RELOAD).matches(event) is expected


def test_triggers_are_read_with_their_delay() -> None:
    triggers, faults = read([["config.change", RELOAD], ["interface.*", [RELOAD], 1000]])
    assert faults == []
    assert [(it.event, it.script, it.delay_ms) for it in triggers] == [
        ("config.change", RELOAD, 0),
        ("interface.*", [RELOAD], 1000),
    ]
    assert read(None) == ([], []) and read([]) == ([], [])


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("config.change", "not a list of an event"),
        (["config.change"], "not a list of an event"),
        (["a", RELOAD, 1, 2], "not a list of an event"),
        ([1, RELOAD], "the event is no string"),
        (["", RELOAD], "the event is no string"),
        (["a.*.b.*", RELOAD], '"a.*.b.*" has more than one'),
        (["a", RELOAD, "1000"], "the delay is no number"),
        (["a", RELOAD, -1], "the delay is no number"),
        (["a", RELOAD, True], "the delay is no number"),
        (["a", ["nonsense"]], 'script: "nonsense" is no command'),
    ],
)
def test_a_bad_trigger_is_told_and_the_others_stay(item: "Value", fault: str) -> None:
    triggers, faults = read([item, ["good", RELOAD]])
    assert [it.event for it in triggers] == ["good"]
    (told,) = faults
    assert told.startswith(f"trigger 0: {fault}")


def test_an_array_that_is_none() -> None:
    assert read({"a": "b"}) == ([], ["triggers: not a list"])


def test_an_event_starts_what_asks_for_it() -> None:
    ran: list[tuple[list[str], int]] = []
    triggers, _ = read(
        [
            ["config.change", ["if", ["eq", "package", "dhcp"], RELOAD], 1000],
            ["config.change", ["if", ["eq", "package", "other"], RELOAD]],
            ["config.*", ["run_script", "log", "%package% %count% %on%"]],
            ["else", RELOAD],
        ]
    )
    data: Table = {"package": "dhcp", "count": 3, "on": True}
    faults = fire(triggers, "config.change", data, lambda argv, delay_ms: ran.append((argv, delay_ms)))
    assert faults == []
    assert ran == [(["/etc/init.d/x", "reload"], 1000), (["log", "dhcp 3 1"], 0)]


def test_one_fault_is_told_once_and_stops_nobody() -> None:
    ran: list[list[str]] = []

    def run(argv: list[str], delay_ms: int) -> None:
        if argv == ["bad"]:
            raise OSError("no")
        ran.append(argv)

    triggers = [
        Trigger("a", ["run_script", "bad"]),
        Trigger("a", ["nonsense"]),
        Trigger("a", ["run_script", "good"]),
    ]
    assert fire(triggers, "a", {}, run) == ["trigger a: no", 'trigger a: script: "nonsense" is no command']
    assert fire(triggers, "a", {}, run) == []
    assert ran == [["good"], ["good"]]


def test_values_that_scripts_can_use() -> None:
    data: Table = {"s": "x", "n": -1, "yes": True, "no": False, "list": ["a"], "table": {}, "none": None}
    assert variables(data) == {"s": "x", "n": "-1", "yes": "1", "no": "0"}


@given(st.text("ab.*", max_size=8), st.text("ab.", max_size=10))
def test_matching_never_fails(pattern: str, event: str) -> None:
    found = Trigger(pattern, []).matches(event)
    if ".*" not in pattern:
        assert found is (pattern == event)
