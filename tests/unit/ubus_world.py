# SPDX-License-Identifier: MIT
"""A broker in the test's own process, and peers of it made of raw sockets or of our client."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from initd.loop import Loop
from initd.ubus import wire
from initd.ubus.acl import Credentials
from initd.ubus.blob import INT32, STRING
from initd.ubus.broker import Broker
from initd.ubus.client import Client, Found
from initd.ubus.object import Call, Method, Object

ROOT = Credentials(0, 0)
NOBODY = Credentials(65534, 65534)
LIMIT_S = 20


class SlowOwner(Client):
    """Another program, which answers calls to its objects when the test does: until then they are `asked`."""

    def __init__(self, connected: socket.socket, fault: Callable[[Exception], None]) -> None:
        super().__init__(connected, fault)
        self.asked: list[wire.Frame] = []

    def _take(self, frame: wire.Frame) -> None:
        if frame.type == wire.INVOKE:
            self.asked.append(wire.Frame(frame.type, frame.seq, frame.peer, frame.body, frame.fd))
            frame.fd = -1
        else:
            super()._take(frame)

    def reply(self, served: Object, data: Mapping[str, object]) -> None:
        asked = self.asked[0]
        self.send(wire.Frame(wire.DATA, asked.seq, asked.peer, wire.data_body(served.id, data)))  # type: ignore[arg-type]

    def finish(self, served: Object, status: int = wire.OK, fd: int = -1) -> None:
        asked = self.asked[0]
        self.send(wire.Frame(wire.STATUS, asked.seq, asked.peer, wire.status_body(status, served.id), fd))


AnyClient = TypeVar("AnyClient", bound=Client)


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
        return self._meet(Client(self.raw(who), self.faults.append))

    def slow(self) -> "SlowOwner":
        return self._meet(SlowOwner(self.raw(), self.faults.append))

    def _meet(self, made: AnyClient) -> AnyClient:
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


@contextlib.contextmanager
def clean_world(acl_dir: Path) -> Iterator[World]:
    """A world of which nothing is left in the end, and in which nothing went wrong."""
    before = open_fds()
    made = World(str(acl_dir))
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


def send_all(
    world: World, clients: list[socket.socket], part: bytes, check: Callable[[], None] = lambda: None
) -> None:
    """As far as each is let; `check` is called after each turn."""
    rest = dict.fromkeys(clients, part)
    while rest:
        for client, data in list(rest.items()):
            try:
                rest[client] = data[client.send(data) :]
            except BlockingIOError:
                continue
            except OSError:
                rest[client] = b""
            if not rest[client]:
                del rest[client]
        world.turn()
        check()
    for _ in range(20):  # what the sockets still hold
        world.turn()


def is_closed(client: socket.socket) -> bool:
    try:
        while client.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True
