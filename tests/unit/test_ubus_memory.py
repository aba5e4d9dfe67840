# SPDX-License-Identifier: MIT
"""The broker's memory, descriptors and time: all that users besides root make it keep counts against one bound."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ubus_world import NOBODY, ROOT, World, clean_world, frames_in, is_closed, send_all, thing

from initd.ubus import broker as broker_module
from initd.ubus import turns, wire
from initd.ubus.acl import ACCESS, Credentials, Grant
from initd.ubus.blob import pack_attribute, pack_table
from initd.ubus.channel import FD_BYTES
from initd.ubus.own import DATA_MAX
from initd.ubus.registry import ITEM_BYTES, SIGNATURE_MAX
from initd.ubus.wire import ATTRIBUTES_MAX

BOUND = 100 * ITEM_BYTES
THIRTY = pack_attribute(wire.A_SIGNATURE, pack_table({f"m{number}": None for number in range(30)}))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(broker_module, "HELD_MAX", BOUND)
    with clean_world(tmp_path) as made:
        yield made


def frame(type: int, *parts: bytes, seq: int = 1) -> bytes:
    return wire.pack_frame(type, seq, 0, b"".join(parts))


def add_objects(world: World, client: socket.socket, count: int, body: bytes = b"") -> list[int]:
    """The ids of anonymous ones."""
    ids = []
    for _ in range(count):
        client.send(frame(wire.ADD_OBJECT, body))
        world.turn()
        world.turn()
        found = [each.attributes() for each in frames_in(client.recv(1 << 16))]
        ids += [wire.word(each[wire.A_OBJID]) for each in found if wire.A_OBJID in each]
    return ids


def invoke(id: int, seq: int, *more: bytes) -> bytes:
    return frame(
        wire.INVOKE, wire.pack_word(wire.A_OBJID, id), wire.pack_string(wire.A_METHOD, b"x"), *more, seq=seq
    )


def fill(world: World, client: socket.socket) -> None:
    """Until something waits for it."""
    peer = world.broker.registry.peers[frames_in(client.recv(1 << 16))[0].peer]
    channel = world.broker._channels[peer.id]
    channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    while not peer.waiting_bytes:
        client.send(frame(wire.PING, bytes(1000)))
        world.turn()
        world.turn()


def tiny_messages(world: World, mine: socket.socket, other: socket.socket) -> None:
    mine.send(400 * frame(wire.PING))


def unread_answers(world: World, mine: socket.socket, other: socket.socket) -> None:
    fill(world, mine)
    for _ in range(100):
        with contextlib.suppress(OSError):  # once it is dropped
            mine.send(frame(wire.PING))
        world.turn()
        world.turn()


def open_calls(world: World, mine: socket.socket, other: socket.socket) -> None:
    (id,) = add_objects(world, other, 1)
    send_all(world, [mine], b"".join(invoke(id, seq) for seq in range(200)))


def subscriptions(world: World, mine: socket.socket, other: socket.socket) -> None:
    targets, own = add_objects(world, other, 12), add_objects(world, mine, 12)
    words = [
        (wire.pack_word(wire.A_OBJID, id), wire.pack_word(wire.A_TARGET, to)) for id in own for to in targets
    ]
    send_all(world, [mine], b"".join(frame(wire.SUBSCRIBE, *each) for each in words))


def methods(world: World, mine: socket.socket, other: socket.socket) -> None:
    send_all(world, [mine], 4 * frame(wire.ADD_OBJECT, THIRTY))


def a_type_of_another(world: World, mine: socket.socket, other: socket.socket) -> None:
    add_objects(world, other, 1, THIRTY)
    (type,) = world.broker.registry.types
    send_all(world, [mine], 4 * frame(wire.ADD_OBJECT, wire.pack_word(wire.A_OBJTYPE, type)))


def long_questions(world: World, mine: socket.socket, other: socket.socket) -> None:
    grant = Grant(ACCESS, "*")
    grant.methods, grant.uid = frozenset([b"*"]), NOBODY.uid
    world.broker.exchange.acl.grants = [grant]
    world.add(world.client(), thing())
    fill(world, mine)
    question = frame(wire.LOOKUP, wire.pack_string(wire.A_OBJPATH, 8000 * b"x" + b"*"))
    send_all(world, [mine], frame(wire.LOOKUP) + 4 * question)


GREED = [tiny_messages, unread_answers, open_calls, subscriptions, methods, a_type_of_another, long_questions]


@pytest.mark.parametrize("take", GREED)
@pytest.mark.parametrize("who", [NOBODY, ROOT])
def test_what_is_remembered_for_users_is_bounded_and_for_root_it_is_not(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    take: "Callable[[World, socket.socket, socket.socket], None]",
    who: Credentials,
) -> None:
    monkeypatch.setattr(turns, "SLICE_S", -1.0)  # one message in each turn of the loop
    modest, mine, other = world.raw(Credentials(1000, 1000)), world.raw(who), world.raw(who)
    take(world, mine, other)
    world.turn()
    assert is_closed(mine) == bool(who.uid)
    assert not is_closed(modest)
    assert world.broker._held_bytes <= BOUND
    for client in (modest, mine, other):
        client.close()
    world.until(lambda: len(world.broker._channels) == len(world.clients))


def test_what_is_over_is_not_counted_any_more(world: World) -> None:
    caller, owner = world.client(NOBODY), world.client(NOBODY)
    for _ in range(50):
        served = world.add(owner, thing(""))
        assert world.call(caller, served.id, "echo", {})[0] == wire.OK
        listener = world.add(caller, thing(""))
        assert world.status(caller.start_subscribe, listener, served.id) == wire.OK
        assert world.status(owner.start_remove, served) == wire.OK
        assert world.status(caller.start_remove, listener) == wire.OK
    world.turn()
    assert not world.broker._held_bytes


def test_descriptors_that_wait_are_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "HELD_MAX", 4 * FD_BYTES + (1 << 16))
    sender = world.raw(NOBODY)
    deaf = [world.raw(NOBODY) for _ in range(4)]
    for each in deaf:
        each.send(frame(wire.ADD_OBJECT))
        fill(world, each)
    ids = [next(iter(peer.objects)) for peer in world.broker.registry.peers.values() if peer.objects]
    assert len(ids) == len(deaf)
    held = []
    for seq, id in enumerate(ids * 3):
        socket.send_fds(sender, [invoke(id, seq, wire.pack_flag(wire.A_NO_REPLY, True))], [0])
        world.turn()
        world.turn()
        held.append(sum([channel._fd_count for channel in world.broker._channels.values()]))
    assert 2 < max(held) <= 4
    for each in (sender, *deaf):
        each.close()
    world.until(lambda: not world.broker._channels)


def signature(size: int) -> bytes:
    return pack_attribute(wire.A_SIGNATURE, pack_table({"m" * (size - 7): None}))


def event(size: int) -> bytes:
    data = {"id": "m" * (size - 28), "data": {}}
    return wire.invoke_body(wire.EVENT_OBJECT, "send", data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type", "body", "limit", "within", "beyond"),
    [
        (wire.PING, lambda count: count * b"\0\0\0\4", ATTRIBUTES_MAX, wire.OK, wire.INVALID_ARGUMENT),
        (wire.ADD_OBJECT, signature, SIGNATURE_MAX, wire.OK, wire.NO_MEMORY),
        (wire.INVOKE, event, DATA_MAX, wire.PERMISSION_DENIED, wire.INVALID_ARGUMENT),
    ],
)
def test_no_message_takes_long(
    tmp_path: Path, type: int, body: Callable[[int], bytes], limit: int, within: int, beyond: int
) -> None:
    """What is taken apart in one go, before it is known who asks for what, is small."""
    with clean_world(tmp_path) as world:
        client = world.client(NOBODY)
        peer = wire.EVENT_OBJECT if type == wire.INVOKE else 0
        ends: list[int] = []
        for number, size in enumerate((limit, limit + 4)):
            client.request(type, body(size), peer, None, ends.append)
            world.until(lambda count=number + 1: len(ends) == count)  # type: ignore[misc]
        assert ends == [within, beyond]
