# SPDX-License-Identifier: MIT
"""A service that dies of a denied call is told of once, with the call where a record names it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from initd_world import World, write

from jail.denial import Denial

CLONE = 56  # on x86_64
KILLED_BY_POLICY = int(signal.SIGSYS)  # as a wait status


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World()
    policy = write(tmp_path / "web.json", '{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": []}')
    made.set("web", main={"command": ["/bin/web"], "seccomp": policy, "respawn": []})
    yield made
    made.close()


def record(world: World, pid: int) -> None:
    world.denials.note(Denial(CLONE, "x86_64", pid, program="web"))


def lines(world: World) -> list[str]:
    return [str(fields["message"]) for fields in world.denied]


@pytest.mark.parametrize("late_s", [0.0, 0.9, 1.1, 20.0])
def test_end_that_is_seen_late_is_still_explained_by_its_record(world: World, late_s: float) -> None:
    """On a busy machine there are seconds between the two."""
    pid = world.instance("web", "main").process.pid  # type: ignore[union-attr]
    record(world, pid)
    world.advance(late_s)
    world.end(pid, KILLED_BY_POLICY)
    world.advance(2.0)
    assert len(lines(world)) == 1 and "clone" in lines(world)[0]


def test_end_without_a_record_is_told_all_the_same(world: World) -> None:
    pid = world.instance("web", "main").process.pid  # type: ignore[union-attr]
    world.end(pid, KILLED_BY_POLICY)
    world.advance(2.0)
    assert len(lines(world)) == 1 and "no record" in lines(world)[0]


def test_record_of_the_process_before_explains_nothing(world: World) -> None:
    first = world.instance("web", "main").process.pid  # type: ignore[union-attr]
    record(world, first)
    world.end(first, KILLED_BY_POLICY)
    world.advance(30.0)
    second = world.instance("web", "main").process.pid  # type: ignore[union-attr]
    assert second != first
    world.end(second, KILLED_BY_POLICY)
    world.advance(2.0)
    assert "no record" in lines(world)[-1]
