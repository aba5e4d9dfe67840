# SPDX-License-Identifier: MIT
"""Commands of events: debounced, one at a time, never for ever, and nothing of the supervisor in them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from initd import commands as module
from initd.children import Children
from initd.commands import Commands
from initd.loop import Loop

LIMIT_S = 10


class Sink:
    """What Commands needs of a Log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str) -> None:
        self.lines.append(text)

    error = warning


class World:
    """Commands with a clock that a test can push, and a file that they write to."""

    def __init__(self, directory: Path) -> None:
        self.faults: list[Exception] = []
        self.loop = Loop(self.faults.append)
        self.pushed_s = 0.0
        self.loop.now = lambda: time.monotonic() + self.pushed_s
        self.log = Sink()
        self.commands = Commands(self.loop, Children(self.loop), self.log)  # type: ignore[arg-type]
        self.path = directory / "ran"
        self.path.touch()

    def say(self, word: str, more: str = "") -> list[str]:
        return ["/bin/sh", "-c", f"echo {word} >>{self.path}; {more}"]

    def ran(self) -> list[str]:
        return self.path.read_text().split()

    def until(self, is_done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_done():
            assert time.monotonic() < end_s, self.log.lines
            self.loop.step(0.1)

    def finish(self) -> None:
        self.until(lambda: not len(self.commands))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.commands.close()
    made.until(lambda: made.commands._running is None)
    made.loop.close()
    assert made.faults == []


def test_it_runs_and_says_nothing(world: World) -> None:
    world.commands.run(world.say("one"))
    world.finish()
    assert world.ran() == ["one"] and world.log.lines == []


def test_asked_for_many_times_it_runs_once(world: World) -> None:
    for _ in range(5):
        world.commands.run(world.say("one"), 50)
    world.commands.run(world.say("two"), 0)
    world.finish()
    assert world.ran() == ["two", "one"]


@pytest.mark.parametrize(
    ("first_ms", "second_ms", "due_s"), [(5000, 1000, 5), (1000, 5000, 5), (5000, 5000, 5)]
)
def test_only_a_longer_delay_moves_it(world: World, first_ms: int, second_ms: int, due_s: int) -> None:
    world.commands.run(world.say("one"), first_ms)
    world.commands.run(world.say("one"), second_ms)
    world.pushed_s += due_s - 0.9
    world.loop.step(0)
    assert len(world.commands) == 1 and world.commands._running is None
    world.pushed_s += 1
    world.finish()
    assert world.ran() == ["one"]


def test_asked_for_while_it_runs_it_runs_once_more(world: World) -> None:
    command = world.say("one")
    world.commands.run(command)
    world.loop.step(0)
    assert world.commands._running
    for _ in range(3):
        world.commands.run(command)
    world.finish()
    assert world.ran() == ["one", "one"]


def test_one_at_a_time_in_order(world: World) -> None:
    for word in "abc":
        world.commands.run(world.say(f"{word}1", f"echo {word}2 >>{world.path}"))
    world.finish()
    assert world.ran() == ["a1", "a2", "b1", "b2", "c1", "c2"]


@pytest.mark.parametrize(
    ("more", "said"), [("exit 3", "exit status 3"), ("kill -9 $$", "killed by signal 9"), ("exit 0", "")]
)
def test_a_bad_end_is_one_line(world: World, more: str, said: str) -> None:
    command = world.say("x", more)
    world.commands.run(command)
    world.finish()
    assert world.log.lines == ([f"{' '.join(command)[: module.SHOWN_MAX]}: {said}"] if said else [])


@pytest.mark.parametrize(("status", "said"), [(1, []), (2, ["exit status 2"])])
def test_no_for_an_answer_is_no_fault(world: World, tmp_path: Path, status: int, said: list[str]) -> None:
    """`/etc/init.d/x running`, after each start: why x does not run has been said by then."""
    script = tmp_path / "x"
    script.write_text(f"#!/bin/sh\nexit {status}\n")
    script.chmod(0o755)
    world.commands.run([str(script), "running"])
    world.finish()
    assert world.log.lines == [f"{script} running: {line}" for line in said]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nonexistent/x", "reload"], "/nonexistent/x reload: No such file or directory"),
        (["/etc/passwd"], "/etc/passwd: Permission denied"),
        ([], ": no command"),
        (["a\0b"], "a\0b: embedded null byte"),
    ],
)
def test_what_cannot_run_keeps_nobody(world: World, command: list[str], said: str) -> None:
    world.commands.run(command)
    world.commands.run(world.say("next"))
    world.finish()
    assert world.log.lines == [said] and world.ran() == ["next"]


def test_one_that_does_not_end_is_told_and_killed_with_its_children(world: World) -> None:
    world.commands.run(world.say("$$", "sleep 1000 & echo $! >>" + str(world.path) + "; wait"))
    world.commands.run(world.say("next"))
    world.until(lambda: len(world.ran()) == 2)
    world.pushed_s += module.PATIENCE_S
    world.loop.step(0)
    assert "still runs after 60 s" in world.log.lines[0]
    world.pushed_s += module.LIMIT_S - module.PATIENCE_S
    world.finish()
    assert "killed after 300 s" in world.log.lines[1] and world.log.lines[2].endswith("killed by signal 9")
    shell, sleep, word = world.ran()
    assert word == "next"
    assert not Path(f"/proc/{shell}").exists()
    world.until(lambda: not is_alive(int(sleep)))


def is_alive(pid: int) -> bool:
    """An orphan that nobody reaps is dead all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_queue_is_bounded_and_says_so_once(world: World) -> None:
    for number in range(8):
        assert world.commands.queue(["/bin/true", str(number)], 60_000, limit=8)
    assert not world.commands.queue(["/bin/true", "8"], 0, limit=8)
    assert not world.commands.queue(["/bin/true", "9"], 0, limit=8)
    assert world.commands.queue(["/bin/true", "7"], 0, limit=8)
    assert world.log.lines == ["8 commands wait already: not run: /bin/true 8"]
    world.pushed_s += 60
    world.finish()
    assert world.commands.queue(["/bin/true", "9"], limit=8)
    world.finish()


def test_nothing_of_the_supervisor_gets_in(world: World, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    reads, writes = os.pipe()
    world.commands.run(["cat", str(fifo)])
    world.loop.step(0)
    running = world.commands._running
    assert running is not None
    process = Path(f"/proc/{running.pid}")
    writes_fifo = -1

    def is_read() -> bool:  # its loader has files open, and none any more once it is there
        nonlocal writes_fifo
        try:
            writes_fifo = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        return True

    world.until(is_read)
    seen = {fd.name: os.readlink(fd) for fd in (process / "fd").iterdir()}
    passed = {fd: target for fd, target in seen.items() if target != str(fifo)}
    assert {passed.pop(fd) for fd in "012"} == {"/dev/null"}
    assert all(os.get_inheritable(int(fd)) for fd in passed)  # what this process itself was started with
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert int(status["SigBlk"], 16) == 0 and not int(status["SigIgn"], 16) & 1 << signal.SIGPIPE - 1
    assert os.getpgid(running.pid) == running.pid
    os.close(writes_fifo)
    os.close(reads)
    os.close(writes)
    world.finish()


def test_close_ends_what_runs(world: World) -> None:
    world.commands.run(world.say("x", "exec sleep 1000"))
    world.commands.run(world.say("never"), 100)
    world.until(lambda: bool(world.ran()))
    world.commands.close()
    world.until(lambda: world.commands._running is None)
    assert world.ran() == ["x"]
