# SPDX-License-Identifier: MIT
"""What several files here start for each of their tests: an initd, and a network to try jails in."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from supervised import Supervised, supervised, wait_until

from jail import why

if TYPE_CHECKING:
    from jails import Host
    from networks import World

RECORDS_WINDOW_S = 6.0  # five, and one for the difference between two clocks
RECORDS_MAX = 5  # half of what the kernel writes in that time


@pytest.fixture
def room_for_records() -> None:
    """Wait until the kernel has written few denials lately: those after the tenth in five seconds it leaves out."""

    def lately() -> int:
        since_us = int((time.monotonic() - RECORDS_WINDOW_S) * 1_000_000)
        return len(list(why.read_log(since_us, 0.0)))

    wait_until(lambda: lately() <= RECORDS_MAX, lambda: f"{lately()} records in {RECORDS_WINDOW_S} s")


@pytest.fixture
def folder(run_folder: Path) -> Iterator[Path]:
    """The root of an initd; afterwards it is kept under another name."""
    made = run_folder / "initd"
    made.mkdir()
    yield made
    made.rename(run_folder / f"initd-{time.monotonic_ns()}")


@pytest.fixture
def initd(host: "Host", folder: Path) -> Iterator[Supervised]:
    """One that runs, and had no fault of its own when the test is over."""
    with supervised(Path(host.ujail).with_name("initd"), folder) as made:
        yield made


@pytest.fixture(scope="module")
def shared_world(host: "Host") -> Iterator["World"]:
    """A network of the file's own."""
    from networks import World

    world = World(host)
    yield world
    world.close()


@pytest.fixture
def world(shared_world: "World") -> Iterator["World"]:
    """The same, which a test leaves as it was."""
    yield shared_world
    shared_world.wait_as_before()
