# SPDX-License-Identifier: MIT
"""The runner of rc.d: one script after another, and what becomes of one that does not end."""

import os
import signal
from collections.abc import Callable

import pytest

from initd import rcd
from initd.rcd import Scripts


class FakeLoop:
    """Timers that run when the test says so."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None], FakeTimer]] = []

    def after(self, delay_s: float, callback: Callable[[], None]) -> "FakeTimer":
        self.timers.append((delay_s, callback, FakeTimer()))
        return self.timers[-1][2]

    def now(self) -> float:
        return 0.0

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Nothing is ready unless it is looked at."""

    def unwatch(self, fd: int) -> None: ...

    def fire(self) -> float:
        """Let the only timer that is left go off."""
        (delay_s, callback, timer) = [entry for entry in self.timers if not entry[2].is_cancelled][-1]
        timer.is_cancelled = True
        callback()
        return delay_s


class FakeTimer:
    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class World:
    """Scripts whose processes are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = FakeLoop()
        self.started: list[list[str]] = []
        self.ends: list[Callable[[int], None]] = []
        self.lines: list[str] = []
        self.killed: list[tuple[int, int]] = []
        self.outputs: list[int] = []
        self.is_done = False
        self.scripts = Scripts(self.loop, self, self, self.start, lambda *words: [*words])  # type: ignore[arg-type]
        monkeypatch.setattr(os, "killpg", lambda pid, number: self.killed.append((pid, number)))

    def start(self, argv: list[str]) -> tuple[int, list[int]]:
        if "bad" in argv[0]:
            raise PermissionError(13, os.strerror(13))
        self.started.append(argv)
        return 100 + len(self.started), self.outputs

    def watch(self, pid: int, on_end: Callable[[int], None]) -> None:
        self.ends.append(on_end)

    def error(self, text: str) -> None:
        self.lines.append(text)

    info = error

    def write(self, level: int, text: str, ident: str, pid: int, facility: str) -> None:
        self.lines.append(f"{ident}: {text}")

    def run(self, action: str, *names: str) -> None:
        self.scripts.run([f"/r/{name}" for name in names], action, self.done)

    def done(self) -> None:
        self.is_done = True


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_each_waits_for_the_one_before(world: World) -> None:
    world.run("boot", "S1a", "S2b")
    assert world.started == [["/r/S1a", "boot"]]
    world.ends[0](0)
    assert world.started[1:] == [["/r/S2b", "boot"]] and not world.is_done
    world.ends[1](3 << 8)
    assert world.is_done and world.lines == ["/r/S2b boot: exit status 3"]


def test_what_it_printed_is_told_before_its_end(world: World) -> None:
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK)
    world.outputs = [read_fd]
    world.run("boot", "S1a")
    os.write(write_fd, b"no such device\n")
    os.close(write_fd)
    world.ends[0](1 << 8)
    assert world.lines == ["a: no such device", "/r/S1a boot: exit status 1"]
    os.close(read_fd)


def test_one_that_cannot_start_is_told_and_passed_over(world: World) -> None:
    world.run("boot", "S1bad", "S2bad", "S3c")
    assert world.lines == [f"/r/{name} boot: Permission denied" for name in ("S1bad", "S2bad")]
    assert world.started == [["/r/S3c", "boot"]]


def test_none_at_all_is_done_at_once(world: World) -> None:
    world.run("boot")
    assert world.is_done


def test_at_boot_a_late_one_goes_on_and_so_does_the_boot(world: World) -> None:
    world.run("boot", "S1a", "S2b")
    assert world.loop.fire() == rcd.BOOT_LIMIT_S
    assert "still running after 120 s; going on" in world.lines[0]
    assert len(world.started) == 2 and not world.killed
    world.ends[0](0)  # at last: that starts nothing twice
    assert not world.is_done and len(world.started) == 2
    world.ends[1](0)
    assert world.is_done


def test_at_shutdown_a_late_one_is_asked_then_killed(world: World) -> None:
    world.run("shutdown", "K1a", "K2b")
    assert world.loop.fire() == rcd.SHUTDOWN_LIMIT_S
    assert world.killed == [(101, signal.SIGTERM)] and len(world.started) == 1
    assert world.loop.fire() == rcd.KILL_AFTER_S
    assert world.killed[1:] == [(101, signal.SIGKILL)] and len(world.started) == 2
    world.ends[0](int(signal.SIGKILL))
    world.ends[1](0)
    assert world.is_done and world.lines[-1] == "/r/K1a shutdown: killed by SIGKILL"


def test_one_that_heeds_term_ends_its_wait(world: World) -> None:
    world.run("shutdown", "K1a", "K2b")
    world.loop.fire()
    world.ends[0](int(signal.SIGTERM))
    assert len(world.started) == 2 and world.killed == [(101, signal.SIGTERM)]


def test_a_new_row_takes_the_place_of_the_one_that_runs(world: World) -> None:
    world.run("boot", "S1a", "S2b")
    world.run("shutdown", "K1c")
    assert world.started == [["/r/S1a", "boot"], ["/r/K1c", "shutdown"]]
    world.ends[0](0)
    assert not world.is_done
    world.ends[1](0)
    assert world.is_done and len(world.started) == 2
