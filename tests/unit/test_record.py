# SPDX-License-Identifier: MIT
"""What is said of a trace beside its policy: which programs may have hidden calls from it."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from jail._native import lib
from jail.record import asks_for_filter, remarks
from jail.trace import NATIVE, Program


def program(name: str, call: str, *values: int, early: bool = False) -> Program:
    made = Program(name)
    made.from_main = True
    (made.early_values if early else made.values)[NATIVE, call] = Counter(values)
    return made


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("prctl", lib.PR_SET_SECCOMP),
        ("prctl", lib.PR_SET_SECCOMP | 7 << 32),  # an int in a register
        ("seccomp", lib.SECCOMP_SET_MODE_FILTER),
        ("seccomp", lib.SECCOMP_SET_MODE_STRICT),
    ],
)
def test_who_asks_for_a_filter(call: str, value: int, early: bool) -> None:
    assert asks_for_filter(program("/x", call, lib.PR_SET_NAME, value, early=early))


@pytest.mark.parametrize(
    ("call", "value"),
    [("prctl", lib.PR_SET_NAME), ("seccomp", 2), ("ioctl", lib.PR_SET_SECCOMP)],  # 2 asks what there is
)
def test_who_does_not(call: str, value: int) -> None:
    assert not asks_for_filter(program("/x", call, value))


def test_line_names_each_once_and_not_too_many() -> None:
    def said(count: int) -> list[str]:
        programs = [program(f"/{number}", "prctl", lib.PR_SET_SECCOMP) for number in range(count)]
        trace: Any = SimpleNamespace(programs=[*programs, *programs], lost=["lost"])
        return remarks(trace, NATIVE)

    [line, lost] = said(2)
    assert line.startswith("/0, /1: asked for a seccomp filter; ") and lost == "lost"
    assert said(12)[0].startswith("/0, /1, /2, /3, /4, /5, /6, /7 and 4 more: asked")
    other: Any = SimpleNamespace(programs=[program("/x", "prctl", lib.PR_SET_NAME)], lost=[])
    assert remarks(other, NATIVE) == []
