# SPDX-License-Identifier: MIT
"""The ends of children: told once, whenever they came; strangers; a storm of them; numbers used again."""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from initd import children as module
from initd.children import EARLY_MAX, LOST, ROUND_MAX, Children
from initd.loop import Loop

LIMIT_S = 10


class World:
    """A loop with its children, and processes that end when they are told."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.loop = Loop(self.faults.append)
        self.children = Children(self.loop)
        self.ends: list[tuple[str, int]] = []

    def start(self, status: int = 0) -> tuple[int, int]:
        """A child that exits when end() tells it to."""
        reads, writes = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(writes)
            os.read(reads, 1)
            os._exit(status)
        os.close(reads)
        return pid, writes

    def end(self, child: tuple[int, int]) -> None:
        """Let a child end, and wait until it is a zombie."""
        os.write(child[1], b"x")  # closing is not enough: later children have the descriptor too
        os.close(child[1])
        os.waitid(os.P_PID, child[0], os.WEXITED | os.WNOWAIT)

    def watch(self, name: str, pid: int) -> None:
        self.children.watch(pid, lambda status: self.ends.append((name, os.waitstatus_to_exitcode(status))))

    def until(self, is_done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_done():
            assert time.monotonic() < end_s
            self.loop.step(0.1)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.loop.close()
    with pytest.raises(ChildProcessError):  # nothing is left
        os.waitpid(-1, os.WNOHANG)


def test_the_status_comes_from_the_loop_and_once(world: World) -> None:
    child = world.start(3)
    world.watch("a", child[0])
    world.end(child)
    assert world.ends == []
    world.until(lambda: bool(world.ends))
    for _ in range(3):
        world.loop.step(0)
    assert world.ends == [("a", 3)]


def test_an_end_before_watch_is_told(world: World) -> None:
    child = world.start(5)
    world.end(child)
    world.watch("zombie", child[0])
    world.until(lambda: bool(world.ends))
    other = world.start(6)
    world.end(other)
    world.until(lambda: not module.is_child(other[0]))  # reaped before anybody asked
    world.watch("reaped", other[0])
    assert world.ends == [("zombie", 5)]
    world.until(lambda: len(world.ends) == 2)
    assert world.ends == [("zombie", 5), ("reaped", 6)]


def test_what_is_no_child_has_an_end(world: World) -> None:
    world.children.watch(os.getpid(), lambda status: world.ends.append(("lost", status)))
    world.until(lambda: bool(world.ends))
    assert world.ends == [("lost", LOST)]


def test_a_pid_that_was_used_before_has_no_old_status(world: World) -> None:
    child = world.start(4)
    world.children._early[child[0]] = 9 << 8  # a stranger had this number
    world.watch("new", child[0])
    world.loop.step(0)
    assert world.ends == []
    world.end(child)
    world.until(lambda: bool(world.ends))
    assert world.ends == [("new", 4)]


def test_the_end_of_one_may_start_the_next_with_the_same_pid(world: World) -> None:
    child = world.start(1)

    def again(status: int) -> None:
        world.children._watched[child[0]] = lambda status: world.ends.append(("second", status))
        world.children._end(child[0], 7)

    world.children.watch(child[0], again)
    world.end(child)
    world.until(lambda: bool(world.ends))
    assert world.ends == [("second", 7)] and not world.children._watched


def test_strangers_are_reaped_and_only_some_are_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EARLY_MAX", 2)
    started = [world.start() for _ in range(4)]
    for child in started:
        world.end(child)
    world.until(lambda: not any(module.is_child(pid) for pid, _ in started))
    assert len(world.children._early) == 2 and EARLY_MAX > 100


def test_a_storm_leaves_turns_to_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_MAX", 2)
    started = [world.start() for _ in range(6)]
    between: list[int] = []
    for child in started:
        world.watch("x", child[0])
        world.end(child)
    while len(world.ends) < 6:
        world.loop.after(0, lambda: between.append(len(world.ends)))
        world.loop.step(0.1)
    assert between == [4, 6] and ROUND_MAX >= 16  # the signal and the round after the start come together


def test_a_fault_of_one_watcher_is_told_and_the_others_hear(world: World) -> None:
    bad, good = world.start(), world.start(2)
    world.children.watch(bad[0], lambda status: [][0])
    world.watch("good", good[0])
    world.end(bad)
    world.end(good)
    world.until(lambda: bool(world.ends))
    assert world.ends == [("good", 2)]
    assert [type(fault) for fault in world.faults] == [IndexError]


def test_ends_from_before_the_handler_are_seen() -> None:
    world = World()
    child = world.start(1)
    world.end(child)
    world.loop.close()
    later = World()
    later.watch("early", child[0])
    later.until(lambda: bool(later.ends))
    later.loop.close()
    assert later.ends == [("early", 1)]
