# SPDX-License-Identifier: MIT
"""An instance whose network is made first: it waits for that, and may be stopped, changed or disappointed."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from initd_world import FIRST_PID, World

from initd.definition import Definition
from initd.networks import Existing
from jail.errors import ConfigError
from jail.netmaker import Made

NET: dict[str, Any] = {"command": ["/bin/d"], "jail": {"name": "x", "net": ["veth:eth0"]}}
OTHER: dict[str, Any] = {**NET, "jail": {"name": "x", "net": ["veth:eth1"]}}


@pytest.fixture
def network() -> Iterator[tuple[Made, int]]:
    """A network, and the end of a pipe that tells whether it is still held."""
    here, there = os.pipe()
    os.set_blocking(here, False)
    yield Made(os.dup(there), there), here
    os.close(here)


def is_held(here: int) -> bool:
    try:
        return os.read(here, 1) != b""
    except BlockingIOError:
        return True


def test_instance_starts_when_its_network_is_there(world: World, network: tuple[Made, int]) -> None:
    world.set("s", one=NET)
    assert (world.listing("s", "one")["state"], world.spawned) == ("starting", [])
    made, here = network
    fd = made.fd
    world.asked[0].on_made(made, None)
    assert (world.listing("s", "one")["state"], world.net_fds) == ("running", [fd])
    assert made.fd == -1 and is_held(here)
    world.end(FIRST_PID)
    assert not is_held(here)


def test_network_that_cannot_be_made_is_a_start_that_failed(world: World) -> None:
    world.set("s", one=NET)
    world.asked[0].on_made(None, ConfigError("network: there is no device x"))
    listed = world.listing("s", "one")
    assert (listed["state"], world.spawned) == ("failed", [])
    assert listed["failed"] == "cannot start: network: there is no device x"
    world.network_errors.append(OSError(11, "Try again"))
    world.instance("s", "one").start()
    assert world.listing("s", "one")["failed"] == "cannot start: Try again"


def test_network_of_a_spawn_that_fails_goes(world: World, network: tuple[Made, int]) -> None:
    world.spawn_errors.append(ConfigError("no"))
    world.set("s", one=NET)
    world.asked[0].on_made(network[0], None)
    assert world.listing("s", "one")["state"] == "failed"
    assert not is_held(network[1])


def test_each_start_has_a_network_of_its_own(world: World, network: tuple[Made, int]) -> None:
    world.set("s", one={**NET, "respawn": ["10", "5", "2"]})
    world.asked[0].on_made(network[0], None)
    world.end(FIRST_PID)
    world.advance(5)
    assert (world.listing("s", "one")["state"], len(world.asked)) == ("starting", 2)


def test_stop_while_it_is_made(world: World) -> None:
    world.set("s", one=NET)
    one = world.instance("s", "one")
    one.stop()
    assert (one.state, world.asked[0].is_cancelled, world.spawned) == ("stopped", True, [])
    one.start()
    assert len(world.asked) == 2
    one.remove()
    assert world.asked[1].is_cancelled and one.state == "stopped"


def test_change_while_it_is_made(world: World) -> None:
    world.set("s", one=NET)
    world.set("s", one=NET)
    assert [asked.is_cancelled for asked in world.asked] == [False]
    world.set("s", one=OTHER)
    assert [asked.is_cancelled for asked in world.asked] == [True, False]


def test_without_words_nothing_is_waited_for(world: World) -> None:
    world.set("s", one={"command": ["/bin/d"], "jail": {"name": "x", "netns": True}})
    assert (world.listing("s", "one")["state"], world.net_fds) == ("running", [-1])


def test_namespace_that_nobody_waits_for_any_more_is_closed(world: World, network: tuple[Made, int]) -> None:
    made, here = network
    answers: list[Made | None] = []
    definition = Definition.read("s", "one", NET)
    asked = Existing(world.host, definition, made, lambda found, error: answers.append(found))
    asked.cancel()
    assert made.fd == -1 and not is_held(here)
    world.loop.step(0)
    assert not answers
