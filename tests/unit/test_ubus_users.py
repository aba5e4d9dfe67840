# SPDX-License-Identifier: MIT
"""The broker and users who take all they can get: it is theirs that goes, and not another user's."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ubus_world import NOBODY, World, clean_world, frames_in, is_closed, send_all, thing

from initd.ubus import broker as broker_module
from initd.ubus import turns, wire
from initd.ubus.acl import ACCESS, Credentials, Grant
from initd.ubus.blob import MAX_BYTES


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with clean_world(tmp_path) as made:
        yield made


def test_who_hoards_loses_it_and_not_another_user(world: World) -> None:
    modest = world.raw(Credentials(1000, 1000))
    part = wire.pack_frame(wire.PING, 1, 0, bytes(MAX_BYTES - 4))[:-4]
    hoarders = [world.raw(NOBODY) for _ in range(broker_module.HELD_MAX // len(part) + 2)]
    send_all(world, hoarders, part)
    assert sum(map(is_closed, hoarders)) == 2
    send_all(world, [modest], part)
    assert sum(map(is_closed, hoarders)) == 3 and not is_closed(modest)
    for client in (modest, *hoarders):
        client.close()


def answers(client: socket.socket) -> int:
    """How many frames have come."""
    try:
        return len(frames_in(client.recv(1 << 16)))
    except BlockingIOError:
        return 0


def test_users_take_turns_and_root_does_not_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE_S", 0.0)  # one message in each turn of the loop
    many, few, root = world.raw(NOBODY), world.raw(Credentials(1000, 1000)), world.raw()
    for client in (many, few, root):
        assert answers(client) == 1  # HELLO
    ping = wire.pack_frame(wire.PING, 1, 0, b"")
    many.send(100 * ping)
    few.send(2 * ping)
    root.send(10 * ping)
    world.turn()
    assert (answers(many), answers(few), answers(root)) == (2, 0, 20), "DATA and STATUS for each"
    for _ in range(3):
        world.turn()
    assert (answers(many), answers(few)) == (2, 4)
    socket.send_fds(few, [ping, ping], [0])
    world.turn()
    for client in (many, few, root):
        client.close()
    for _ in range(120):
        world.turn()
    assert not (world.broker.registry.peers or world.broker._turns._waiting)


def test_no_user_keeps_root_from_calling(world: World) -> None:
    grant = Grant(ACCESS, "thing")
    grant.methods, grant.uid = frozenset([b"*"]), NOBODY.uid
    world.broker.exchange.acl.grants = [grant]
    owner, greedy, root = world.client(), world.client(NOBODY), world.client()
    served = world.add(owner, thing())
    world.clients.remove(owner)  # it has a lot to do
    ends: list[int] = []
    for _ in range(2000):
        greedy.start_invoke(served.id, "echo", {"text": "x" * 300}, None, ends.append)
    world.until(lambda: bool(ends) and not greedy.channel.output_bytes and not world.broker._turns._waiting)
    assert set(ends) == {wire.NO_MEMORY}
    world.clients.append(owner)
    assert world.call(root, served.id, "echo", {"text": "x" * 50000})[0] == wire.OK


def test_no_user_takes_the_places_of_another(world: World) -> None:
    world.broker.peers_max = 8
    crowd = [world.raw(NOBODY) for _ in range(6)]
    assert [is_closed(each) for each in crowd] == [False] * 4 + [True] * 2
    others = [world.raw(Credentials(1000 + number % 2, 1000)) for number in range(4)]
    world.turn()
    assert [is_closed(each) for each in others] == [False] * 2 + [True] * 2
    assert [is_closed(each) for each in crowd] == [False] * 2 + [True] * 4
    for each in (*crowd, *others):
        each.close()
