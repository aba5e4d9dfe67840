# SPDX-License-Identifier: MIT
"""Counts of a trace → policy."""

import json
from collections import Counter
from pathlib import Path

import pytest

from jail.learn import (
    ALLOW,
    MOST_VALUES,
    Policy,
    add_to,
    add_up,
    by_frequency,
    describe_programs,
    dump,
    limited_calls,
    make_policy,
    startup_names,
    strangers,
)
from jail.policy import compile_filter
from jail.trace import Program

SCHEMA = Path(__file__).resolve().parents[2] / "json-filters/schema.json"


def program(name: str = "/bin/a", abi: str = "x86_64", **calls: int) -> Program:
    made = Program(name)
    made.calls[abi] = Counter(calls)
    return made


def rules(policy: Policy) -> list[dict[str, object]]:
    found = policy["syscalls"]
    assert isinstance(found, list)
    return found


def test_most_called_comes_first_and_names_decide_between_equals() -> None:
    counts = Counter({"write": 3, "read": 7, "close": 3, "brk": 1})
    assert list(by_frequency(counts)) == ["read", "close", "write", "brk"]


def test_policy_is_the_union_with_counts() -> None:
    policy, notes = make_policy([program(read=2, open=1), program("/bin/b", read=3)], "x86_64", [])
    assert policy["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    assert rules(policy) == [{"names": ["read", "open"], "action": "SCMP_ACT_ALLOW"}]
    assert policy["counts"] == {"read": 5, "open": 1}
    assert notes == []


def test_what_every_process_needs_comes_last_and_uncounted() -> None:
    policy, _ = make_policy([program(exit=2)], "x86_64", ["rt_sigreturn", "exit"])
    assert rules(policy)[0]["names"] == ["exit", "rt_sigreturn"]
    assert policy["counts"] == {"exit": 2}


def test_early_calls_are_in_only_if_asked_for() -> None:
    one = program(read=1)
    one.early["x86_64"] = Counter(mmap=4)
    assert add_up([one], "x86_64", early=False) == {"read": 1}
    assert add_up([one], "x86_64", early=True) == {"read": 1, "mmap": 4}


def test_other_abis_and_nameless_numbers_are_strangers() -> None:
    one = program(read=1)
    one.calls["i386"] = Counter(open=2)
    one.calls["x86_64"]["9999"] = 1
    assert strangers([one], "x86_64") == {"i386": {"open": 2}, "x86_64": {"9999": 1}}
    assert make_policy([one], "x86_64", [])[0]["counts"] == {"read": 1}


def test_values_become_a_rule_each() -> None:
    one = program(socket=3, read=1)
    one.values["x86_64", "socket"] = Counter({2: 1, 1: 2})
    policy, _ = make_policy([one], "x86_64", [], arguments=True)
    assert rules(policy)[0]["names"] == ["read"]
    assert [rule["args"] for rule in rules(policy)[1:]] == [
        [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}] for value in (1, 2)
    ]
    assert policy["counts"] == {"socket": 3, "read": 1}


def test_values_of_the_start_count_with_it() -> None:
    one = program(mmap=1)
    one.values["x86_64", "mmap"] = Counter({3: 1})
    one.early_values["x86_64", "mmap"] = Counter({5: 1})
    for early, expected in ((False, 1), (True, 2)):
        policy, _ = make_policy([one], "x86_64", [], early=early, arguments=True)
        assert len(rules(policy)) == 1 + expected


@pytest.mark.parametrize("more", [0, 1])
def test_too_many_values_leave_the_name(more: int) -> None:
    one = program(ioctl=100)
    one.values["x86_64", "ioctl"] = Counter(range(MOST_VALUES + more))
    policy, notes = make_policy([one], "x86_64", [], arguments=True)
    assert ("ioctl" in str(rules(policy)[0]["names"])) == bool(more)
    assert len(rules(policy)) == (1 if more else 1 + MOST_VALUES)
    assert len(notes) == more


def test_start_up_list_only_where_the_libcs_set_lacks_something() -> None:
    one = program()
    one.early["x86_64"] = Counter(mmap=9, execve=1)
    assert startup_names(one, "x86_64", {"mmap", "brk", "prctl"}, {"mmap", "brk"}) == []
    one.early["x86_64"]["getpgid"] = 2
    names = startup_names(one, "x86_64", {"mmap", "brk", "prctl"}, {"mmap", "brk"})
    # what door 1 would not take is left out, what the set allows only with arguments as well
    assert names == ["mmap", "getpgid", "brk"]


def everything() -> Policy:
    one, two = program(ioctl=2, read=1), program("/bin/b", close=4)
    one.from_main = True
    one.early["x86_64"] = Counter(mmap=2)
    one.values["x86_64", "ioctl"] = Counter({0xFFFFFFFF80045430: 2})
    policy, _ = make_policy([one, two], "x86_64", ["exit"], arguments=True)
    policy["startup"] = ["mmap"]
    policy["programs"] = describe_programs([one, two], "x86_64")
    return policy


def test_programs_have_their_own_counts() -> None:
    assert everything()["programs"] == {
        "/bin/a": {"from": "main", "counts": {"ioctl": 2, "read": 1}, "before": {"mmap": 2}},
        "/bin/b": {"from": "entry", "counts": {"close": 4}},
    }


def test_policy_compiles_and_follows_the_schema() -> None:
    text = dump(everything())
    assert compile_filter(text.encode(), "x86_64", path="trace").code
    jsonschema = pytest.importorskip("jsonschema")  # not of Python alone: guests go without
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(json.loads(text))


def test_text_is_indented_by_tabs() -> None:
    text = dump({"defaultAction": "A", "names": ["read"] * 30, "empty": [], "args": [{"index": 0}]})
    assert text.startswith('{\n\t"defaultAction": "A",\n\t"names": [\n\t\t"read", "read"')
    assert max(len(line.expandtabs(8)) for line in text.splitlines()) <= 110
    assert json.loads(text)["names"] == ["read"] * 30


def test_text_survives_odd_names() -> None:
    value = {'"\\\n\udc80': ["\t"], "none": {}, "n": 1 << 63}
    assert json.loads(dump(value)) == value


def test_adding_counts_up_and_keeps_what_was_written_by_hand() -> None:
    before: Policy = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "comment": "mine",
        "syscalls": [
            {"comment": "hand", "names": ["brk", "close"], "action": ALLOW},
            {"comment": "watched", "names": ["read", "old"], "action": ALLOW},
            {"names": ["mount"], "action": "SCMP_ACT_ERRNO"},
            {"comment": "all seen now", "names": ["write"], "action": ALLOW},
        ],
        "counts": {"read": 2},
    }
    seen, _ = make_policy([program(read=1, write=5, close=1)], "x86_64", ["exit"])
    after = add_to(before, seen)
    assert after["counts"] == {"write": 5, "read": 3, "close": 1}
    assert [rule["names"] for rule in rules(after)] == [["brk"], ["write", "read", "close", "old"], ["mount"]]
    assert (after["defaultAction"], after["comment"]) == ("SCMP_ACT_ERRNO", "mine")


TIOCSTI = {"index": 1, "value": 0x5412, "op": "SCMP_CMP_EQ"}


@pytest.mark.parametrize(
    "limit",
    [
        {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "args": [TIOCSTI]},
        {"names": ["ioctl"], "action": ALLOW, "args": [TIOCSTI]},
        {"names": ["ioctl"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"name": "ioctl", "action": "SCMP_ACT_ERRNO"},
    ],
)
def test_adding_does_not_go_around_a_rule_that_limits(limit: dict[str, object]) -> None:
    written = [{"names": ["read"], "action": ALLOW}, limit, {"names": ["ioctl"], "action": ALLOW}]
    before: Policy = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": written}
    seen, _ = make_policy([program(ioctl=3, write=1)], "x86_64", ["exit"])
    assert limited_calls(before, seen) == ["ioctl"]
    after = add_to(before, seen)
    assert rules(after) == [
        {"names": ["write", "read", "exit"], "action": ALLOW},
        limit,
        {"names": ["ioctl"], "action": ALLOW},
    ]


def test_adding_takes_no_rule_with_a_condition_for_what_is_always_allowed() -> None:
    on_mips = {"names": ["cacheflush"], "action": ALLOW, "includes": {"arches": ["mips"]}}
    before: Policy = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [on_mips]}
    seen, _ = make_policy([program(read=1)], "x86_64", ["exit"])
    assert limited_calls(before, seen) == []
    assert rules(add_to(before, seen)) == [{"names": ["read", "exit"], "action": ALLOW}, on_mips]


def test_adding_to_a_trace_is_as_one_longer_trace() -> None:
    one, _ = make_policy([program(read=1)], "x86_64", ["exit"])
    two, _ = make_policy([program(write=2)], "x86_64", ["exit"])
    both, _ = make_policy([program(read=1, write=2)], "x86_64", ["exit"])
    assert add_to(one, two) == both
