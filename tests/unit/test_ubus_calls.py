# SPDX-License-Identifier: MIT
"""Calls, events and notifications through the broker: each answer to who asked, whoever dies meanwhile."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ubus_world import World, clean_world, echo, frames_in, open_fds, thing

from initd.ubus import wire
from initd.ubus.blob import INT32, MAX_BYTES, STRING
from initd.ubus.client import Client
from initd.ubus.object import Method, Object


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with clean_world(tmp_path) as made:
        yield made


def test_the_caller_hears_when_the_owner_dies(world: World) -> None:
    owner, caller = world.slow(), world.client()
    served = world.add(owner, thing("slow"))
    ends: list[int] = []
    caller.start_invoke(served.id, "x", {}, None, ends.append)
    world.until(lambda: bool(owner.asked))
    assert not ends
    owner.close()
    world.until(lambda: bool(ends))
    assert ends == [wire.NOT_FOUND]


def test_an_answer_to_a_caller_that_died_goes_nowhere(world: World) -> None:
    owner, caller = world.slow(), world.client()
    served = world.add(owner, thing("slow"))
    caller.start_invoke(served.id, "x", {})
    world.until(lambda: bool(owner.asked))
    caller.close()
    world.until(lambda: len(world.broker.registry.peers) == 1)
    owner.reply(served, {"a": 1})
    owner.finish(served)
    assert world.lookup(owner, "slow")[0] == wire.OK
    assert not world.broker.registry.objects[served.id].calls


def test_nobody_answers_for_another_or_without_being_asked(world: World) -> None:
    owner, thief, caller = world.slow(), world.slow(), world.client()
    served = world.add(owner, thing("real"))
    own = world.add(thief, thing("false"))
    answers: list[object] = []
    ends: list[int] = []
    request = caller.start_invoke(served.id, "x", {}, answers.append, ends.append)
    world.until(lambda: bool(owner.asked))
    for id in (served.id, own.id):
        for peer in (caller.id, owner.id):
            thief.send(wire.Frame(wire.DATA, request.seq, peer, wire.data_body(id, {"evil": True})))
            thief.send(wire.Frame(wire.STATUS, request.seq, peer, wire.status_body(0, id)))
    assert world.lookup(thief, "false")[0] == wire.OK
    assert not answers and not ends
    owner.reply(served, {"good": True})
    owner.finish(served)
    owner.finish(served, wire.UNKNOWN_ERROR)
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
    owner, caller = world.slow(), world.client()
    served = world.add(owner, thing("console"))
    there, writes = os.pipe()
    request = caller.start_invoke(served.id, "attach", {}, None, None, writes)
    os.close(writes)
    world.until(lambda: bool(owner.asked))
    reads, back = os.pipe()
    owner.finish(served, wire.OK, reads)
    os.close(reads)
    world.until(lambda: request.is_done)
    got = owner.asked[0].fd
    assert not os.get_inheritable(got) and not os.get_inheritable(request.fd)
    os.write(got, b"there")
    os.write(back, b"back")
    assert (os.read(there, 9), os.read(request.fd, 9)) == (b"there", b"back")
    for fd in (got, request.fd, there, back):
        os.close(fd)


def test_a_handler_keeps_the_descriptor_that_it_takes(world: World) -> None:
    owner, caller = world.client(), world.client()
    taken: list[int] = []
    attach = Method(lambda call: taken.append(call.take_fd()))
    served = world.add(owner, Object("console", {"attach": attach}))
    reads, writes = os.pipe()
    assert (
        world.status(lambda ends: caller.start_invoke(served.id, "attach", {}, None, ends, writes)) == wire.OK
    )
    os.close(writes)
    os.write(taken[0], b"mine")
    assert os.read(reads, 9) == b"mine"
    os.close(taken[0])
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


def test_many_calls_by_a_hundred_clients(world: World) -> None:
    """Ten thousand; a guest, where they take a minute, makes a tenth."""
    each = 10 if "STOCKADE_GUEST" in os.environ else 100
    owner = world.client()
    served = world.add(owner, thing())
    clients = [world.client() for _ in range(100)]
    wrong: list[object] = []
    done = 0
    left = dict.fromkeys(clients, each)

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
    world.until(lambda: done == each * len(clients))
    print(f"{done / (time.monotonic() - start_s):.0f} calls/s")
    assert not wrong


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


def test_nobody_sends_what_only_the_broker_says(world: World) -> None:
    """Listeners believe of `ubus.object.add` that there is a new object: not even root sends it."""
    sender, listener = world.client(), world.client()
    heard: list[str] = []
    ear = world.add(listener, Object(receive=lambda call: heard.append(call.method)))
    assert world.status(listener.start_listen, ear, "*") == wire.OK
    for event, status in (
        ("ubus.object.add", wire.PERMISSION_DENIED),
        ("ubus.", wire.PERMISSION_DENIED),
        ("ubus", wire.OK),
    ):
        assert world.call(sender, wire.EVENT_OBJECT, "send", {"id": event, "data": {}})[0] == status
    world.until(lambda: bool(heard))
    assert heard == ["ubus"]


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


def test_signatures_are_listed_as_they_were_given(world: World) -> None:
    owner = world.client()
    world.add(owner, thing())
    found = world.lookup(owner, "thing")[1][0]
    assert found.signature == {"echo": {"text": STRING, "n": INT32}}
