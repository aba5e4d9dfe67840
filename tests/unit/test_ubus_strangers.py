# SPDX-License-Identifier: MIT
"""Descriptors that peers send and nobody takes: closing them takes no longer than any other close."""

import array
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ubus_world import NOBODY, World, clean_world, is_closed

from initd.consoletable import ConsoleTable
from initd.jailconsole import Line
from initd.ubus import wire
from initd.ubus.channel import FDS_SENT_MAX
from initd.ubus.strangers import close_fd, never_wait
from initd.ubus.wire import UbusError

LINGER_S = 3
SHORT_S = 1.0
PING = wire.pack_frame(wire.PING, 1, 0, b"")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    before = signal.getsignal(signal.SIGALRM)
    with clean_world(tmp_path) as made:
        never_wait()
        yield made
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def lingering() -> Iterator[int]:
    """The only descriptor of a TCP socket whose last close waits: who is at the other end reads nothing."""
    with socket.socket() as listener, socket.socket() as ours:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ours.connect(listener.getsockname())
        with listener.accept()[0]:
            ours.setblocking(False)
            try:
                while True:
                    ours.send(bytes(65536))
            except BlockingIOError:
                pass
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_S))
            yield ours.detach()


def send(peer: socket.socket, raw: bytes, fds: list[int]) -> None:
    """Send them away: none is ours any more."""
    peer.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    for fd in fds:
        os.close(fd)


def in_a_socket(fd: int) -> int:
    """A socket in whose queue that descriptor waits."""
    one, other = socket.socketpair()
    with one:
        send(one, b"x", [fd])
    return other.detach()


def test_the_twin_waits_until_a_signal_comes(lingering: int) -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    began_s = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    os.close(lingering)
    assert time.monotonic() - began_s > 0.02
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("raw", [PING, PING * 2, PING[:5], b"\xff" * 16], ids=["ping", "two", "part", "bad"])
def test_socket_that_lingers_does_not_hold_the_broker_up(
    world: World, lingering: int, raw: bytes, is_inside: bool
) -> None:
    peer = world.raw(NOBODY)
    world.turn()
    send(peer, raw, [in_a_socket(lingering) if is_inside else lingering])
    began_s = time.monotonic()
    world.turn()
    peer.close()
    world.until(lambda: not world.broker.registry.peers)
    assert time.monotonic() - began_s < SHORT_S


def test_many_at_once_do_not(world: World, lingering: int) -> None:
    peer = world.raw(NOBODY)
    world.turn()
    send(peer, PING, [*[os.dup(2) for _ in range(FDS_SENT_MAX - 1)], lingering])
    began_s = time.monotonic()
    world.turn()
    assert time.monotonic() - began_s < SHORT_S and not is_closed(peer)
    peer.close()


def test_no_signal_comes_after_it(world: World) -> None:
    close_fd(os.dup(2))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_who_attaches_to_a_console_does_not_hold_it_up(world: World, lingering: int) -> None:
    line = Line(lingering)
    began_s = time.monotonic()
    line.close(world.loop)
    assert time.monotonic() - began_s < SHORT_S


def test_what_is_given_for_no_console_does_not(world: World, lingering: int) -> None:
    began_s = time.monotonic()
    with pytest.raises(UbusError):
        ConsoleTable(world.loop, []).attach("nobody", None, lingering)
    assert time.monotonic() - began_s < SHORT_S
