# SPDX-License-Identifier: MIT
"""The broker and bad, slow and many peers: none of them disturbs it or the others."""

import os
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ubus_world import NOBODY, World, clean_world, frames_in, is_closed, open_fds, send_all

from initd.loop import Loop
from initd.ubus import broker as broker_module
from initd.ubus import registry, wire
from initd.ubus.blob import MAX_BYTES, pack_attribute, pack_table
from initd.ubus.broker import Broker
from initd.ubus.channel import OUTPUT_MAX
from initd.ubus.object import Method, Object

if TYPE_CHECKING:
    from initd.ubus.blob import Table


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with clean_world(tmp_path) as made:
        yield made


BAD = {
    "another version": b"\1" + bytes(11),
    "too long": struct.pack(">BBHII", 0, wire.PING, 1, 0, 0x100004),
    "as long as a word allows": struct.pack(">BBHII", 0, wire.PING, 1, 0, 0xFFFFFC),
    "too short": struct.pack(">BBHII", 0, wire.PING, 1, 0, 3),
    "not aligned": struct.pack(">BBHII", 0, wire.PING, 1, 0, 6) + bytes(4),
    "not a blob": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_what_is_no_frame_ends_the_connection(world: World, raw: bytes) -> None:
    bad, good = world.raw(), world.client()
    bad.sendall(raw)
    world.until(lambda: is_closed(bad))
    bad.close()
    assert world.lookup(good, None)[0] == wire.OK


@pytest.mark.parametrize(
    ("type", "body", "status"),
    [
        (wire.HELLO, b"", wire.INVALID_COMMAND),
        (wire.MONITOR, b"", wire.INVALID_COMMAND),
        (77, b"", wire.INVALID_COMMAND),
        (wire.INVOKE, b"", wire.INVALID_ARGUMENT),
        (wire.INVOKE, b"\3\0\0\x40", wire.INVALID_ARGUMENT),
        (wire.INVOKE, wire.invoke_body(99999, "x", {}), wire.NOT_FOUND),
        (wire.INVOKE, wire.invoke_body(wire.EVENT_OBJECT, "x", {}), wire.INVALID_COMMAND),
        (wire.INVOKE, wire.raw_invoke_body(1, b"register", b"\1\2\3\4"), wire.INVALID_ARGUMENT),
        (wire.INVOKE, wire.invoke_body(1, "register", {"object": "x", "pattern": 1}), wire.INVALID_ARGUMENT),
        (wire.INVOKE, wire.invoke_body(1, "register", {"object": -1, "pattern": "*"}), wire.NOT_FOUND),
        (wire.INVOKE, wire.invoke_body(1, "send", {"id": "x", "data": 1}), wire.INVALID_ARGUMENT),
        (wire.INVOKE, wire.invoke_body(wire.MONITOR_OBJECT, "x", {}), wire.METHOD_NOT_FOUND),
        (wire.ADD_OBJECT, wire.pack_string(wire.A_OBJPATH, b""), wire.INVALID_ARGUMENT),
        (wire.ADD_OBJECT, wire.pack_word(wire.A_OBJTYPE, 4711), wire.INVALID_ARGUMENT),
        (wire.ADD_OBJECT, pack_attribute(wire.A_SIGNATURE, b"\1\2\3\4"), wire.INVALID_ARGUMENT),
        (wire.REMOVE_OBJECT, wire.pack_word(wire.A_OBJID, 5), wire.NOT_FOUND),
        (wire.SUBSCRIBE, wire.pack_word(wire.A_OBJID, 5), wire.NOT_FOUND),
        (wire.UNSUBSCRIBE, b"", wire.INVALID_ARGUMENT),
        (wire.NOTIFY, wire.invoke_body(5, "x", {}), wire.NOT_FOUND),
        (wire.LOOKUP, wire.pack_string(wire.A_OBJPATH, b""), wire.INVALID_ARGUMENT),
        (wire.LOOKUP, pack_attribute(wire.A_OBJPATH, b"abc"), wire.INVALID_ARGUMENT),
        (wire.LOOKUP, wire.lookup_body("no*"), wire.NOT_FOUND),
    ],
)
def test_a_wrong_request_gets_a_status(world: World, type: int, body: bytes, status: int) -> None:
    client = world.client()
    ends: list[int] = []
    client.request(type, body, 0, None, ends.append)
    world.until(lambda: bool(ends))
    assert ends == [status]


def test_a_frame_in_pieces_is_put_together(world: World) -> None:
    client = world.raw()
    for byte in wire.pack_frame(wire.PING, 7, 9, pack_table({"a": 1})):
        client.sendall(bytes([byte]))
        world.turn()
    frames = frames_in(client.recv(4096))
    assert [frame.type for frame in frames] == [wire.HELLO, wire.DATA, wire.STATUS]
    assert (frames[1].seq, frames[1].peer, frames[1].body) == (7, 9, pack_table({"a": 1}))
    client.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda type, seq, body: wire.pack_frame(type, seq, 0, body + bytes(-len(body) % 4)),
                st.integers(0, 14),
                st.integers(0, 3),
                st.one_of(
                    st.binary(max_size=40),
                    st.lists(
                        st.builds(
                            pack_attribute,
                            st.integers(0, 15),
                            st.one_of(
                                st.binary(max_size=8),
                                st.sampled_from([b"thing\0", b"register\0", b"\0\0\0\1", b"\0\0\0\3"]),
                                st.just(pack_table({"object": 1, "pattern": "*", "id": "x", "data": {}})),
                            ),
                        ),
                        max_size=4,
                    ).map(b"".join),
                ),
            ),
        ),
        max_size=5,
    )
)
def test_no_bytes_disturb_the_broker(world: World, pieces: list[bytes]) -> None:
    client = world.raw()
    for piece in pieces:
        try:
            client.sendall(piece)
        except OSError:
            break
        world.turn()
    world.turn()
    client.close()
    world.until(lambda: not world.broker.registry.peers)
    assert not world.faults


def test_who_does_not_read_is_dropped_and_the_others_are_served(world: World) -> None:
    slow, good = world.raw(), world.client()
    ping = wire.pack_frame(wire.PING, 1, 0, pack_attribute(wire.A_DATA, bytes(60000)))
    sent, limit = 0, 4 * wire.FRAME_MAX
    while sent < limit and len(world.broker.registry.peers) == 2:
        try:
            sent += slow.send(ping[sent % len(ping) :])
        except BlockingIOError:
            pass
        except OSError:
            break
        world.turn()
    world.until(lambda: len(world.broker.registry.peers) == 1)
    assert wire.FRAME_MAX < sent < limit
    slow.close()
    assert world.lookup(good, None)[0] == wire.OK


@pytest.mark.parametrize("is_event", [True, False])
def test_who_is_told_more_than_it_reads_keeps_its_connection(world: World, is_event: bool) -> None:
    noisy, busy, caller = world.client(), world.client(), world.client()
    source, listener = world.add(noisy, Object("noise")), Object(receive=lambda call: None)
    served = world.add(busy, Object("busy", {"do": Method(lambda call: None)}))
    world.add(busy, listener)
    if is_event:
        assert world.status(busy.start_listen, listener, "noise") == wire.OK
    else:
        assert world.status(busy.start_subscribe, listener, source.id) == wire.OK
        world.until(lambda: source.has_subscribers)
    world.clients.remove(busy)  # it has other things to do
    data: Table = {"text": "x" * 50000}
    for _ in range(2 * OUTPUT_MAX // 50000):
        if is_event:
            noisy.start_invoke(wire.EVENT_OBJECT, "send", {"id": "noise", "data": data})
        else:
            noisy.notify(source, "noise", data)
        world.until(lambda: not noisy.channel.output_bytes)
        world.turn()
    ends: list[int] = []
    caller.start_invoke(served.id, "do", {}, None, ends.append)
    world.clients.append(busy)
    world.until(lambda: bool(ends))
    assert ends == [wire.OK] and not busy.is_lost


def test_peers_without_privilege_share_a_bounded_memory(world: World) -> None:
    good = world.client()
    half = wire.pack_frame(wire.PING, 1, 0, bytes(MAX_BYTES - 4))[:-4]
    hoarders = [world.raw(NOBODY) for _ in range(broker_module.HELD_MAX // len(half) + 4)]

    def check() -> None:
        assert world.broker._held_bytes <= broker_module.HELD_MAX + (1 << 15)

    send_all(world, hoarders, half, check)
    assert 0 < sum(map(is_closed, hoarders)) < len(hoarders)
    for client in hoarders:
        client.close()
    assert world.lookup(good, None)[0] == wire.OK


def test_half_of_the_places_are_roots(world: World) -> None:
    world.broker.peers_max = 4
    crowd = [world.raw(NOBODY) for _ in range(3)]
    assert [is_closed(client) for client in crowd] == [False, False, True]
    root = world.raw()
    assert not is_closed(root)
    for client in (*crowd, root):
        client.close()


def test_what_one_peer_keeps_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "OBJECTS_MAX", 3)
    client = world.client()
    for _ in range(3):
        world.add(client, Object())
    assert world.status(client.start_add, Object()) == wire.NO_MEMORY
    monkeypatch.setattr(registry, "KEPT_MAX", 100)
    other = world.client()
    long = Object("x" * 101)
    assert world.status(other.start_add, long) == wire.NO_MEMORY
    small = world.add(other, Object("x" * 60))
    assert world.status(other.start_remove, small) == wire.OK
    world.add(other, Object("y" * 60))


def test_a_thousand_connections(tmp_path: Path) -> None:
    """A tenth in a guest, which is slow."""
    crowd = 100 if "STOCKADE_GUEST" in os.environ else 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2500:
        pytest.skip("needs 2500 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    before = open_fds()
    loop = Loop()
    broker = Broker(loop, pytest.fail, str(tmp_path))
    path = str(tmp_path / "ubus.sock")
    broker.listen(path)
    clients = []
    try:
        for _ in range(crowd):
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            clients.append(client)
            loop.step(0)
        while len(broker.registry.peers) < crowd:
            loop.step(1)
        ids = {wire.unpack_frame(client.recv(12), 0, 12).peer for client in clients}
        assert len(ids) == crowd
        for client in clients:
            client.sendall(wire.pack_frame(wire.LOOKUP, 1, 0, b""))
        for client in clients:
            client.setblocking(False)
        answered = 0
        waiting = clients
        while waiting:
            loop.step(0.1)
            still = []
            for client in waiting:
                try:
                    answered += client.recv(64)[1] == wire.STATUS
                except BlockingIOError:
                    still.append(client)
            waiting = still
        assert answered == crowd
    finally:
        for client in clients:
            client.close()
        while broker.registry.peers:
            loop.step(1)
        broker.close()
        loop.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_fds() == before and not os.path.exists(path)
