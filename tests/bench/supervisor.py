# SPDX-License-Identifier: MIT
"""initd as its clients see it: memory, from a ubus message to a service's main, many services, one change of many.

initd runs as installed, with a broker of its own and no log daemon. Its services are stamp.c in a jail with a
policy and six staged files; they write the clock to a FIFO that is staged too. The floor is spawned from this
process, with the same files and the same FIFO.
"""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from contenders import floor
from initd_client import Fifo, Initd, Table, started
from report import Row, Section
from timing import median, spread, take_turns
from workshop import Layout, Workshop

from initd.definition import Definition
from initd.jailspec import make_spec

MAX_OF_FLOOR = 1.5
MIN_RATE_OF_FLOOR = 0.75
MAX_IDLE_KIB = 10 * 1024
MAX_SERVICE_KIB = 24
FEW, CROWD = 5, 50
MANY = 200


def service(shop: Workshop, fifo: Fifo, *more: str, **keys: Any) -> Table:
    """The `instances` of a service that stamps."""
    mounts = {**dict.fromkeys((str(path) for path in shop.staged), "0"), fifo.path: "1"}
    return {
        "main": {
            "command": [shop.stamp, fifo.path, *more],
            "seccomp": shop.policy,
            "no_new_privs": True,
            "jail": {"name": "bench", "mount": mounts},
            **keys,
        }
    }


def running(shop: Workshop, name: str) -> AbstractContextManager[tuple[Initd, Fifo]]:
    """An initd that is stopped afterwards."""
    return started(shop.root / f"initd-{name}", str(Path(shop.ujail).with_name("initd")))


def measure(shop: Workshop, rounds: int) -> list[Section]:
    sections = [_latency(shop, rounds), _memory(shop)]
    with running(shop, "many") as (initd, fifo):
        sections.append(_many(shop, initd, fifo, max(1, rounds // 50)))
    return sections


def _latency(shop: Workshop, rounds: int) -> Section:
    section = Section(
        "Start through initd, six staged files, policy",
        f"from `service set` (or the floor's posix_spawn) to the service's main; {rounds} turns each, a service of"
        " a new name each time, which is deleted between turns; started again: by `service state`, its plan kept",
        ratio_to="to the floor",
    )
    with running(shop, "latency") as (initd, fifo):
        instances = service(shop, fifo)
        layout = Layout(make_spec(Definition.read("bench", "main", instances["main"])))
        alone = floor(shop, layout, instances["main"]["command"], policy=True)
        numbers = iter(range(1 << 30))

        def through_initd() -> tuple[int, int]:
            name = f"service{next(numbers)}"
            start = time.monotonic_ns()
            initd.call("set", name=name, instances=instances)
            answered = time.monotonic_ns()
            (main,) = fifo.take()
            initd.call("delete", name=name)
            initd.until(lambda: len(initd.instances()) == 1, "a service stays")
            return main - start, answered - start

        def has_rest() -> bool:
            return not initd.instances()["again.main"]["running"]

        def again() -> tuple[int, int]:
            start = time.monotonic_ns()
            initd.call("state", name="again", spawn=True)
            answered = time.monotonic_ns()
            (main,) = fifo.take()
            initd.until(has_rest, "a service stays")
            return main - start, answered - start

        def by_floor() -> tuple[int, int]:
            start = time.monotonic_ns()
            pid = alone.spawn()
            (main,) = fifo.take()
            os.waitpid(pid, 0)
            return main - start, 0

        initd.call("set", name="again", instances=instances)
        fifo.take()
        initd.until(has_rest, "a service stays")
        turns = {"floor": by_floor, "initd": through_initd, "initd, started again": again}
        samples = take_turns(turns, rounds)
        rates = _rates(initd, fifo, instances, by_floor, rounds)
    base = median([main for main, _ in samples["floor"]])
    for name, times in samples.items():
        mains = [main for main, _ in times]
        ratio = median(mains) / base
        row = Row(name, median(mains) / 1e6, "ms", spread(mains, 1e6), ratio)
        if name == "initd":
            row.budget, row.ok = f"<= {MAX_OF_FLOOR} x", ratio <= MAX_OF_FLOOR
        section.add(row)
        if name != "floor":
            answers = [answered for _, answered in times]
            section.add(Row(f"{name}: to its answer", median(answers) / 1e6, "ms", spread(answers, 1e6)))
    base = median(rates["floor"])
    for name, values in rates.items():
        ratio = median(values) / base
        row = Row(f"{name}: one after the other", median(values), "/s", spread(values), ratio)
        if name == "initd":
            row.budget, row.ok = f">= {MIN_RATE_OF_FLOOR} x", ratio >= MIN_RATE_OF_FLOOR
        section.add(row)
    return section


def _rates(
    initd: Initd, fifo: Fifo, instances: Table, by_floor: Callable[[], object], rounds: int
) -> dict[str, list[float]]:
    """Starts per second, in alternating blocks; a service that has ended is left in the table until its block ends."""
    per_block = 20
    rates: dict[str, list[float]] = {"floor": [], "initd": []}
    for number in range(max(4, rounds // per_block)):
        for name in ("floor", "initd") if number % 2 else ("initd", "floor"):
            for turn in range(per_block):
                start = time.monotonic_ns()
                if name == "floor":
                    by_floor()
                else:
                    initd.call("set", name=f"service{turn}", instances=instances)
                    fifo.take()
                rates[name].append(1e9 / (time.monotonic_ns() - start))
        initd.clear()
    return rates


def _memory(shop: Workshop) -> Section:
    section = Section(
        f"Memory of initd, idle and with {CROWD} jailed services",
        "PSS of initd alone, and the same as if no other Python ran: Python's own files counted in full",
    )
    with running(shop, "memory") as (initd, fifo):
        idle, idle_shared = initd.alone_kib(), initd.pss_kib()
        few = _start_crowd(shop, initd, fifo, 0, FEW)
        full = _start_crowd(shop, initd, fifo, FEW, FEW + CROWD)
        initd.clear()
        after = initd.alone_kib()
    each = (full - few) / CROWD
    section.add(Row("idle", idle, "KiB", budget=f"<= {MAX_IDLE_KIB} KiB", ok=idle <= MAX_IDLE_KIB))
    section.add(Row("idle, as shared with the other Pythons of this machine", idle_shared, "KiB"))
    section.add(Row(f"with {FEW}: what the first start loads", few, "KiB"))
    section.add(Row(f"with {FEW + CROWD}", full, "KiB"))
    section.add(
        Row(
            "each further service",
            each,
            "KiB",
            budget=f"<= {MAX_SERVICE_KIB} KiB",
            ok=each <= MAX_SERVICE_KIB,
        )
    )
    section.add(Row("after all were deleted", after, "KiB"))
    return section


def _start_crowd(shop: Workshop, initd: Initd, fifo: Fifo, first: int, end: int) -> float:
    for number in range(first, end):
        initd.call("set", name=f"service{number}", instances=service(shop, fifo, "stay"))
    fifo.take(end - first)
    return initd.alone_kib()


def _many(shop: Workshop, initd: Initd, fifo: Fifo, rounds: int) -> Section:
    section = Section(
        f"{MANY} services",
        f"started by as many messages, one after the other; then all are set again with one changed; {rounds} rounds",
    )
    started: list[float] = []
    again: list[float] = []
    changed: list[float] = []
    for _ in range(rounds):
        start = time.monotonic_ns()
        for number in range(MANY):
            initd.call("set", name=f"service{number}", instances=service(shop, fifo, "stay"))
        fifo.take(MANY)
        started.append((time.monotonic_ns() - start) / 1e9)
        before = {name: value["pid"] for name, value in initd.instances().items()}
        start = time.monotonic_ns()
        for number in range(MANY):
            keys = {"env": {"CHANGED": "1"}} if number == MANY // 2 else {}
            initd.call("set", name=f"service{number}", instances=service(shop, fifo, "stay", **keys))
        again.append((time.monotonic_ns() - start) / 1e6)
        (main,) = fifo.take()
        changed.append((main - start) / 1e6)
        now = {name: value.get("pid", 0) for name, value in initd.instances().items()}
        other = [name for name, pid in now.items() if pid != before[name]]
        if other != [f"service{MANY // 2}.main"]:
            raise RuntimeError(f"restarted: {other}")
        initd.clear()
    section.add(Row("all started, to the last main", median(started), "s", spread(started)))
    section.add(Row("all set again, one changed: to the last answer", median(again), "ms", spread(again)))
    section.add(Row("and to the main of the one that restarted", median(changed), "ms", spread(changed)))
    return section
