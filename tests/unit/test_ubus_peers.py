# SPDX-License-Identifier: MIT
"""The broker and bad, slow, many and dying peers; who may do what; what is left when all have gone."""

import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initd.loop import Loop
from initd.ubus import broker as broker_module
from initd.ubus import registry, wire
from initd.ubus.acl import Acl, Credentials, Grant, read_grants
from initd.ubus.blob import INT32, MAX_BYTES, STRING, pack_attribute, pack_signature, pack_table, unpack_table
from initd.ubus.broker import Broker
from initd.ubus.bus import Bus
from initd.ubus.client import Client, Found
from initd.ubus.jsontext import parse_table
from initd.ubus.object import Call, Method, Object
from jail.errors import ConfigError

ROOT = Credentials(0, 0)
NOBODY = Credentials(65534, 65534)
LIMIT_S = 20


class World:
    """A broker in this process, and peers made of raw sockets or of our client."""

    def __init__(self, acl_dir: str) -> None:
        self.faults: list[Exception] = []
        self.warnings: list[str] = []
        self.loop = Loop(self.faults.append)
        self.broker = Broker(self.loop, self.warnings.append, acl_dir)
        self.clients: list[Client] = []

    def raw(self, who: Credentials = ROOT) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.broker.welcome(ours, who)
        theirs.setblocking(False)
        return theirs

    def client(self, who: Credentials = ROOT) -> Client:
        made = Client(self.raw(who), self.faults.append)
        self.clients.append(made)
        self.until(lambda: made.id != 0)
        return made

    def until(self, is_done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_done():
            assert time.monotonic() < end_s
            self.turn()

    def turn(self) -> None:
        self.loop.step(0)
        for client in self.clients:
            if not client.is_lost:
                client.work()

    def status(self, start: Callable[..., object], *args: object) -> int:
        ends: list[int] = []
        start(*args, ends.append)
        self.until(lambda: bool(ends))
        return ends[0]

    def add(self, client: Client, served: Object) -> Object:
        assert self.status(client.start_add, served) == wire.OK
        return served

    def call(
        self, client: Client, id: int, method: str, data: Mapping[str, object]
    ) -> tuple[int, list[object]]:
        answers: list[object] = []
        return self.status(client.start_invoke, id, method, data, answers.append), answers

    def lookup(self, client: Client, path: str | None) -> tuple[int, list[Found]]:
        found: list[Found] = []
        return self.status(client.start_lookup, path, found.append), found


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    before = open_fds()
    made = World(str(tmp_path))
    yield made
    for client in made.clients:
        client.close()
    made.broker.close()
    made.loop.close()
    assert not made.faults
    left = made.broker
    assert not (left.registry.peers or left.registry.objects or left.registry.types or left.registry.paths)
    assert not (left._channels or left._held or left._held_bytes or left._writing)
    assert not (left._events._listeners or left._monitor._peers)
    assert open_fds() == before


def echo(call: Call) -> "dict[str, object]":
    return dict(call.data)


def thing(path: str = "thing") -> Object:
    return Object(path, {"echo": Method(echo, {"text": STRING, "n": INT32})})  # type: ignore[arg-type]


def frames_in(data: bytes) -> list[wire.Frame]:
    frames, at = [], 0
    while at < len(data):
        length = wire.frame_length(data, at)
        frames.append(wire.unpack_frame(data, at, at + length))
        at += length
    return frames


def is_closed(client: socket.socket) -> bool:
    try:
        while client.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


# --- bad peers

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


def test_peers_without_privilege_share_a_bounded_memory(world: World) -> None:
    good = world.client()
    half = wire.pack_frame(wire.PING, 1, 0, bytes(MAX_BYTES - 4))[:-4]
    hoarders = [world.raw(NOBODY) for _ in range(broker_module.HELD_MAX // len(half) + 4)]
    rest = {client: half for client in hoarders}
    for _ in range(70 * len(hoarders)):
        for client, data in list(rest.items()):
            try:
                rest[client] = data[client.send(data) :]
            except BlockingIOError:
                continue
            except OSError:
                del rest[client]
        world.turn()
        assert world.broker._held_bytes <= broker_module.HELD_MAX + (1 << 15)
        if not any(rest.values()):
            break
    assert 0 < len(rest) < len(hoarders)
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
        for _ in range(1000):
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            clients.append(client)
            loop.step(0)
        while len(broker.registry.peers) < 1000:
            loop.step(1)
        ids = {wire.unpack_frame(client.recv(12), 0, 12).peer for client in clients}
        assert len(ids) == 1000
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
        assert answered == 1000
    finally:
        for client in clients:
            client.close()
        while broker.registry.peers:
            loop.step(1)
        broker.close()
        loop.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_fds() == before and not os.path.exists(path)


# --- calls


def test_the_caller_hears_when_the_owner_dies(world: World) -> None:
    owner, caller = world.client(), world.client()
    asked: list[Call] = []

    def never(call: Call) -> None:
        call.defer()
        asked.append(call)

    served = world.add(owner, Object("slow", {"x": Method(never)}))
    ends: list[int] = []
    caller.start_invoke(served.id, "x", {}, None, ends.append)
    world.until(lambda: bool(asked))
    assert not ends
    owner.close()
    world.until(lambda: bool(ends))
    assert ends == [wire.NOT_FOUND]


def test_an_answer_to_a_caller_that_died_goes_nowhere(world: World) -> None:
    owner, caller = world.client(), world.client()
    asked: list[Call] = []

    def later(call: Call) -> None:
        call.defer()
        asked.append(call)

    served = world.add(owner, Object("slow", {"x": Method(later)}))
    caller.start_invoke(served.id, "x", {})
    world.until(lambda: bool(asked))
    caller.close()
    world.until(lambda: len(world.broker.registry.peers) == 1)
    asked[0].reply({"a": 1})
    asked[0].finish()
    assert world.lookup(owner, "slow")[0] == wire.OK
    assert not world.broker.registry.objects[served.id].calls


def test_nobody_answers_for_another_or_without_being_asked(world: World) -> None:
    owner, thief, caller = world.client(), world.client(), world.client()
    asked: list[Call] = []

    def later(call: Call) -> None:
        call.defer()
        asked.append(call)

    served = world.add(owner, Object("real", {"x": Method(later)}))
    own = world.add(thief, Object("false", {"x": Method(later)}))
    answers: list[object] = []
    ends: list[int] = []
    request = caller.start_invoke(served.id, "x", {}, answers.append, ends.append)
    world.until(lambda: bool(asked))
    for id in (served.id, own.id):
        for peer in (caller.id, owner.id):
            thief.send(wire.Frame(wire.DATA, request.seq, peer, wire.data_body(id, {"evil": True})))
            thief.send(wire.Frame(wire.STATUS, request.seq, peer, wire.status_body(0, id)))
    assert world.lookup(thief, "false")[0] == wire.OK
    assert not answers and not ends
    asked[0].reply({"good": True})
    asked[0].finish()
    asked[0].finish(wire.UNKNOWN_ERROR)
    world.until(lambda: bool(ends))
    assert (answers, ends) == ([{"good": True}], [wire.OK])


def test_a_path_is_there_once_and_another_ones_object_is_safe(world: World) -> None:
    owner, other = world.client(), world.client()
    served = world.add(owner, thing())
    assert world.status(other.start_add, thing()) == wire.INVALID_ARGUMENT
    for type in (wire.REMOVE_OBJECT, wire.NOTIFY, wire.SUBSCRIBE, wire.UNSUBSCRIBE):
        body = wire.invoke_body(served.id, "x", {}) + wire.pack_word(wire.A_TARGET, served.id)
        ends: list[int] = []
        other.request(type, body, 0, None, ends.append)
        world.until(lambda ends=ends: bool(ends))  # type: ignore[misc]
        assert ends == [wire.PERMISSION_DENIED]
    assert world.call(other, served.id, "echo", {"n": 1}) == (wire.OK, [{"n": 1}])


def test_an_owner_that_does_not_read_is_asked_no_more_and_kept(world: World) -> None:
    owner, caller = world.client(), world.client()
    served = world.add(owner, thing())
    world.clients.remove(owner)  # it does not read from now on
    ends: list[int] = []
    for _ in range(30):
        caller.start_invoke(served.id, "echo", {"text": "x" * 50000}, None, ends.append)
    world.until(lambda: bool(ends))
    assert set(ends) == {wire.NO_MEMORY}
    world.clients.append(owner)
    world.until(lambda: len(ends) == 30)
    assert set(ends) == {wire.NO_MEMORY, wire.OK}


def test_a_call_that_grows_too_long_on_its_way_is_refused(world: World) -> None:
    owner, caller = world.client(), world.client()
    served = world.add(owner, thing())
    text = "x" * (MAX_BYTES - 4 - len(wire.invoke_body(served.id, "echo", {"text": ""})) - 4)
    assert world.call(caller, served.id, "echo", {"text": text})[0] == wire.INVALID_ARGUMENT
    text = text[:-100]
    assert world.call(caller, served.id, "echo", {"text": text}) == (wire.OK, [{"text": text}])


def test_a_descriptor_travels_with_a_call_and_back(world: World) -> None:
    owner, caller = world.client(), world.client()
    got: list[int] = []

    def take(call: Call) -> None:
        got.append(call.take_fd())
        call.defer()
        reads, writes = os.pipe()
        call.finish(wire.OK, reads)
        os.write(writes, b"back")
        os.close(reads)
        os.close(writes)

    served = world.add(owner, Object("console", {"attach": Method(take)}))
    reads, writes = os.pipe()
    back: list[bytes] = []
    request = caller.start_invoke(served.id, "attach", {}, None, None, writes)
    os.close(writes)
    world.until(lambda: request.is_done)
    back.append(os.read(request.fd, 9))
    assert not os.get_inheritable(got[0]) and not os.get_inheritable(request.fd)
    os.close(request.fd)
    os.write(got[0], b"there")
    os.close(got[0])
    assert (os.read(reads, 9), back) == (b"there", [b"back"])
    os.close(reads)


def test_descriptors_nobody_wants_are_closed(world: World) -> None:
    owner, raw = world.client(), world.raw()
    served = world.add(owner, thing())
    before = open_fds()
    frames = (
        wire.pack_frame(wire.PING, 1, 0, b""),
        wire.pack_frame(wire.INVOKE, 2, served.id, wire.invoke_body(served.id, "echo", {})),
        wire.pack_frame(wire.INVOKE, 3, 4711, wire.invoke_body(4711, "echo", {})),
        wire.pack_frame(wire.INVOKE, 4, 1, wire.invoke_body(1, "send", {})),
        wire.pack_frame(wire.PING, 5, 0, b"")[:-4],
    )
    for frame in frames:
        socket.send_fds(raw, [frame], [1, 1, 1])
        world.turn()
    world.turn()
    assert open_fds() <= before + 1  # the one of the frame that is not complete
    raw.close()
    world.until(lambda: len(world.broker.registry.peers) == 1)
    assert open_fds() == before - 2


def test_ten_thousand_calls_by_a_hundred_clients(world: World) -> None:
    owner = world.client()
    served = world.add(owner, thing())
    clients = [world.client() for _ in range(100)]
    wrong: list[object] = []
    done = 0
    left = {client: 100 for client in clients}

    def ask(client: Client) -> None:
        number = left[client]
        answers: list[object] = []

        def end(status: int) -> None:
            nonlocal done
            done += 1
            if status or answers != [{"n": number, "text": str(client.id)}]:
                wrong.append((status, answers))
            left[client] -= 1
            if left[client]:
                ask(client)

        client.start_invoke(served.id, "echo", {"n": number, "text": str(client.id)}, answers.append, end)

    start_s = time.monotonic()
    for client in clients:
        ask(client)
    world.until(lambda: done == 10000)
    print(f"{10000 / (time.monotonic() - start_s):.0f} calls/s")
    assert not wrong


# --- listening and subscribing


def test_events_reach_each_listener_once_and_not_the_sender(world: World) -> None:
    sender, listener = world.client(), world.client()
    heard: list[tuple[str, object]] = []
    ear = world.add(listener, Object(receive=lambda call: heard.append((call.method, call.data))))
    own = world.add(sender, Object(receive=lambda call: heard.append(("own", call.data))))
    for pattern in ("a.*", "a.b", "*"):
        assert world.status(listener.start_listen, ear, pattern) == wire.OK
    assert world.status(sender.start_listen, own, "a.b") == wire.OK
    data = {"id": "a.b", "data": {"x": 1}}
    assert world.call(sender, wire.EVENT_OBJECT, "send", data) == (wire.OK, [])
    world.add(sender, thing())
    world.until(lambda: len(heard) == 2)
    assert heard[0] == ("a.b", {"x": 1}) and heard[1][0] == "ubus.object.add"
    foreign = {"object": wire.as_int32(own.id), "pattern": "*"}
    assert world.call(listener, wire.EVENT_OBJECT, "register", foreign)[0] == wire.PERMISSION_DENIED


def test_subscribers_hear_notifications_and_the_end(world: World) -> None:
    owner, other = world.client(), world.client()
    heard: list[object] = []
    gone: list[int] = []
    served = world.add(owner, thing())
    ear = Object(receive=lambda call: heard.append((call.method, call.data)), on_gone=gone.append)
    world.add(other, ear)
    owner.notify(served, "missed", {})
    assert world.status(other.start_subscribe, ear, served.id) == wire.OK
    assert world.status(owner.start_subscribe, world.add(owner, Object()), served.id) == wire.INVALID_ARGUMENT
    world.until(lambda: served.has_subscribers)
    owner.notify(served, "told", {"x": 1})
    world.until(lambda: bool(heard))
    id = served.id
    assert world.status(owner.start_remove, served) == wire.OK
    world.until(lambda: bool(gone))
    assert (heard, gone) == ([("told", {"x": 1})], [id])


def test_many_objects_are_listed_as_fast_as_they_are_read(world: World) -> None:
    owner, slow = world.client(), world.raw()
    methods = {f"method{number}": Method(echo, {"x" * 200: STRING}) for number in range(40)}  # type: ignore[arg-type]
    for number in range(90):
        world.add(owner, Object(f"object{number:02}", methods))
    slow.sendall(wire.pack_frame(wire.LOOKUP, 1, 0, b"") + wire.pack_frame(wire.LOOKUP, 2, 0, b""))
    for _ in range(20):
        world.turn()
    seen = b""
    frames: list[wire.Frame] = []
    while sum(frame.type == wire.STATUS for frame in frames) < 2:
        world.turn()
        try:
            seen += slow.recv(1 << 16)
        except BlockingIOError:
            continue
        if seen.endswith(wire.pack_word(wire.A_STATUS, wire.OK)):
            frames = frames_in(seen)
    paths = [frame.attributes()[wire.A_OBJPATH] for frame in frames if frame.type == wire.DATA]
    assert paths == [b"object%02d" % number for number in range(90)] * 2
    slow.close()


# --- who may do what

GRANTS = """{"access": {"thing": {"methods": ["echo"], "acl": {"a": 1}}, "pre*": {"methods": ["*"]}},
"publish": ["mine.*"], "subscribe": ["thing"], "listen": ["heard.*"], "send": ["said"], "inherit": []}"""


def grant(world: World, text: str = GRANTS) -> None:
    table = parse_table(text)
    grants = read_grants({**table, "user": "root"}, "x.json")
    for item in grants:
        item.uid = NOBODY.uid
    world.broker.exchange.acl.grants = grants


def attempts(world: World) -> dict[str, int]:
    """What one who is not root gets for each thing that the grants are about, and for the ones beside it."""
    owner, client = world.client(), world.client(NOBODY)
    ids = {}
    for path in ("thing", "pref", "secret"):
        served = Object(path, {name: Method(echo) for name in ("echo", "other")})  # type: ignore[arg-type]
        ids[path] = world.add(owner, served).id
    ear = world.add(client, Object())
    out = {
        f"{path} {method}": world.call(client, id, method, {})[0]
        for path, id in ids.items()
        for method in ("echo", "other")
    }
    out |= {f"list {path}": world.lookup(client, path)[0] for path in (*ids, "*")}
    out |= {f"publish {path}": world.status(client.start_add, Object(path)) for path in ("mine.x", "mine")}
    out |= {f"subscribe {path}": world.status(client.start_subscribe, ear, ids[path]) for path in ids}
    for pattern in ("heard.x", "heard.x*", "heard", "*", "ubus.object.add"):
        out[f"listen {pattern}"] = world.status(client.start_listen, ear, pattern)
    for event in ("said", "unsaid"):
        data: dict[str, object] = {"id": event, "data": {}}
        out[f"send {event}"] = world.call(client, wire.EVENT_OBJECT, "send", data)[0]
    out["monitor"] = world.call(client, wire.MONITOR_OBJECT, "add", {})[0]
    anonymous = world.add(owner, Object(receive=lambda call: None)).id
    out["anonymous"] = world.call(client, anonymous, "x", {})[0]
    out["subscribe anonymous"] = world.status(client.start_subscribe, ear, anonymous)
    return out


def test_who_is_not_root_gets_nothing_without_a_grant(world: World) -> None:
    refused = {wire.PERMISSION_DENIED, wire.NOT_FOUND}
    seen = attempts(world)
    assert seen.pop("list *") == wire.NOT_FOUND
    assert {what for what, status in seen.items() if status not in refused} == set()


def test_a_grant_gives_what_it_says_and_no_more(world: World) -> None:
    grant(world)
    allowed = {what for what, status in attempts(world).items() if status == wire.OK}
    assert allowed == {
        *("thing echo", "pref echo", "pref other", "list thing", "list pref", "list *"),
        *("publish mine.x", "subscribe thing", "listen heard.x", "listen heard.x*", "send said"),
    }


def test_a_listing_shows_only_what_may_be_called(world: World) -> None:
    grant(world)
    owner, client = world.client(), world.client(NOBODY)
    world.add(owner, Object("thing", {name: Method(echo) for name in ("echo", "other")}))  # type: ignore[arg-type]
    assert list(world.lookup(client, "thing")[1][0].signature) == ["echo"]
    assert list(world.lookup(owner, "thing")[1][0].signature) == ["echo", "other"]


def test_an_owner_may_ask_what_the_files_say_of_its_objects(world: World) -> None:
    grant(world)
    owner = world.client()
    world.add(owner, thing())
    answer = world.call(owner, wire.ACL_OBJECT, "query", {})[1]
    assert answer == [{"seq": 1, "acl": [{"obj": "thing", "user": "root", "acl": {"a": 1}}]}]


def test_grants_are_for_their_user_or_their_group_alone() -> None:
    given, acl = Grant("send", "x"), Acl()
    acl.grants = [given]
    assert not acl.allows(NOBODY, "send", b"x")
    given.gid = NOBODY.gid
    assert acl.allows(NOBODY, "send", b"x") and not acl.allows(NOBODY, "listen", b"x")
    assert not acl.allows(Credentials(1000, 1000), "send", b"x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json:1:2: "),
        ('{"user": 1}', "a.json: user: not a string"),
        ('{"user": "no such user"}', "a.json: no user no such user on this system"),
        ('{"group": "no such group"}', "a.json: no group"),
        ('{"user": "root", "access": []}', "access: not an object"),
        ('{"user": "root", "access": {"x": 1}}', "access: x: not an object"),
        ('{"user": "root", "access": {"x": {"methods": "echo"}}}', "methods: not an array"),
        ('{"user": "root", "access": {"x": {"acl": 1}}}', "acl: not an object"),
        ('{"user": "root", "send": ["a", 1]}', "send: not an array of strings"),
    ],
)
def test_an_acl_file_that_is_wrong_says_where(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_grants(parse_table(text, "a.json"), "a.json")
    assert message in str(error.value)


def test_only_files_that_root_alone_can_write_are_read(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, whose files these have to be")
    for name in ("good", "group", "foreign", "wrong"):
        (tmp_path / f"{name}.json").write_text(f'{{"user": "nobody", "send": ["{name}"]}}')
        (tmp_path / f"{name}.json").chmod(0o644)
    (tmp_path / "group.json").chmod(0o664)
    os.chown(tmp_path / "foreign.json", 1, 0)
    (tmp_path / "wrong.json").write_text("{")
    (tmp_path / "dir.json").mkdir()
    (tmp_path / "other.txt").write_text("{")
    os.mkfifo(tmp_path / "pipe.json")
    acl = Acl()
    warnings = acl.load(str(tmp_path))
    assert [given.pattern for given in acl.grants] == [b"good"]
    assert len(warnings) == 5 and all(line.endswith("; the file grants nothing") for line in warnings)
    assert Acl().load(str(tmp_path / "missing")) == []


# --- the bus of initd


def test_the_bus_is_the_broker_where_none_is_and_comes_back_to_another(tmp_path: Path) -> None:
    before = open_fds()
    path = str(tmp_path / "run" / "ubus.sock")
    loop = Loop()
    warnings: list[str] = []
    first, second = (Bus(loop, warnings.append, path, str(tmp_path)) for _ in range(2))
    ready: list[str] = []
    heard: list[object] = []
    answers: list[object] = []
    first.on_ready, second.on_ready = (lambda: ready.append("first")), (lambda: ready.append("second"))
    served = thing()
    second.add(served)
    second.listen("x.*", lambda event, data: heard.append((event, data)))
    second.subscribe("first", lambda name, data: heard.append((name, data)))

    def until(is_done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_done():
            assert time.monotonic() < end_s
            loop.step(0.5)

    own = Object("first")
    first.add(own)
    first.start()
    second.start()
    assert first.broker is not None and second.broker is None
    until(lambda: sorted(ready) == ["first", "second"] and own.has_subscribers)
    first.notify(own, "told", {"n": 1})
    first.send_event("x.y", {})
    first.call("thing", "echo", {"n": 2}, lambda status, found: answers.append((status, found)))
    first.call("nothing", "echo", {}, lambda status, found: answers.append((status, found)))
    until(lambda: len(answers) == 2 and len(heard) == 2)
    assert (wire.OK, [{"n": 2}]) in answers and (wire.NOT_FOUND, []) in answers
    assert ("told", {"n": 1}) in heard and ("x.y", {}) in heard

    first.close()
    until(lambda: bool(warnings))
    assert served.id == 0 and not os.path.exists(path)
    third = Bus(loop, warnings.append, path, str(tmp_path))
    again = Object("first")
    third.add(again)
    third.start()
    assert third.broker is not None
    until(lambda: again.has_subscribers and "thing" in str(third.broker and third.broker.registry.paths))
    heard.clear()
    third.notify(again, "told", {"n": 3})
    third.send_event("x.z", {})
    until(lambda: len(heard) == 2)
    second.close()
    third.close()
    loop.close()
    assert open_fds() == before


def test_a_dead_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "ubus.sock")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    loop = Loop()
    bus = Bus(loop, pytest.fail, path, str(tmp_path))
    bus.start()
    assert bus.broker is not None and os.stat(path).st_mode & 0o777 == 0o666
    os.unlink(path)
    Path(path).write_text("somebody else's")
    bus.close()
    loop.close()
    assert Path(path).read_text() == "somebody else's"
    assert os.listdir(tmp_path) == ["ubus.sock"]


def test_signatures_are_listed_as_they_were_given(world: World) -> None:
    owner = world.client()
    world.add(owner, thing())
    found = world.lookup(owner, "thing")[1][0]
    assert found.signature == unpack_table(pack_signature({"echo": [("text", STRING), ("n", INT32)]}))
