# SPDX-License-Identifier: MIT
"""Consoles by name: those of instances, and those that were given to be held."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from initd_world import FakeStarted, World, call

from initd.consoletable import HELD_MAX, ConsoleTable
from initd.objects import ServiceMethods
from initd.ubus import wire
from initd.ubus.wire import UbusError


class Held:
    """The object `container` with nothing but consoles that were given to it."""

    def __init__(self) -> None:
        self.world = World()
        self.consoles = ConsoleTable(self.world.loop, [self.world.services])
        self.object = ServiceMethods(self.world.services).container(lambda: self.consoles)
        self.fds: list[int] = []

    def hold(self, name: str, instance: str) -> int:
        master, slave = os.openpty()
        self.fds.append(slave)
        self.consoles.hold(name, instance, master)
        return slave

    def attach(self, name: str, instance: str | None = None) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            self.consoles.attach(name, instance, theirs.detach())
        except UbusError:
            ours.close()
            raise
        return ours


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    for each in made.consoles._held.values():
        each.close()
    for fd in made.fds:
        with suppress(OSError):
            os.close(fd)
    made.world.close()


def test_consoles_are_found_by_name(held: Held) -> None:
    slave = held.hold("a", "a")
    held.hold("a", "b")
    with held.attach("a", "a") as line:
        os.write(slave, b"I am a")
        held.world.loop.step(5)
        assert line.recv(10) == b"I am a"
    for name, instance, status in (
        ("a", None, wire.INVALID_ARGUMENT),
        ("x", None, wire.NOT_FOUND),
        ("a", "x", 4),
    ):
        with pytest.raises(UbusError) as error:
            held.attach(name, instance)
        assert error.value.code == status
    held.hold("a", "b")  # the new one counts
    assert len(held.consoles._held) == 2


def test_a_console_goes_with_its_jail(held: Held) -> None:
    slave = held.hold("a", "a")
    os.close(slave)
    held.fds.clear()
    held.world.loop.step(5)
    assert held.consoles._held == {}


def test_what_is_held_is_bounded_and_is_a_master(held: Held) -> None:
    with pytest.raises(UbusError):
        held.consoles.hold("x", "x", os.open("/dev/null", os.O_RDWR))
    for number in range(HELD_MAX):
        held.hold("a", str(number))
    with pytest.raises(UbusError):
        held.hold("a", "one more")
    held.hold("a", "0")


def test_own_instances_come_first(held: Held) -> None:
    master, slave = os.openpty()
    held.fds.append(slave)

    def started(pid: int) -> Any:
        made = FakeStarted(pid, pid)
        made.console_fd = master
        return made

    held.world.started_as = started
    held.world.set("s", one={"command": ["/bin/d"], "jail": {"name": "s", "console": True}})
    held.hold("s", "one")
    with held.attach("s") as line:
        os.write(slave, b"own")
        held.world.loop.step(5)
        assert line.recv(10) == b"own"
        assert held.world.listing("s", "one")["jail"]["console"] is True  # type: ignore[index]
        held.world.is_group_gone = False
        held.world.end(held.world.instance("s", "one").process.pid)  # type: ignore[union-attr]
        assert line.recv(10) == b""
    held.consoles._held.pop(("s", "one")).close()
    assert held.world.instance("s", "one").process  # what is left of it in a group has no console
    with pytest.raises(UbusError) as error:
        held.attach("s", "one")
    assert error.value.code == wire.NOT_FOUND


def test_a_call_without_a_descriptor_is_refused(held: Held) -> None:
    for method in ("console_set", "console_attach"):
        assert call(held.object, method, {"name": "a"}, held.world.faults)[0] == wire.INVALID_ARGUMENT
        assert call(held.object, method, {}, held.world.faults)[0] == wire.INVALID_ARGUMENT
