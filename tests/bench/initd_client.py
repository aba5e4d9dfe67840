# SPDX-License-Identifier: MIT
"""An initd of the bench's own, as installed, and a client of it; the FIFO by which its services report."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from initd.ubus.blocking import Session
from initd.ubus.wire import UbusError

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
        """What the kernel says."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))

    def alone_kib(self) -> float:
        """As if no other Python ran: what is mapped by Pythons only counts in full, the rest as it is shared."""
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
            is_own = "python" in name
        elif words[0] == ("Rss:" if is_own else "Pss:"):
            yield float(words[1])


@contextmanager
def started(folder: Path, program: str) -> Iterator[tuple[Initd, Fifo]]:
    """An initd that is stopped afterwards."""
    initd = Initd(folder, program)
    try:
        yield initd, Fifo(folder / "fifo")
    finally:
        initd.stop()
