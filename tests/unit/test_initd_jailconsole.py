# SPDX-License-Identifier: MIT
"""Consoles: what is copied, what is kept for the next operator, and who can hold whom up."""

import os
import socket
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from initd_world import World

from initd import jailconsole
from initd.jailconsole import BURST_BYTES, CHUNK_BYTES, KEPT_BYTES, STALL_S, JailConsole


class Desk:
    """A terminal whose other side is `jail`, and operators at sockets."""

    def __init__(self) -> None:
        self.world = World()
        self.ends = 0
        master, self.jail = os.openpty()
        tty.setraw(self.jail)
        self.fds = [self.jail]
        self.sockets: list[socket.socket] = []
        self.console = JailConsole(self.world.loop, master, self._ended)

    def _ended(self) -> None:
        self.ends += 1

    def operator(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.sockets.append(ours)
        self.console.attach(theirs.detach())
        ours.setblocking(False)
        return ours

    def until(self, is_done: Callable[[], object]) -> None:
        for _ in range(10_000):
            if is_done():
                return
            self.world.loop.step(0.001)  # the kernel hands on what is written to a terminal a little later
            self.world.advance(0.01)
        raise AssertionError("it does not come to that")

    def hear(self, operator: socket.socket, text: bytes) -> None:
        heard = b""

        def is_heard() -> bool:
            nonlocal heard
            with suppress(BlockingIOError):
                heard += operator.recv(1 << 16)
            return len(heard) >= len(text)

        self.until(is_heard)
        assert heard == text

    def hang_up(self) -> None:
        os.close(self.jail)
        self.fds.remove(self.jail)

    def close(self) -> None:
        self.console.close()
        for fd in self.fds:
            os.close(fd)
        for each in self.sockets:
            each.close()
        self.world.close()
        assert self.world.faults == []


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


def test_both_ways(desk: Desk) -> None:
    operator = desk.operator()
    os.write(desk.jail, b"login: ")
    desk.hear(operator, b"login: ")
    operator.send(b"root\x03\n")
    desk.until(lambda: _waiting(desk.jail) == 6)
    assert os.read(desk.jail, 100) == b"root\x03\n"


def _waiting(fd: int) -> int:
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def test_what_was_said_to_nobody_is_kept_to_a_bound(desk: Desk) -> None:
    """And saying it never waits."""
    text = bytes(range(32, 127)) * 100
    os.set_blocking(desk.jail, False)
    left = text

    def say() -> bool:
        nonlocal left
        with suppress(BlockingIOError):
            left = left[os.write(desk.jail, left) :]
        return not left

    desk.until(say)
    desk.until(lambda: len(desk.console._kept) == KEPT_BYTES and text.endswith(desk.console._kept))
    desk.hear(desk.operator(), text[-KEPT_BYTES:])


def test_a_flood_is_read_at_a_bounded_rate(desk: Desk) -> None:
    os.set_blocking(desk.jail, False)
    written = 0
    for _ in range(BURST_BYTES // CHUNK_BYTES * 4):
        with suppress(BlockingIOError):
            written += os.write(desk.jail, b"x" * CHUNK_BYTES)
        desk.world.loop.step(0)
    assert desk.console._pause is not None
    assert BURST_BYTES <= written < 2 * BURST_BYTES
    desk.until(lambda: desk.console._pause is None)


def test_the_next_operator_takes_the_place(desk: Desk) -> None:
    first, second = desk.operator(), desk.operator()
    assert first.recv(1) == b""
    os.write(desk.jail, b"hello")
    desk.hear(second, b"hello")


def test_an_operator_who_leaves_is_let_go(desk: Desk) -> None:
    desk.operator().close()
    desk.until(lambda: desk.console._line is None)
    os.write(desk.jail, b"later")
    desk.until(lambda: desk.console._kept == b"later")
    desk.hear(desk.operator(), b"later")


def test_an_operator_who_reads_nothing_is_let_go(desk: Desk) -> None:
    operator = desk.operator()
    os.set_blocking(desk.jail, False)

    def is_full() -> bool:
        with suppress(BlockingIOError):
            os.write(desk.jail, b"x" * 1024)
        return desk.console._stall is not None

    desk.until(is_full)
    desk.world.advance(STALL_S)
    assert desk.console._line is None and len(desk.console._kept) <= KEPT_BYTES
    while operator.recv(1 << 16):
        pass  # what it was given, then the end


def test_a_jail_that_reads_nothing_holds_up_nobody(desk: Desk) -> None:
    operator = desk.operator()

    def is_full() -> bool:
        with suppress(BlockingIOError):
            operator.send(b"y" * 1024)
        return len(desk.console._to_master) > 0

    desk.until(is_full)
    os.write(desk.jail, b"still")
    desk.hear(operator, b"still")


def test_the_last_words_are_heard(desk: Desk) -> None:
    operator = desk.operator()
    os.write(desk.jail, b"bye")
    desk.hang_up()
    desk.until(lambda: desk.ends)
    assert operator.recv(10) == b"bye" and operator.recv(10) == b""
    assert desk.ends == 1


def test_the_last_words_are_heard_when_the_process_is_reaped_first(desk: Desk) -> None:
    operator = desk.operator()
    os.write(desk.jail, b"bye")
    desk.console.close()
    assert operator.recv(10) == b"bye" and operator.recv(10) == b""
    assert desk.ends == 0


def test_an_operator_may_be_a_terminal_but_never_makes_us_wait(desk: Desk) -> None:
    """It is opened anew: the flags of the caller's open file are the caller's."""
    screen, given = os.openpty()
    desk.fds += [screen]
    tty.setraw(given)
    other = os.dup(given)
    desk.fds.append(other)
    desk.console.attach(given)
    os.write(desk.jail, b"hello")
    desk.until(lambda: _waiting(screen) == 5)
    assert os.read(screen, 10) == b"hello"
    assert os.get_blocking(other)
    os.write(screen, b"x")
    desk.until(lambda: _waiting(desk.jail) == 1)


def test_what_is_no_line_is_refused(desk: Desk) -> None:
    pipe = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    master, slave = os.openpty()
    desk.fds += [*pipe, null, master, slave]
    for fd in (*pipe, null, master):
        with pytest.raises(OSError, match="Inappropriate"):
            desk.console.attach(fd)
    assert jailconsole.is_master(master) and not jailconsole.is_master(slave)
