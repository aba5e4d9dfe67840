# SPDX-License-Identifier: MIT
"""Starts through the library in a resident process, beside the floor program doing the same.

The service is a program that writes the clock at the start of its main. Six files are staged beside it.
"""

import json
import subprocess
import sys
from typing import Any

from contenders import floor
from report import Row, Section
from timing import median, spread
from workshop import HERE, Layout, Workshop

MAX_OF_FLOOR = 1.5
MIN_RATE_OF_FLOOR = 0.75  # 300 a second where the floor does 400
N_COLD = 10


def job(shop: Workshop, kind: str, **more: object) -> dict[str, object]:
    argv = [shop.stamp]
    layout = Layout(shop.spec(argv, policy=False, staged=True))
    held = Layout(shop.spec(argv, policy=True, staged=True))
    return {
        "kind": kind,
        "argv": argv,
        "policy": shop.policy,
        "staged": [str(path) for path in shop.staged],
        "floor": floor(shop, layout, argv, policy=False, stamp=True).argv,
        # the same mounts as our jail with a policy has
        "floor_filter": floor(shop, held, argv, policy=True, stamp=True).argv,
        **more,
    }


def run(work: dict[str, object]) -> Any:
    """Do a job in a process of its own, isolated as the `ujail` command is."""
    line = [sys.executable, "-I", str(HERE / "resident.py"), json.dumps(work)]
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)


def measure(shop: Workshop, rounds: int) -> list[Section]:
    return [_starts(shop, rounds), _rate(shop, rounds)]


def _starts(shop: Workshop, rounds: int) -> Section:
    section = Section(
        "Start by library call in a resident process, six staged files",
        f"from make_plan (or the floor's posix_spawn) on, {rounds} turns each; plan included, caches warm",
        ratio_to="to the floor",
    )
    samples = run(job(shop, "starts", rounds=rounds))
    for mark, what in (("main", "to the service's main"), ("exit", "to its end")):
        for name, base in (
            ("floor", "floor"),
            ("library", "floor"),
            ("floor, filter", "floor, filter"),
            ("library, policy", "floor, filter"),
        ):
            times = [sample[mark] for sample in samples[name]]
            ratio = median(times) / median([sample[mark] for sample in samples[base]])
            judged = mark == "main" and name == "library, policy"
            section.add(
                Row(
                    f"{name}: {what}",
                    median(times) / 1e6,
                    "ms",
                    spread(times, 1e6),
                    ratio,
                    budget=f"<= {MAX_OF_FLOOR} x" if judged else "",
                    ok=ratio <= MAX_OF_FLOOR if judged else None,
                )
            )
    parts = [
        ("library, policy", "plan", "of that: plan, caches warm"),
        ("library, policy", "launch", "of that: launch, to the exec"),
        ("floor, filter", "main_from_own_start", "floor, filter: from its own main, its start left out"),
    ]
    for name, mark, what in parts:
        times = [sample[mark] for sample in samples[name]]
        section.add(Row(what, median(times) / 1e6, "ms", spread(times, 1e6)))
    cold = [run(job(shop, "cold")) for _ in range(N_COLD)]
    section.add(Row("the first plan of a process, caches cold", median(cold) / 1e6, "ms", spread(cold, 1e6)))
    if any(row.ok is False for row in section.rows):
        section.say(
            "Python functions with the most time of their own (cProfile, which adds its own to each call):"
        )
        for line in run(job(shop, "profile")):
            section.say(f"  {line}")
    return section


def _rate(shop: Workshop, rounds: int) -> Section:
    per_block = 40
    section = Section(
        "Jails per second, one after the other, policy and six staged files",
        f"{max(4, rounds // 8)} alternating blocks of {per_block}; the inverse of the time of each",
        ratio_to="to the floor",
    )
    rates = run(job(shop, "blocks", blocks=max(4, rounds // 8), per_block=per_block))
    base = median(rates["floor"])
    for name, values in rates.items():
        ratio = median(values) / base
        judged = name == "library"
        section.add(
            Row(
                name,
                median(values),
                "/s",
                spread(values),
                ratio=ratio,
                budget=f">= {MIN_RATE_OF_FLOOR} x" if judged else "",
                ok=ratio >= MIN_RATE_OF_FLOOR if judged else None,
            )
        )
    return section
