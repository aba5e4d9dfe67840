# SPDX-License-Identifier: MIT
"""What each namespace, and a network that is made, adds to a jail: milliseconds at its start, and memory."""

import json
import subprocess
import sys

from memory import SLEEP, memory_group
from report import Row, Section
from timing import median, spread
from workshop import HERE, Workshop


def measure(shop: Workshop, rounds: int) -> list[Section]:
    with memory_group() as group:
        job = {"rounds": rounds, "group": group, "program": ["/bin/true"], "sleep": SLEEP}
        line = [sys.executable, "-I", str(HERE / "namespace_job.py"), json.dumps(job)]
        result = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    section = Section(
        "What a namespace adds to a jail, by library call",
        f"{rounds} turns each, to the service's exec, plan kept; a network that is made {max(3, rounds // 20)}: its own"
        " process loads pyroute2. KiB: what a memory cgroup was charged for each of 20 that sleep",
        ratio_to="to the first",
    )
    base = median(next(iter(result["times"].values())))
    for name, times in result["times"].items():
        section.add(Row(name, median(times) / 1e6, "ms", spread(times, 1e6), ratio=median(times) / base))
    first = next(iter(result["kib"].values()))
    for name, kib in result["kib"].items():
        if kib is None:
            section.say("no memory cgroup could be made: memory was not measured")
            break
        section.add(Row(f"{name}: memory", kib, "KiB", ratio=kib / first))
    return [section]
