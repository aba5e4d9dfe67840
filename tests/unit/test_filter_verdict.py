# SPDX-License-Identifier: MIT
"""Random policies, compiled and interpreted, against the naive reading of them, on every target."""

import json
from typing import Any

import pytest
from bpf import Program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import ACTIONS, SYSCALLS, TARGETS, Target, verdict

from jail.policy import compile_filter

CAPS = ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_BPF"]
EDGES = [0, 1, 2**31, 2**32, 2**63, 2**64 - 1, 0xFFFFFFFF, 0x80000000FFFFFFFF, 0x500000000]
OPS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
ALL_NAMES = sorted(name for name in SYSCALLS.names())
# few enough that rules meet on the same call
FEW_NAMES = [
    "read",
    "write",
    "open",
    "openat",
    "close",
    "ioctl",
    "clone",
    "mmap",
    "mmap2",
    "fcntl64",
    "personality",
]

edge = st.builds(lambda value, step: (value + step) % 2**64, st.sampled_from(EDGES), st.integers(-2, 2))
# a few values that turn up again and again, so that tests repeat
word64 = st.one_of(st.sampled_from([5, 6, 2**32 + 5]), edge, st.integers(0, 2**64 - 1), st.integers(0, 9))
names = st.lists(st.one_of(st.sampled_from(FEW_NAMES), st.sampled_from(ALL_NAMES)), max_size=12)


@st.composite
def condition(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(OPS))
    made: dict[str, Any] = {
        "index": draw(st.sampled_from([0, 0, 0, 1, 5])),
        "value": draw(word64),
        "op": f"SCMP_CMP_{op}",
    }
    if op == "MASKED_EQ":
        made["valueTwo"] = draw(st.one_of(word64, word64.map(lambda two: two & made["value"])))
    return made


@st.composite
def selection(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if draw(st.booleans()):
        made["arches"] = draw(st.lists(st.sampled_from([target.docker for target in TARGETS]), max_size=3))
    if draw(st.booleans()):
        made["caps"] = draw(st.lists(st.sampled_from(CAPS), max_size=2))
    if draw(st.booleans()):
        made["minKernel"] = draw(st.sampled_from(["4.8", "6.1", "6.2", "5.19"]))
    return made


@st.composite
def rule(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"action": draw(st.sampled_from(sorted(ACTIONS)))}
    if made["action"] in ("SCMP_ACT_ERRNO", "SCMP_ACT_ERROR", "SCMP_ACT_TRACE") and draw(st.booleans()):
        made["errnoRet"] = draw(st.sampled_from([0, 1, 38, 4095]))
    if draw(st.integers(0, 5)):
        made["names"] = draw(names)
    else:
        made["name"] = draw(st.sampled_from(FEW_NAMES))
    if draw(st.booleans()):
        made["args"] = draw(st.lists(condition(), max_size=3))
    if not draw(st.integers(0, 3)):
        made["includes"] = draw(selection())
    if not draw(st.integers(0, 3)):
        made["excludes"] = draw(selection())
    return made


@st.composite
def policy(draw: st.DrawFn) -> dict[str, Any]:
    if not draw(st.integers(0, 7)):
        return {"whitelist": draw(names), "policy": draw(st.sampled_from([0, 1, 38, 4095]))}
    made: dict[str, Any] = {"defaultAction": draw(st.sampled_from(sorted(ACTIONS)))}
    if made["defaultAction"] == "SCMP_ACT_ERRNO" and draw(st.booleans()):
        made["defaultErrnoRet"] = draw(st.integers(0, 4095))
    made["syscalls"] = draw(st.lists(rule(), max_size=6))
    if draw(st.booleans()):
        made["counts"] = draw(st.dictionaries(st.sampled_from(ALL_NAMES), st.integers(0, 2**40), max_size=8))
    return made


def numbers_to_try(made: dict[str, Any], target: Target) -> set[int]:
    rules = made.get("syscalls", [])
    mentioned = [name for one in rules for name in one.get("names", [one.get("name")])]
    mentioned += made.get("whitelist", [])
    found = {target.numbers[name] for name in mentioned if name in target.numbers}
    near = {number + step for number in found for step in (-1, 0, 1)}
    return {n for n in near if n >= 0} | {0, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}


def arguments_to_try(made: dict[str, Any], target: Target, extra: list[int]) -> list[tuple[int, ...]]:
    """Return argument vectors around every value that a condition names, alone and in the others' company."""
    conditions = [one for r in made.get("syscalls", []) for one in r.get("args", [])]
    interesting = (
        {one["value"] for one in conditions} | {one.get("valueTwo", 0) for one in conditions} | set(extra)
    )
    values = sorted({(value + step) % 2**target.bits for value in interesting for step in (-1, 0, 1)})
    exact = {one["index"]: one.get("valueTwo") or one["value"] for one in conditions}
    base = tuple(exact.get(index, 0) % 2**target.bits for index in range(6))
    vectors = [base] + [(value,) * 6 for value in values[:24]]
    for one in conditions:
        for step in (-1, 1):
            moved = list(base)
            moved[one["index"]] = (one["value"] + step) % 2**target.bits
            vectors.append(tuple(moved))
    return vectors


@pytest.mark.parametrize("target", TARGETS, ids=repr)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    made=policy(),
    extra=st.lists(word64, max_size=4),
    held=st.sets(st.sampled_from(CAPS)),
    kernel=st.sampled_from([(4, 4), (5, 19), (6, 1), (6, 2)]),
)
def test_filter_says_what_the_naive_reading_says(
    target: Target, made: dict[str, Any], extra: list[int], held: set[str], kernel: tuple[int, int]
) -> None:
    capabilities = sum(
        {"CAP_CHOWN": 1 << 0, "CAP_SYS_ADMIN": 1 << 21, "CAP_BPF": 1 << 39}[cap] for cap in held
    )
    compiled = compile_filter(
        json.dumps(made).encode(),
        target.name,
        path="p",
        capabilities=capabilities,
        kernel=kernel[0] << 16 | kernel[1],
    )
    program = Program(compiled.code, target.big_endian)
    vectors = arguments_to_try(made, target, extra)
    for nr in numbers_to_try(made, target):
        for args in vectors:
            expected = verdict(made, target, target.audit, nr, args, held, kernel)
            assert program.run(target.audit, nr, args)[0] == expected, (nr, args)
    foreign = target.audit ^ 1 << 30
    assert program.run(foreign, 0)[0] == verdict(made, target, foreign, 0, (0,) * 6)
