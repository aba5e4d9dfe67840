# SPDX-License-Identifier: MIT
"""What the launcher refuses of a plan before anything is started; tests/fuzz/plan.c looks for more of it."""

import os
from errno import EINVAL
from struct import pack

import pytest

from jail import raresteps, steps
from jail._native import ffi, lib
from jail.steps import Step

RETURN = pack("=HBBI", 6, 0, 0, 0x7FFF0000)
PROGRAM = steps.execute("/bin/true", ["true"], [])
NAMELESS = steps.execute("/bin/true", [], ["A=b"])
STUB = steps.execute_stub("/bin/true", ["ujail-init", "init"])


def launch(code: bytes, namespaces: int = 0) -> int:
    request = ffi.new("struct launch_request *", (namespaces, 0, (-1, -1, -1), -1, -1, (0, 0), ffi.NULL))
    result = ffi.new("struct launch_result *")
    found = int(lib.launch(code, len(code), request, result))
    if not found:
        os.waitpid(result.pid, 0)
    return found


def filtered(code: bytes) -> list[Step]:
    return [steps.no_new_privs(), Step(lib.STEP_FILTER, "a filter", 0, texts=(code,)), PROGRAM]


@pytest.mark.parametrize(
    "plan",
    [
        [],
        [steps.fork()],
        [STUB],
        [steps.session()],
        [NAMELESS],
        [PROGRAM, PROGRAM],
        [PROGRAM, steps.session()],
        [steps.session(), steps.fork(), PROGRAM],
        [steps.fork(), STUB, PROGRAM],
        [steps.session(), steps.fork(), steps.execute_stub("/bin/true", []), PROGRAM],
        filtered(b""),
        filtered(RETURN[:-1]),
        filtered(RETURN * 4097),
    ],
    ids=lambda plan: ",".join(str(step.op) for step in plan),
)
def test_plan_of_another_shape_starts_nothing(plan: list[Step]) -> None:
    assert launch(b"".join([step.pack() for step in plan])) == -EINVAL


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_user_namespace_and_its_maps_come_together_or_nothing_starts(is_asked_for: bool) -> None:
    """Without the step nobody would make the namespace, and without the namespace its maps would be lost."""
    maps = [raresteps.user([(0, 0, 1)], [(0, 0, 1)], deny=True)]
    plan = [steps.session(), *([] if is_asked_for else maps), steps.fork(), STUB, PROGRAM]
    code = b"".join([step.pack() for step in plan])
    assert launch(code, lib.CLONE_NEWUSER if is_asked_for else 0) == -EINVAL


def test_plan_that_is_cut_off_starts_nothing() -> None:
    code = b"".join([step.pack() for step in (steps.session(), PROGRAM)])
    assert {launch(code[:size]) for size in range(len(code))} == {-EINVAL}


@pytest.mark.parametrize("plan", [[steps.session(), PROGRAM], filtered(RETURN)], ids=["plain", "filtered"])
def test_plan_of_that_shape_starts(plan: list[Step]) -> None:
    assert launch(b"".join([step.pack() for step in plan])) == 0
