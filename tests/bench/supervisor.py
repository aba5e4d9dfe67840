# SPDX-License-Identifier: MIT
"""initd as its clients see it: memory, from a ubus message to a service's main, many services, one change of many.

initd runs as installed, with a broker of its own and no log daemon. Its services are stamp.c in a jail with a
policy and six staged files; they write the clock to a FIFO that is staged too. The floor is spawned from this
process, with the same files and the same FIFO.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contenders import floor
from report import Row, Section
from timing import median, spread, take_turns
from workshop import Layout, Workshop

from initd.definition import Definition
from initd.spawn import make_spec
from initd.ubus.blocking import Session
from initd.ubus.wire import UbusError

MAX_OF_FLOOR = 1.5
MIN_RATE_OF_FLOOR = 0.75
MAX_IDLE_KIB = 10 * 1024
MAX_SERVICE_KIB = 24
CROWD = 50
MANY = 200
LIMIT_S = 60

Table = dict[str, Any]


class Fifo:
    """Where services say that their main has begun."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self.fd = os.open(path, os.O_RDWR)

    def take(self, count: int = 1) -> list[int]:
        """As many clocks, in ns, as they come."""
        data = b""
        while len(data) < 8 * count:
            if not select.select([self.fd], [], [], LIMIT_S)[0]:
                raise TimeoutError(f"{len(data) // 8} of {count} services came up")
            data += os.read(self.fd, 8 * count - len(data))
        return [int.from_bytes(data[at : at + 8], sys.byteorder) for at in range(0, len(data), 8)]


class Initd:
    """An initd of our own and a client of it."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        folder.mkdir()
        path = str(folder / "ubus.sock")
        with open(folder / "stderr", "w") as log:
            line = [program, "-s", path, "-I", str(folder), "-R", str(folder)]
            self.process = subprocess.Popen(line, stdout=log, stderr=log)
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                self.session = Session(path)
                break
            except UbusError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise SystemExit(f"initd: {(folder / 'stderr').read_text()}") from None
                time.sleep(0.01)
        self.session.wait_for(["service"])
        self.id = self.session.lookup_id("service")

    def call(self, method: str, **data: Any) -> list[Table]:
        return self.session.call(self.id, method, data)

    def instances(self) -> dict[str, Table]:
        """What `list` says of each instance that it shows."""
        (services,) = self.call("list")
        return {
            f"{name}.{instance}": value
            for name, service in services.items()
            for instance, value in service.get("instances", {}).items()
        }

    def until(self, is_done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LIMIT_S
        while not is_done():
            if time.monotonic() > end:
                raise TimeoutError(what)
            time.sleep(0.005)

    def clear(self) -> None:
        """Delete all services and wait until none is left."""
        for name in {name.partition(".")[0] for name in self.instances()}:
            self.call("delete", name=name)
        self.until(lambda: not self.instances(), "services stay")

    def pss_kib(self) -> float:
        """As if no other Python ran: files of Python's own count in full, those of libc as shared as they are."""
        return sum(mapping_kib(self.process.pid))

    def stop(self) -> None:
        self.session.close()
        self.process.terminate()
        self.process.wait(LIMIT_S)


def mapping_kib(pid: int) -> Iterator[float]:
    """What each mapping of a process costs."""
    is_own = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            name = words[-1]
            is_own = "python" in name or "site-packages" in name
        elif words[0] == ("Rss:" if is_own else "Pss:"):
            yield float(words[1])


def service(shop: Workshop, fifo: Fifo, *more: str, **keys: Any) -> Table:
    """The `instances` of a service that stamps."""
    mounts = dict.fromkeys([str(path) for path in shop.staged] + [fifo.path], "0")
    return {
        "main": {
            "command": [shop.stamp, fifo.path, *more],
            "seccomp": shop.policy,
            "no_new_privs": True,
            "jail": {"name": "bench", "mount": mounts},
            **keys,
        }
    }


@contextmanager
def running(shop: Workshop, name: str) -> Iterator[tuple[Initd, Fifo]]:
    """An initd that is stopped afterwards."""
    initd = Initd(shop.root / f"initd-{name}", str(Path(shop.ujail).with_name("initd")))
    try:
        yield initd, Fifo(initd.folder / "fifo")
    finally:
        initd.stop()


def measure(shop: Workshop, rounds: int) -> list[Section]:
    sections = [_latency(shop, rounds), _memory(shop)]
    with running(shop, "many") as (initd, fifo):
        sections.append(_many(shop, initd, fifo, max(1, rounds // 50)))
    return sections


def _latency(shop: Workshop, rounds: int) -> Section:
    section = Section(
        "Start through initd, six staged files, policy",
        f"from `service set` (or the floor's posix_spawn) to the service's main; {rounds} turns each, a service of"
        " a new name each time, which is deleted between turns",
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
            initd.until(lambda: not initd.instances(), "a service stays")
            return main - start, answered - start

        def by_floor() -> tuple[int, int]:
            start = time.monotonic_ns()
            pid = alone.spawn()
            (main,) = fifo.take()
            os.waitpid(pid, 0)
            return main - start, 0

        samples = take_turns({"floor": by_floor, "initd": through_initd}, rounds)
        rates = _rates(initd, fifo, instances, by_floor, rounds)
    base = median([main for main, _ in samples["floor"]])
    for name, times in samples.items():
        mains = [main for main, _ in times]
        ratio = median(mains) / base
        row = Row(name, median(mains) / 1e6, "ms", spread(mains, 1e6), ratio)
        if name == "initd":
            row.budget, row.ok = f"<= {MAX_OF_FLOOR} x", ratio <= MAX_OF_FLOOR
        section.add(row)
    answers = [answered for _, answered in samples["initd"]]
    section.add(Row("initd: to its answer", median(answers) / 1e6, "ms", spread(answers, 1e6)))
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
        "PSS of initd alone, Python's files counted in full, as if no other Python ran",
    )
    with running(shop, "memory") as (initd, fifo):
        idle = initd.pss_kib()
        for number in range(CROWD):
            initd.call("set", name=f"service{number}", instances=service(shop, fifo, "stay"))
        fifo.take(CROWD)
        full = initd.pss_kib()
        initd.clear()
        after = initd.pss_kib()
    each = (full - idle) / CROWD
    section.add(
        Row("idle", idle, "KiB", budget=f"<= {MAX_IDLE_KIB} KiB", ok=idle <= MAX_IDLE_KIB),
    )
    section.add(Row(f"with {CROWD}", full, "KiB"))
    section.add(
        Row("each service", each, "KiB", budget=f"<= {MAX_SERVICE_KIB} KiB", ok=each <= MAX_SERVICE_KIB)
    )
    section.add(Row("after all were deleted", after, "KiB"))
    return section


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
