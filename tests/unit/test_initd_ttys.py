# SPDX-License-Identifier: MIT
"""Programs on terminals: who waits for Enter, whose session it is, and how often what fails is tried again."""

import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from initd.children import Children
from initd.inittab import Entry
from initd.loop import Loop, Timer
from initd.ttys import PROMPT, Ttys

LIMIT_S = 10
NOFILE = (64, 64)


class World:
    """A terminal whose other end is the test's, and pauses that the test ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        self.lines: list[str] = []
        self.pauses: list[tuple[float, Callable[[], None]]] = []
        self.children = Children(self.loop)
        monkeypatch.setattr(self.loop, "after", self.after)
        log: Any = self
        self.ttys = Ttys(self.loop, log, self.children, NOFILE)
        self.master, self.slave = os.openpty()
        self.tty = os.ttyname(self.slave).removeprefix("/dev/")
        self.read = b""

    def after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        if delay_s:
            self.pauses.append((delay_s, callback))
            return Timer(delay_s, 0, callback)
        return Loop.after(self.loop, delay_s, callback)

    def info(self, text: str) -> None:
        self.lines.append(text)

    def until(self, is_so: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < end_s, (self.read, self.lines)
            self.loop.step(0.01)
            while select.select([self.master], [], [], 0)[0]:
                self.read += os.read(self.master, 4096)

    def shows(self, text: str) -> None:
        """Wait for it, and look at what comes after it from then on."""
        self.until(lambda: text.encode() in self.read)
        self.read = self.read.partition(text.encode())[2]

    def pids(self) -> list[int]:
        return [tty.pid for tty in self.ttys._ttys.values()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("TERM", "linux")  # as the kernel gives it to process 1
    made = World(monkeypatch)
    yield made
    made.ttys.close()
    made.until(lambda: not any(made.pids()))
    os.close(made.slave)
    os.close(made.master)
    made.loop.close()
    with pytest.raises(ChildProcessError):  # nothing is left
        os.waitpid(-1, os.WNOHANG)


def test_a_program_has_the_terminal_and_a_session_of_its_own(world: World) -> None:
    world.ttys.start([Entry(world.tty, "respawn", "echo here $TERM >/dev/tty; ulimit -n; exit 3")])
    assert world.pids() != [0]
    world.shows("here vt102\r\n64\r\n")
    world.until(lambda: len(world.pauses) == 1)
    assert world.lines == [
        f"{world.tty}: echo here $TERM >/dev/tty; ulimit -n; exit 3: ended with 3; it is tried again"
    ]


def test_one_that_asks_has_no_process_before_enter(world: World) -> None:
    world.ttys.start([Entry(world.tty, "askfirst", "echo begun; read -r x; exit 0")])
    world.shows(PROMPT.decode().strip())
    os.write(world.master, b"\x11")
    world.loop.step(0)
    assert world.pids() == [0]
    os.write(world.master, b"\n")
    world.shows("begun")
    os.write(world.master, b"\n")
    world.until(lambda: len(world.pauses) == 1)
    world.pauses[0][1]()
    world.shows(PROMPT.decode().strip())
    assert world.pids() == [0]


def test_a_raw_terminal_is_made_sane_again(world: World) -> None:
    import tty

    tty.setraw(world.slave)
    world.ttys.start([Entry(world.tty, "askfirst", "echo a; stty")])
    os.write(world.master, b"\r")
    world.shows("a\r\n")  # with a return before the new line


def test_the_end_hangs_up(world: World) -> None:
    world.ttys.start([Entry(world.tty, "respawn", "trap '' TERM; echo on; read -r x")])
    world.shows("on")
    world.ttys.close()
    world.until(lambda: world.pids() == [0])
    assert not world.pauses and not world.lines


def test_what_is_not_there_is_tried_less_and_less_often_and_told_once(world: World) -> None:
    world.ttys.start([Entry("none-such", "respawn", "/bin/x")])
    for _ in range(7):
        world.pauses[-1][1]()
    assert [pause for pause, _ in world.pauses] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert world.lines == ["none-such: /bin/x: No such file or directory; it is tried again"]


def test_lines_come_and_go(world: World) -> None:
    first, second = (Entry("none-such", "respawn", name) for name in ("/bin/x", "/bin/y"))
    world.ttys.start([first])
    world.ttys.start([Entry("none-such", "respawn", "/bin/x"), second])
    assert len(world.pauses) == 2
    world.ttys.keep([second])
    assert [tty.entry for tty in world.ttys._ttys.values()] == [second]
