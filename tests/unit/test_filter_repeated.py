# SPDX-License-Identifier: MIT
"""Rules of one call whose conditions repeat or contradict each other: the first that holds still wins.

What one test has decided the next one need not ask again, so that here tests disappear from the filter.
"""

import json
from itertools import product
from typing import Any

import pytest
from bpf import Program
from naive import TARGETS, Target, verdict

from jail.policy import compile_filter

ALLOW, KILL, LOG = "SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"
FIVE, NOT_FIVE, ODD = (
    {"index": 0, "op": f"SCMP_CMP_{op}", **values}
    for op, values in (
        ("EQ", {"value": 5}),
        ("NE", {"value": 5}),
        ("MASKED_EQ", {"value": 3, "valueTwo": 1}),
    )
)

targets = pytest.mark.parametrize("target", TARGETS, ids=repr)


def rule(action: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"names": ["ioctl"], "action": action, "args": [*conditions]}


def check(target: Target, *rules: dict[str, Any], default: str = KILL) -> None:
    made = {"defaultAction": default, "syscalls": [*rules]}
    program = Program(
        compile_filter(json.dumps(made).encode(), target.name, path="p").code, target.big_endian
    )
    for name, first in product(("ioctl", "read"), (1, 4, 5)):
        call = (target.audit, target.numbers[name], (first, 0, 0, 0, 0, 0))
        assert program.run(*call)[0] == verdict(made, target, *call), (name, first, made)


@targets
def test_what_was_denied_first_stays_denied(target: Target) -> None:
    for condition in (FIVE, NOT_FIVE, ODD):
        check(target, rule(KILL, condition), rule(ALLOW, condition))


@targets
def test_what_was_allowed_first_stays_allowed(target: Target) -> None:
    for condition in (FIVE, NOT_FIVE, ODD):
        check(target, rule(ALLOW, condition), rule(KILL, condition), default=ALLOW)


@targets
@pytest.mark.parametrize("conditions", [*product((FIVE, NOT_FIVE, ODD), repeat=3)])
def test_first_of_three_rules_that_holds_wins(target: Target, conditions: tuple[dict[str, Any], ...]) -> None:
    for actions in product((ALLOW, KILL), repeat=3):
        check(target, *map(rule, actions, conditions))


@targets
def test_alternatives_that_repeat_a_rule(target: Target) -> None:
    check(target, rule(KILL, ODD, FIVE), rule(KILL, FIVE), rule(ALLOW, FIVE), rule(LOG, ODD))
