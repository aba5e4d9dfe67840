# SPDX-License-Identifier: MIT
"""Guests under a deadline: those that may not be over by then are left out, with a reason."""

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pytest

PLACE = Path(__file__).resolve().parents[1] / "guest/deadline.py"


@pytest.fixture
def deadline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guest_deadline", PLACE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_deadline_there_is_time_for_all(deadline: ModuleType) -> None:
    left = deadline.left_s({})
    assert [deadline.why_left_out(name, left) for name in deadline.NEEDS_S] == [""] * 4


def test_what_may_not_be_over_in_time_is_left_out(deadline: ModuleType) -> None:
    left = deadline.left_s({deadline.VARIABLE: str(int(time.time()) + 27 * 60)})
    assert 26 * 60 < left <= 27 * 60
    assert [name for name in deadline.NEEDS_S if deadline.why_left_out(name, left)] == ["mipsel", "mips"]
    assert deadline.why_left_out("x86_64", 24.9 * 60) == "it may need 25 minutes and there are 24"


def test_deadline_that_is_over_leaves_out_all(deadline: ModuleType) -> None:
    left = deadline.left_s({deadline.VARIABLE: "1"})
    assert all(deadline.why_left_out(name, left).endswith("there are 0") for name in deadline.NEEDS_S)
