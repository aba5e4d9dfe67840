# SPDX-License-Identifier: MIT
"""Large policies: jumps beyond 8 bits, the kernel's limit of 4096 instructions, and one more."""

import json
import os
from typing import Any

import pytest
from bpf import MAX_INSNS, Program
from naive import ALLOW, ERRNO, KILL_PROCESS, TARGETS, Target, verdict

from jail.errors import ConfigError
from jail.policy import compile_filter

# a guest, which is slow, tries one in eight of the calls and of the sizes
EACH = 8 if "STOCKADE_GUEST" in os.environ else 1
BY_NAME = {target.name: target for target in TARGETS}


def check(made: dict[str, Any], target: Target, vectors: list[tuple[int, ...]]) -> Program:
    """Compile and compare with the naive reading for every number near a known one."""
    program = Program(
        compile_filter(json.dumps(made).encode(), target.name, path="p").code, target.big_endian
    )
    for nr in sorted({n + step for n in target.numbers.values() for step in (0, 1)})[::EACH]:
        for args in vectors:
            assert program.run(target.audit, nr, args)[0] == verdict(made, target, target.audit, nr, args)
    return program


def test_rule_of_a_thousand_names_is_one_rule() -> None:
    target = BY_NAME["mips"]
    everything = sorted({name for other in TARGETS for name in other.numbers})
    names = (everything * 3)[:1000]
    made = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]}
    program = check(made, target, [(0,) * 6])
    assert program.run(target.audit, target.numbers["read"])[0] == ALLOW
    assert program.run(target.audit, 3999)[0] == ERRNO | 1


@pytest.mark.parametrize("target", [BY_NAME["x86_64"], BY_NAME["mips"], BY_NAME["arm"]], ids=repr)
def test_hundreds_of_calls_with_different_verdicts_need_far_jumps(target: Target) -> None:
    """Each call's own errno: as many leaves as calls, so that the tree outgrows 255 instructions."""
    rules = [
        {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": place}
        for place, name in enumerate(sorted(target.numbers))
    ]
    program = check({"defaultAction": "SCMP_ACT_TRAP", "syscalls": rules}, target, [(0,) * 6])
    assert len(program.insns) > 512


@pytest.mark.parametrize("target", [BY_NAME["x86_64"], BY_NAME["mips"]], ids=repr)
def test_tree_over_long_argument_tests_needs_far_jumps(target: Target) -> None:
    names = sorted(target.numbers)[::3]
    rules = [
        {
            "names": [name],
            "action": "SCMP_ACT_ALLOW",
            "args": [
                {"index": place % 6, "value": place * 2**28, "op": f"SCMP_CMP_{op}"} for op in ("EQ", "GT")
            ],
        }
        for place, name in enumerate(names)
    ]
    made = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules}
    mask = 2**target.bits - 1
    check(made, target, [(0,) * 6, (5 * 2**28 & mask,) * 6, (mask,) * 6, (2**31,) * 6])


@pytest.mark.parametrize(("arch", "sizes"), [("mips", range(60, 270)), ("x86_64", range(25, 140))])
def test_jumps_are_right_at_every_distance_around_the_limit(arch: str, sizes: range) -> None:
    """Calls with ever longer argument tests push the targets of all jumps past 255 one by one."""
    target = BY_NAME[arch]
    names = ["ioctl", "fcntl", "prctl"]
    calls = [target.numbers[name] for name in names]
    for n in sizes[::EACH]:
        rules = []
        for place, name in enumerate(names):
            args = [{"index": place, "value": 3 * value, "op": "SCMP_CMP_EQ"} for value in range(n)]
            rules.append({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 7 + place, "args": args})
        made = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
        program = Program(compile_filter(json.dumps(made).encode(), arch, path="p").code, target.big_endian)
        for nr in calls:
            place = calls.index(nr)
            for value in (0, 3, 3 * (n // 2), 3 * (n - 1), 3 * n, 1):
                expected = ERRNO | (7 + place) if value % 3 == 0 and value < 3 * n else ALLOW
                assert program.run(target.audit, nr, (value,) * 6)[0] == expected, n
        assert program.run(target.audit, target.numbers["read"], (0,) * 6)[0] == ALLOW


def conditions(n: int, extra: int = 0) -> dict[str, Any]:
    """One call that compares one argument with `n` numbers."""
    args = [{"index": 0, "value": 3 * value, "op": "SCMP_CMP_EQ"} for value in range(n)]
    args += [{"index": 1, "value": 7, "op": "SCMP_CMP_GE"}] * extra
    rule = {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": args}
    return {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [rule]}


def instructions(made: dict[str, Any], arch: str) -> int:
    return len(compile_filter(json.dumps(made).encode(), arch, path="p").code) // 8


def test_filter_of_exactly_4096_instructions_is_made_and_works() -> None:
    target = BY_NAME["mips"]
    n = MAX_INSNS // 2
    while True:
        try:
            size = instructions(conditions(n), "mips")
        except ConfigError:
            n -= 1
            continue
        break
    # what is missing comes from rules that cost one instruction each: another RET
    made = conditions(n)
    for name in ("read", "write", "open", "close"):
        if size == MAX_INSNS:
            break
        made["syscalls"].append({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 9})
        size = instructions(made, "mips")
    assert size == MAX_INSNS
    program = Program(compile_filter(json.dumps(made).encode(), "mips", path="p").code, True)
    ioctl = target.numbers["ioctl"]
    for value in (0, 3, 3 * (n - 1), 1, 3 * n):
        args = (value, 0, 0, 0, 0, 0)
        expected = ALLOW if value % 3 == 0 and value < 3 * n else KILL_PROCESS
        assert program.run(target.audit, ioctl, args)[0] == expected


@pytest.mark.parametrize("arch", ["mips", "x86_64"])
def test_filter_that_is_too_long_is_an_error_that_says_so(arch: str) -> None:
    with pytest.raises(ConfigError, match=r"^p: the filter needs more than the 4096 instructions"):
        instructions(conditions(MAX_INSNS // 2 + 1), arch)
    with pytest.raises(ConfigError, match="4096 instructions"):
        instructions(conditions(20_000), arch)
