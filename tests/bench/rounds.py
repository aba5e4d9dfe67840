# SPDX-License-Identifier: MIT
"""Many jails started and stopped, round after round: does a start get slower, does anything stay behind?"""

from report import Row, Section
from start import job, run
from workshop import Workshop

MAX_GROWTH = 1.2
JAILS = 200


def measure(shop: Workshop, rounds: int) -> list[Section]:
    section = Section(
        f"{JAILS} jails started and stopped, {rounds} rounds",
        "one resident process, policy, six staged files; a round's median time, least and most of three",
    )
    result = run(job(shop, "rounds", rounds=rounds, jails=JAILS))
    times = [time / 1e6 for time in result["times"]]
    span = min(3, len(times) // 2)
    first, last = min(times[:span]), min(times[-span:])
    growth = last / first
    section.add(Row("first three rounds", first, "ms", (first, max(times[:span]))))
    section.add(
        Row(
            "last three rounds",
            last,
            "ms",
            (last, max(times[-span:])),
            growth,
            f"<= {MAX_GROWTH} x",
            growth <= MAX_GROWTH,
        )
    )
    section.add(Row("slowest and fastest round", max(times) / min(times), "x"))
    before, after = result["prints"][0], result["prints"][-1]
    for what, unit in (("fds", ""), ("mounts", ""), ("children", ""), ("pss_kib", "KiB")):
        grown = after[what] - before[what]
        # the interpreter's own arenas may still settle by a page or two a round
        limit = 4 * rounds if what == "pss_kib" else 0
        name = {"fds": "descriptors", "pss_kib": "own memory"}.get(what, what)
        section.add(
            Row(f"more {name} than after round one", grown, unit, budget=f"<= {limit}", ok=grown <= limit)
        )
    return [section]
