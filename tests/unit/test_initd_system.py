# SPDX-License-Identifier: MIT
"""The object `system`, and the watchdog behind it; a file stands for the device."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_initd_rcd import FakeLoop

from initd.system import System
from initd.ubus import wire
from initd.ubus.object import Call, Method
from initd.ubus.wire import UbusError
from initd.watchdog_device import Watchdog


class World:
    def __init__(self, path: Path) -> None:
        self.loop = FakeLoop()
        self.path = path
        self.dog = Watchdog(self.loop, str(path))  # type: ignore[arg-type]
        self.ends = 0
        self.system = System(self.dog, "", self.end)

    def end(self) -> None:
        self.ends += 1

    def call(self, method: str, **data: object) -> object:
        call = Call.__new__(Call)
        call.data = data  # type: ignore[assignment]
        found: Method = self.system.object.methods[method]
        found.check(call.data)
        return found.handler(call)

    def status(self, method: str, **data: object) -> int:
        with pytest.raises(UbusError) as error:
            self.call(method, **data)
        return error.value.code


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "watchdog").touch()
    made = World(tmp_path / "watchdog")
    yield made
    made.dog.is_magic = True
    made.dog.stop()  # closes


def test_it_is_offline_until_somebody_starts_it(world: World) -> None:
    assert world.call("watchdog") == {
        "status": "offline",
        "timeout": 30,
        "frequency": 5,
        "magicclose": False,
    }
    assert world.path.read_bytes() == b""


def test_it_is_fed_again_and_again_until_it_is_stopped(world: World) -> None:
    answer = world.call("watchdog", frequency=7, stop=False)
    assert isinstance(answer, dict) and answer["status"] == "running"
    assert world.loop.fire() == 7 and world.loop.fire() == 7
    assert world.path.read_bytes() == b"\0\0\0"
    answer = world.call("watchdog", stop=True)
    assert isinstance(answer, dict) and answer["status"] == "stopped"
    assert world.path.read_bytes() == b"\0\0\0"


def test_with_a_magic_close_it_sleeps(world: World) -> None:
    world.call("watchdog", magicclose=True, stop=False)
    answer = world.call("watchdog", stop=True)
    assert isinstance(answer, dict) and answer["status"] == "offline"
    assert world.path.read_bytes() == b"\0V"


def test_it_is_fed_before_it_bites(world: World) -> None:
    answer = world.call("watchdog", timeout=8, frequency=20)
    assert isinstance(answer, dict) and (answer["timeout"], answer["frequency"]) == (8, 4)


def test_what_cannot_be_is_refused(world: World) -> None:
    assert world.status("watchdog", timeout=-1) == wire.INVALID_ARGUMENT
    world.path.unlink()
    assert world.status("watchdog", stop=False) == wire.UNKNOWN_ERROR


@pytest.mark.parametrize(("pid", "number"), [(0, 1), (-1, 1), (-5, 1), (1, -1), (1, 999)])
def test_a_signal_goes_to_one_process(world: World, pid: int, number: int) -> None:
    assert world.status("signal", pid=pid, signum=number) == wire.INVALID_ARGUMENT


def test_a_signal_to_nobody_is_not_found(world: World) -> None:
    assert world.status("signal", pid=1 << 30, signum=0) == wire.NOT_FOUND


def test_only_who_may_end_the_machine_does(world: World) -> None:
    world.call("reboot")
    assert world.ends == 1
    world.system = System(world.dog)
    assert world.status("reboot") == wire.NOT_SUPPORTED
