# SPDX-License-Identifier: MIT
"""What a filter costs: instructions executed per call, weighted by a trace.

The bounds: never more than a plain chain of tests in order of frequency, never more
than a balanced tree, and at most five more than the entropy of the trace.
"""

import json
import math

import pytest
from bpf import Program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import TARGETS, Target

from jail.policy import compile_filter

BY_NAME = {target.name: target for target in TARGETS}
# check of the architecture (2), load of the number, return
FRAME = 4


def entropy(counts: dict[str, int]) -> float:
    total = sum(counts.values())
    return -sum(count / total * math.log2(count / total) for count in counts.values() if count)


def chain_cost(counts: dict[str, int]) -> float:
    """One equality test after the other, most frequent first."""
    ordered = sorted(counts.values(), reverse=True)
    return FRAME + sum((place + 1) * count for place, count in enumerate(ordered)) / sum(ordered)


def balanced_cost(counts: dict[str, int], numbers: dict[str, int]) -> float:
    """Bisection of the ranges of allowed and denied numbers, with as many ranges on either side."""
    allowed = {numbers[name]: count for name, count in counts.items()}
    edges = sorted(
        {edge for n in allowed for edge in (n, n + 1) if (edge in allowed) != (edge - 1 in allowed)}
    )

    def depth(n: int) -> int:
        low, high, steps = 0, len(edges) + 1, 0
        place = sum(edge <= n for edge in edges)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if place >= middle else (low, middle)
            steps += 1
        return steps

    return FRAME + sum(depth(n) * count for n, count in allowed.items()) / sum(allowed.values())


def compile_counts(counts: dict[str, int], target: Target) -> Program:
    made = {
        "defaultAction": "SCMP_ACT_KILL_PROCESS",
        "syscalls": [{"names": list(counts), "action": "SCMP_ACT_ALLOW"}],
        "counts": counts,
    }
    compiled = compile_filter(json.dumps(made).encode(), target.name, path="p")
    return Program(compiled.code, target.big_endian)


def cost(counts: dict[str, int], target: Target) -> float:
    program = compile_counts(counts, target)
    executed = sum(
        count * program.run(target.audit, target.numbers[name])[1] for name, count in counts.items()
    )
    return executed / sum(counts.values())


def traces(target: Target) -> st.SearchStrategy[dict[str, int]]:
    """Few and many calls; flat, steep and mixed counts."""
    flat = st.just(1000)
    steep = st.integers(0, 20).map(lambda power: 2**power)
    mixed = st.integers(1, 100_000)
    return st.sampled_from([flat, steep, mixed, st.one_of(flat, steep, mixed)]).flatmap(
        lambda counts: st.dictionaries(
            st.sampled_from(sorted(target.numbers)), counts, min_size=1, max_size=120
        )
    )


@pytest.mark.parametrize("target", [BY_NAME["x86_64"], BY_NAME["mips"]], ids=repr)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_filter_costs_no_more_than_chain_or_balanced_tree_or_entropy_plus_5(
    target: Target, data: st.DataObject
) -> None:
    counts = data.draw(traces(target))
    found = cost(counts, target)
    assert found <= chain_cost(counts) + 1e-9
    assert found <= balanced_cost(counts, target.numbers) + 1e-9
    assert found <= entropy(counts) + 5 + 1e-9
