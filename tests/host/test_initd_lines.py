# SPDX-License-Identifier: MIT
"""/etc/inittab under a process 1: its lines at the boot, on a terminal, for ctrl-alt-del and at the end."""

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from initds import FIRST, Initd, Make, make, script

__all__ = ["make"]
Host: TypeAlias = Any
LIMIT_S = 30


class Terminal:
    """A terminal, and what was written to it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.name = os.ttyname(self.slave).removeprefix("/dev/")
        self.read = ""

    def shows(self, text: str) -> None:
        """Wait for it; what came before it is forgotten."""
        end_s = time.monotonic() + LIMIT_S
        while text not in self.read:
            assert select.select([self.master], [], [], max(0.0, end_s - time.monotonic()))[0], self.read
            self.read += os.read(self.master, 4096).decode()
        self.read = self.read.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.slave)
    os.close(made.master)


def first(make: Make, inittab: str) -> Initd:
    def prepare(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc/inittab").write_text(inittab)
        script(root, "S10x", 'echo "x $1"')
        script(root, "K10x", 'echo "x $1"')

    return make(prefix=FIRST, prepare=prepare)


def in_order(log: str, *texts: str) -> bool:
    """Whether the log has these texts, one after the other."""
    for text in texts:
        _, found, log = log.partition(text)
        if not found:
            return False
    return True


def test_lines_before_after_and_at_the_end(host: Host, make: Make) -> None:
    lines = ["sysinit:echo one; exit 3", "sysinit:echo two", "wait:echo three", "once:echo four"]
    lines += ["shutdown:echo five", "shutdown:/etc/init.d/rcK", "resspawn:/bin/x"]
    initd = first(make, "".join(f"::{line}\n" for line in lines))
    initd.wait_for("four")
    (one,) = host.children_of(initd.process.pid)
    os.kill(one, signal.SIGTERM)
    assert initd.process.wait(60) in (-1, 129)
    said = ["inittab:7: no action 'resspawn': did you mean \"respawn\"?; the line is left out", "one"]
    said += [
        "echo one; exit 3 sysinit: exit status 3",
        "two",
        "x boot",
        "three",
        "four",
        "x shutdown",
        "five",
    ]
    assert in_order(initd.log, *said), initd.log


def test_a_terminal_asks_and_a_login_comes_again(host: Host, make: Make, terminal: Terminal) -> None:
    make_it = f"{terminal.name}::askfirst:-/bin/sh\n"
    initd = first(make, make_it)
    for _ in range(2):
        terminal.shows("press Enter")
        terminal.type("\n")
        terminal.type("echo $(($$ > 1)) $0 $(tty) </dev/tty\n")
        terminal.shows(f"1 -sh /dev/{terminal.name}")
        terminal.type("exit\n")
    # what was taken out of the file is not started again, once HUP was sent
    terminal.shows("press Enter")
    (initd.root / "etc/inittab").write_text(f"{terminal.name}::respawn:echo instead; read x\n")
    (one,) = host.children_of(initd.process.pid)
    os.kill(one, signal.SIGHUP)
    terminal.shows("instead")
    os.kill(one, signal.SIGTERM)
    begun_s = time.monotonic()
    assert initd.process.wait(60) in (-1, 129)
    assert time.monotonic() - begun_s < 5  # a shell that somebody types into would not hear TERM
    assert "press" not in terminal.read


def test_ctrl_alt_del_does_what_the_file_says(host: Host, make: Make) -> None:
    initd = first(make, "::ctrlaltdel:echo three fingers\n")
    (one,) = host.children_of(initd.process.pid)
    os.kill(one, signal.SIGINT)
    initd.wait_for("three fingers")
    (initd.root / "etc/inittab").write_text("# nothing\n")
    os.kill(one, signal.SIGHUP)
    os.kill(one, signal.SIGINT)
    initd.wait_for("has no line for it")
    assert initd.process.poll() is None
    # without a file it reboots, as before
    (initd.root / "etc/inittab").unlink()
    os.kill(one, signal.SIGHUP)
    initd.ubus("call", "service", "list")
    os.kill(one, signal.SIGINT)
    assert initd.process.wait(60) in (-1, 129)
