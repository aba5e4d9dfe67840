# SPDX-License-Identifier: MIT
"""What compiled filters cost: executed BPF instructions per call over real traces, and time in the kernel."""

import json
import math
import subprocess
from functools import partial
from pathlib import Path

from programs import big_policy, shipped_counts, traces
from programs import call_numbers as numbers
from report import Row, Section
from timing import median, spread, take_turns
from workshop import Workshop, native_arch

from jail.doors import FILTERS
from jail.policy import compile_filter

FRAME = 4  # the architecture's test (2), the number's load, the return
ENTROPY_SLACK = 5
CALLS = "300000"


def measure(shop: Workshop, rounds: int) -> list[Section]:
    return [_expected(shop), _nanoseconds(shop, rounds)]


# --- expected instructions ---


def policy_from(counts: dict[str, int]) -> bytes:
    rule = {"names": list(counts), "action": "SCMP_ACT_ALLOW"}
    policy = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [rule], "counts": counts}
    return json.dumps(policy).encode()


def executed(code: bytes, counts: dict[str, int]) -> float:
    """Instructions per call over the trace, in the interpreter of the unit tests."""
    from bpf import JEQ, Program  # run.py puts tests/unit on the path

    program = Program(code, big_endian=False)
    arch = next(k for op, _, _, k in program.insns if op == JEQ)  # the one that the filter is for
    total = sum(program.run(arch, numbers()[name])[1] * times for name, times in counts.items())
    return total / sum(counts.values())


def entropy(counts: dict[str, int]) -> float:
    total = sum(counts.values())
    return -sum(times / total * math.log2(times / total) for times in counts.values() if times)


def chain_cost(counts: dict[str, int]) -> float:
    """One test of equality after the other, the most frequent first."""
    ordered = sorted(counts.values(), reverse=True)
    return FRAME + sum((place + 1) * times for place, times in enumerate(ordered)) / sum(ordered)


def balanced_cost(counts: dict[str, int]) -> float:
    """Bisection of the ranges of allowed and other numbers, whatever their weight."""
    allowed = {numbers()[name] for name in counts}
    edges = sorted(
        {edge for n in allowed for edge in (n, n + 1) if (edge in allowed) != (edge - 1 in allowed)}
    )
    total = 0
    for name, times in counts.items():
        place = sum(edge <= numbers()[name] for edge in edges)
        low, high, steps = 0, len(edges) + 1, 0
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if place >= middle else (low, middle)
            steps += 1
        total += steps * times
    return FRAME + total / sum(counts.values())


def _expected(shop: Workshop) -> Section:
    section = Section(
        "Executed BPF instructions per call, weighted by a trace",
        "policies that allow what strace saw, and those shipped with counts, in the unit tests' interpreter;"
        " the limits are a chain by frequency, a balanced tree, and entropy + 5",
        ratio_to="to the least limit",
    )
    cases = {name: (policy_from(counts), counts) for name, counts in traces(shop.root).items()}
    cases |= {f"{name} (shipped)": case for name, case in shipped_counts(FILTERS).items()}
    for name, (text, counts) in cases.items():
        cost = executed(compile_filter(text, native_arch(), path=name, lenient=True).code, counts)
        chain, balanced, bits = chain_cost(counts), balanced_cost(counts), entropy(counts)
        least = min(chain, balanced, bits + ENTROPY_SLACK)
        note = f"chain {chain:.1f}, balanced {balanced:.1f}, entropy {bits:.1f} + 5"
        row = Row(name, cost, "", None, cost / least, f"<= {least:.2f}", cost <= least + 1e-9, note)
        section.add(row)
    if not any("shipped" in name for name in cases):
        section.say("no shipped policy has counts")
    return section


# --- nanoseconds ---


def libseccomp_filter(text: bytes, out: Path) -> bool:
    """The same policy by libseccomp with its binary tree; False where it is not there."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):
        return False
    made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(1))
    made.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
    for rule in json.loads(text)["syscalls"]:
        for name in rule["names"]:
            if not rule.get("args"):
                made.add_rule(pyseccomp.ALLOW, name)
    with out.open("wb") as file:
        made.export_bpf(file)
    return True


def _nanoseconds(shop: Workshop, rounds: int) -> Section:
    section = Section(
        "Nanoseconds for one getppid under a filter",
        f"callcost.c, {CALLS} calls, {rounds} turns; since Linux 5.11 x86 and arm64 remember calls that are"
        " always allowed, so that there a filter's shape does not show",
        ratio_to="to no filter",
    )
    text = big_policy()
    ours, theirs = shop.root / "ours.bpf", shop.root / "libseccomp.bpf"
    ours.write_bytes(compile_filter(text, native_arch(), path="big policy", lenient=True).code)
    lines = {"no filter": [shop.callcost, CALLS], "ours, big policy": [shop.callcost, CALLS, str(ours)]}
    if libseccomp_filter(text, theirs):
        lines["libseccomp's binary tree"] = [shop.callcost, CALLS, str(theirs)]
    else:
        section.say("pyseccomp or libseccomp is not installed: left out")
    samples = take_turns({name: partial(_ns, line) for name, line in lines.items()}, rounds)
    base = median(samples["no filter"])
    for name, values in samples.items():
        size = {"ours, big policy": ours, "libseccomp's binary tree": theirs}.get(name)
        note = f"{size.stat().st_size // 8} instructions" if size else ""
        section.add(Row(name, median(values), "ns", spread(values), median(values) / base, note=note))
    return section


def _ns(line: list[str]) -> float:
    return float(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
