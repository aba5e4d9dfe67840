# SPDX-License-Identifier: MIT
"""What netifd is told of a jail's network: with the jail's name and the namespace, at its start and at its end."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from initd_world import FIRST_PID, FakeLog, FakeStarted, World

from initd.definition import Definition
from initd.netifd import Handed, hand
from initd.ubus import wire

OnEnd = Callable[[int, list[dict[str, Any]]], None]
HERE = os.readlink("/proc/self/ns/net")


class FakeBus:
    """Notes calls; answers are the test's to give."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any], str]] = []
        self.ends: list[OnEnd] = []

    def call(self, path: str, method: str, data: Any, on_end: OnEnd, *, fd: int = -1) -> None:
        self.calls.append((path, method, dict(data), os.readlink(f"/proc/self/fd/{fd}")))
        self.ends.append(on_end)


def define(**jail: object) -> Definition:
    table = {"command": ["/bin/true"], "jail": jail}
    return Definition.read("s", "one", table)  # type: ignore[arg-type]


def told(starts: bool) -> tuple[str, str, dict[str, Any], str]:
    return ("network", "netns_updown", {"jail": "j", "start": starts}, HERE)


def test_start_and_end_are_told_with_the_namespace() -> None:
    bus, log = FakeBus(), FakeLog()
    before = os.listdir("/proc/self/fd")
    handed = hand(bus, log, define(name="j", netns=True), os.getpid())
    assert handed and bus.calls == [told(True)]
    bus.ends[0](wire.OK, [])
    handed.take_back()
    assert bus.calls[1:] == [told(False)]
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    bus.ends[1](wire.OK, [])
    assert (len(os.listdir("/proc/self/fd")), log.lines) == (len(before), [])


@pytest.mark.parametrize("status", [wire.NOT_FOUND, wire.METHOD_NOT_FOUND, wire.CONNECTION_FAILED])
def test_host_without_netifd_is_the_usual_one(status: int) -> None:
    bus, log = FakeBus(), FakeLog()
    handed = hand(bus, log, define(netns=True), os.getpid())
    assert handed and bus.calls[0][2] == {"jail": "s.one", "start": True}
    bus.ends[0](status, [])
    handed.take_back()
    bus.ends[1](status, [])
    assert log.lines == []


def test_refusal_is_a_line() -> None:
    bus, log = FakeBus(), FakeLog()
    handed = hand(bus, log, define(name="j", netns=True), os.getpid())
    bus.ends[0](wire.PERMISSION_DENIED, [])
    assert log.lines == ["warning s::one: network netns_updown start: Permission denied"]
    assert handed
    handed.take_back()
    bus.ends[1](wire.OK, [])


def test_nobody_is_told_of_the_hosts_network_or_of_what_has_ended() -> None:
    bus = FakeBus()
    assert hand(bus, FakeLog(), define(name="j", procfs=True), os.getpid()) is None
    assert hand(bus, FakeLog(), define(name="j", netns=True), 1 << 22) is None
    assert bus.calls == []


def test_each_process_is_told_of_once_at_either_end(world: World) -> None:
    bus = FakeBus()

    def handed(definition: Definition, pid: int) -> Handed | None:
        assert pid == FIRST_PID
        return hand(bus, world.log, definition, os.getpid())

    world.started_as = lambda pid: FakeStarted(pid, pid + 1)
    world.host.hand_network = handed
    world.set("s", one={"command": ["/bin/d"], "jail": {"name": "j", "netns": True}})
    assert bus.calls == [told(True)]
    world.end(FIRST_PID)
    assert bus.calls == [told(True), told(False)]
    bus.ends[1](wire.OK, [])
