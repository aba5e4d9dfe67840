# SPDX-License-Identifier: MIT
"""Door 1 lets execve pass with the launcher's own argument pointers and no others."""

import pytest
from bpf import Program
from naive import ALLOW, TARGETS, Target

from jail._native import lib
from jail.policy import compile_filter

KILL = b'{"defaultAction": "SCMP_ACT_KILL_PROCESS"}'
PIN = (lib.EXEC_PIN_PATH, lib.EXEC_PIN_ARGV, lib.EXEC_PIN_ENVP)


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_execve_passes_with_the_pinned_arguments_alone(target: Target) -> None:
    made = compile_filter(KILL, target.name, path="p", startup=KILL, door1=True, exec_pin=PIN)
    program = Program(made.code, target.big_endian)
    args = tuple(pin % (1 << target.bits) for pin in PIN)

    def verdict(*given: int) -> int:
        return program.run(target.audit, target.numbers["execve"], (*given, 0, 0, 0))[0]

    assert verdict(*args) == ALLOW
    for place in range(3):
        assert verdict(*(arg + (number == place) for number, arg in enumerate(args))) != ALLOW
