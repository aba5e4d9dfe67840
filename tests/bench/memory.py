# SPDX-License-Identifier: MIT
"""What a jail costs in memory: many at once that sleep; user space as PSS and, with a memory cgroup, all."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contenders import floor, numbered, others, ujail
from report import Row, Section
from timing import Command, median
from workshop import HERE, Layout, Workshop

COUNT = 50
MAX_PSS_KIB = 64
MAX_CHARGED_KIB = 200
SLEEP = ["/bin/sleep", "1000"]


def _remove(group: Path) -> None:
    """The last of its processes may still be on their way out."""
    end = time.monotonic() + 10
    while True:
        try:
            return group.rmdir()
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


@contextmanager
def memory_group() -> Iterator[str]:
    """A memory cgroup of our own, v1 or v2, or "" where none can be made. It is gone afterwards."""
    for parent in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        group = Path(parent, f"stockade-bench-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        if any((group / name).exists() for name in ("memory.current", "memory.usage_in_bytes")):
            try:
                yield str(group)
            finally:
                _remove(group)
            return
        group.rmdir()
    yield ""


def crowd(command: Command | None, shop: Workshop, policy: bool, group: str) -> dict[str, Any]:
    """Run one crowd; `command` None means: by library."""
    work = {
        "count": COUNT,
        "group": group,
        "library": command is None,
        "policy": shop.policy if policy else "",
        "argv": command.argv if command else SLEEP,
        "opens": command.opens if command else {},
    }
    line = [sys.executable, "-I", str(HERE / "crowd.py"), json.dumps(work)]
    result = subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout
    return dict(json.loads(result))


def measure(shop: Workshop, rounds: int) -> list[Section]:
    section = Section(
        f"Memory per jail, {COUNT} sleeping at once",
        "user: PSS of all processes but the services', divided; all: what a memory cgroup was charged beyond"
        f" {COUNT} bare services; median of {rounds}",
        ratio_to="to the floor",
    )
    layout = Layout(shop.spec(SLEEP))
    commands: dict[str, tuple[Command | None, bool]] = {
        "bare": (Command("bare", SLEEP), False),
        "floor": (floor(shop, layout, SLEEP), False),
        "library": (None, False),
        "library, policy": (None, True),
        "ujail": (ujail(shop, SLEEP), False),
        "ujail, policy": (ujail(shop, SLEEP, policy=True), True),
    }
    for command in others(shop, layout, SLEEP):
        commands[command.name] = (numbered(command, "@N@"), False)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (each, policy) in commands.items():
            with memory_group() as group:
                results[name].append(crowd(each, shop, policy, group))
    for name in commands:
        running = min(result["running"] for result in results[name])
        if running != COUNT:
            section.say(f"{name}: left out, only {running} of {COUNT} services came up")
            del results[name]
    _add_rows(section, results)
    return [section]


def _middle(crowds: list[dict[str, Any]], what: str) -> float:
    """KiB for one jail of the crowd."""
    return median([result[what] for result in crowds]) / COUNT


def _is_ours(name: str) -> bool:
    return name.split(",")[0] in ("ujail", "library")


def _add_rows(section: Section, results: dict[str, list[dict[str, Any]]]) -> None:
    bare = results.pop("bare")
    base = _middle(results["floor"], "pss")
    for name, crowds in results.items():
        each = _middle(crowds, "pss")
        row = Row(f"{name}: user", each, "KiB", ratio=each / base)
        programs = sorted(crowds[-1]["by_name"].items())
        row.note = ", ".join(f"{program} {kib / COUNT:.0f}" for program, kib in programs)
        if _is_ours(name):
            row.budget, row.ok = f"<= {MAX_PSS_KIB} KiB", each <= MAX_PSS_KIB
        section.add(row)
    if any(result["charged"] is None for crowds in [bare, *results.values()] for result in crowds):
        section.say("no memory cgroup could be made: the kernel's share was not measured")
        return
    base = _middle(results["floor"], "charged") - _middle(bare, "charged")
    for name, crowds in results.items():
        # what the shim makes the service itself grow by is no process of the jail's
        service = max(0.0, _middle(crowds, "services") - _middle(results[name.split(",")[0]], "services"))
        each = _middle(crowds, "charged") - _middle(bare, "charged") - service
        row = Row(f"{name}: all", each, "KiB", ratio=each / base)
        if service:
            row.note = f"and {service:.0f} in the service itself"
        if _is_ours(name):
            row.budget, row.ok = f"<= {MAX_CHARGED_KIB} KiB", each <= MAX_CHARGED_KIB
        section.add(row)
