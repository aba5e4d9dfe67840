# SPDX-License-Identifier: MIT
"""What chance decides about: calls beside those that a trace has seen."""

import pytest

from jail import calls
from jail.chance import CHANCE, allow_chance, companions
from jail.learn import ALLOW, Policy
from jail.policy import call_number


def policy(*rules: dict[str, object], **counts: int) -> Policy:
    seen: dict[str, object] = {"names": list(counts), "action": ALLOW}
    both: dict[str, object] = dict(counts)
    return {"syscalls": [seen, *rules], "counts": both}


def has(name: str) -> bool:
    return call_number("x86_64", name) >= 0


def added(changed: Policy) -> list[str]:
    rules = changed["syscalls"]
    assert isinstance(rules, list)
    return [name for rule in rules if "chance" in str(rule.get("comment")) for name in rule["names"]]


def test_every_row_names_calls_and_its_reason() -> None:
    known = calls.all_names()
    for causes, names, reason in CHANCE:
        assert {*names, *causes} <= set(known)
        assert reason.startswith("by chance: ")


@pytest.mark.parametrize(
    ("seen", "more"),
    [
        ({"wait4"}, {"rt_sigprocmask", "rt_sigsuspend", "sigprocmask", "sigsuspend"}),
        ({"waitpid", "sigprocmask", "rt_sigprocmask"}, {"rt_sigsuspend", "sigsuspend"}),
        ({"clone3", "futex_time64"}, {"futex", "madvise", "munmap", "sched_yield"}),
        ({"connect"}, {"getsockopt"}),
        ({"rt_sigprocmask", "read"}, set()),
    ],
)
def test_cause_brings_what_chance_adds(seen: set[str], more: set[str]) -> None:
    assert {name for names in companions(seen).values() for name in names} == more


def test_rule_has_the_calls_of_the_architecture_and_is_told() -> None:
    changed = policy(wait4=2)
    (note,) = allow_chance(changed, has)
    assert added(changed) == ["rt_sigprocmask", "rt_sigsuspend"]
    assert note.startswith("allowed unseen, by chance: a shell waits for a child by a signal, ")
    assert note.endswith(": rt_sigprocmask rt_sigsuspend")


def test_what_a_rule_says_already_stays_as_it_is() -> None:
    denied: dict[str, object] = {"names": ["rt_sigsuspend"], "action": "SCMP_ACT_ERRNO"}
    changed = policy(denied, wait4=2, rt_sigprocmask=4, sigprocmask=1)
    assert allow_chance(changed, has) == []
    assert added(changed) == []


def test_the_same_again_adds_nothing() -> None:
    changed = policy(clone=1)
    assert allow_chance(changed, has)
    once = added(changed)
    assert allow_chance(changed, has) == []
    assert added(changed) == once
