# SPDX-License-Identifier: MIT
"""A service is deleted once, whether its instances run, have ended, or never were."""

import gc

import initd_world
import pytest
from initd_world import FIRST_PID, FakeStarted, World

from initd.denials import PIDS_KEPT_S
from initd.instance import Instance
from initd.ubus import wire
from jail.calls import NATIVE


@pytest.mark.parametrize("instances", [{}, {"a": {"command": ["/bin/x"]}}])
def test_what_does_not_run_is_gone_at_once(world: World, instances: dict[str, object]) -> None:
    world.set("svc", **instances)
    if instances:
        world.end(FIRST_PID)
    assert world.call("delete", {"name": "svc"}) == (wire.OK, {})
    assert world.faults == [] and not world.services.table
    assert [name for name, _ in world.notes].count("service.stop") == 1
    assert world.call("delete", {"name": "svc"})[0] == wire.NOT_FOUND


def test_what_runs_is_gone_when_it_has_ended(world: World) -> None:
    world.set("svc", a={"command": ["/bin/x"]}, b={"command": ["/bin/y"]})
    world.end(FIRST_PID)
    world.call("delete", {"name": "svc"})
    assert list(world.services.table) == ["svc"]
    world.end(FIRST_PID + 1)
    assert world.faults == [] and not world.services.table


def test_all_is_stopped_though_some_do_not_run(world: World) -> None:
    ends: list[bool] = []
    for name in ("one", "two", "three"):
        world.set(name, a={"command": ["/bin/x"]})
    world.end(FIRST_PID + 1)
    world.services.stop_all(lambda: ends.append(True))
    world.end(FIRST_PID)
    assert ends == []
    world.end(FIRST_PID + 2)
    assert ends == [True] and world.faults == []


class Asking(FakeStarted):
    """One whose denied calls wait for an answer."""

    def __init__(self, pid: int, service_pid: int) -> None:
        super().__init__(pid, service_pid)
        self.notify_abi = NATIVE


@pytest.mark.parametrize("kind", [FakeStarted, Asking])
def test_nothing_of_what_is_gone_stays_until_circles_are_looked_for(
    world: World, kind: type[FakeStarted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initd_world, "FakeStarted", kind)
    monkeypatch.setattr("initd.listening.take", lambda pid: -1)
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            world.set("svc", a={"command": ["/bin/x"], "watchdog": ["1", "60"]}, b={"command": ["/bin/y"]})
            world.end(FIRST_PID + 2 * number)
            world.call("delete", {"name": "svc"})
            world.end(FIRST_PID + 2 * number + 1)
        world.advance(PIDS_KEPT_S + 1)
        assert not world.services.table and world.faults == []
        assert not [each for each in gc.get_objects() if isinstance(each, Instance)]
    finally:
        gc.enable()
