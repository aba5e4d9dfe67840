# SPDX-License-Identifier: MIT
"""The bench: measure the design's budgets beside what else is installed, print a table, keep a JSON file.

    python tests/bench/run.py [--quick] [--markdown] [--only PART[,PART]]

in an environment where the project is installed. Needs root and a C compiler. Exit status 0 also when a
budget is missed: the table says so.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import calls
import filters
import memory
import namespaces
import rounds
import shim
import start
import supervisor
import tracing
import whole_command
from report import Section, as_markdown, as_text, machine, over_budget, write_json
from workshop import Workshop

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "results" / "bench.json"
INSIDE = "STOCKADE_BENCH_INSIDE"
# name: what measures it, how often, how often with --quick
PARTS: dict[str, tuple[Callable[[Workshop, int], list[Section]], int, int]] = {
    "command": (whole_command.measure, 80, 20),
    "start": (start.measure, 200, 40),
    "calls": (calls.measure, 1, 1),
    "shim": (shim.measure, 1, 1),
    "filters": (filters.measure, 15, 5),
    "memory": (memory.measure, 3, 1),
    "namespaces": (namespaces.measure, 100, 20),
    "rounds": (rounds.measure, 20, 6),
    "tracing": (tracing.measure, 5, 2),
    "initd": (supervisor.measure, 200, 40),
}


def enter_own_mounts() -> None:
    """Start over in a mount namespace of our own: nothing that a contender mounts can stay behind."""
    if INSIDE in os.environ:
        return
    unshare = shutil.which("unshare")
    if not unshare:
        raise SystemExit("unshare (util-linux) is needed")
    line = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
    os.execve(unshare, line, {**os.environ, INSIDE: "1"})


def hide_unified_cgroup() -> None:
    """crun refuses a machine with both cgroup versions; in our namespace the second one can go."""
    hybrid = "/sys/fs/cgroup/unified"
    if os.path.ismount(hybrid):
        subprocess.run(["umount", "--lazy", hybrid], check=True)


def take_precedence() -> None:
    """What else runs on the machine must wait; all contenders inherit it."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        os.nice(-20)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the budgets of the design.")
    parser.add_argument("--quick", action="store_true", help="fewer turns: under a minute, more noise")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown, for README.md")
    parser.add_argument("--only", metavar="PART", help=f"some of {','.join(PARTS)}", default=",".join(PARTS))
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}")
    if os.geteuid() != 0:
        raise SystemExit("the bench needs root")
    enter_own_mounts()
    hide_unified_cgroup()
    sys.path.append(str(ROOT / "tests" / "unit"))  # the BPF interpreter is there
    take_precedence()
    facts = machine()
    show = as_markdown if options.markdown else as_text
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n", flush=True)
    sections: list[Section] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stockade-bench-") as folder:
        shop = Workshop(Path(folder))
        for name in names:
            measure, full, quick = PARTS[name]
            for section in measure(shop, quick if options.quick else full):
                sections.append(section)
                print(show(section), flush=True)
                print(flush=True)
    write_json(RESULTS, facts, sections)
    missed = over_budget(sections)
    for line in missed:
        print(f"OVER BUDGET: {line}")
    took = time.monotonic() - started
    print(f"{len(missed)} over budget; took {took:.0f} s; numbers are in {RESULTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
