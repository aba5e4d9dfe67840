# SPDX-License-Identifier: MIT
"""The recorded session of the real programs, played to our broker: it has to give the same answers."""

import json
import socket
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import pytest

from initd.loop import Loop
from initd.ubus import wire
from initd.ubus.acl import Credentials
from initd.ubus.blob import unpack_table
from initd.ubus.broker import Broker

RECORDED = json.loads((Path(__file__).parent / "ubus-frames.json").read_text())["frames"]
# the subscriber's command was ended by hand here; the frame is what the monitor sees of it
CLOSED = {"000b0018": 10}


def frame_of(row: dict[str, Any]) -> wire.Frame:
    raw = bytes.fromhex(row["hex"])
    return wire.unpack_frame(raw, 0, len(raw))


def recorded_ids() -> Iterator[int]:
    """Client, type and object ids in the order in which the broker draws them."""
    for number, row in enumerate(RECORDED):
        frame = frame_of(row)
        if frame.type == wire.HELLO:
            yield frame.peer
        if frame.type == wire.ADD_OBJECT:
            following = (later for later in RECORDED[number:] if later["conn"] == row["conn"])
            answer = next(
                later
                for later in map(frame_of, following)
                if later.type == wire.DATA and later.seq == frame.seq
            ).attributes()
            if wire.A_OBJTYPE in answer:
                yield wire.word(answer[wire.A_OBJTYPE])
            yield wire.word(answer[wire.A_OBJID])


def received(client: socket.socket) -> list[str]:
    data = b""
    client.setblocking(False)
    try:
        while chunk := client.recv(1 << 20):
            data += chunk
    except BlockingIOError:
        pass
    frames = []
    while data:
        length = wire.frame_length(data)
        frames.append(data[:length].hex())
        data = data[length:]
    return frames


@pytest.fixture
def loop() -> Iterator[Loop]:
    faults: list[Exception] = []
    made = Loop(faults.append)
    yield made
    made.close()
    assert not faults


def test_the_broker_answers_as_ubusd_did(loop: Loop, tmp_path: Path) -> None:
    ids = recorded_ids()

    def draw(taken: Container[int]) -> int:
        return next(ids)

    broker = Broker(loop, pytest.fail, str(tmp_path), draw)
    clients: dict[int, socket.socket] = {}
    answers: dict[int, list[str]] = {}
    for row in RECORDED:
        connection = int(row["conn"])
        if row["hex"].startswith("0000") and row["from"] == "server":
            ours, clients[connection] = socket.socketpair()
            answers[connection] = []
            broker.welcome(ours, Credentials(0, 0))
        elif row["from"] == "client":
            clients[connection].sendall(bytes.fromhex(row["hex"]))
        elif row["hex"][:8] in CLOSED and connection == 12:
            number = CLOSED[row["hex"][:8]]
            answers[number] += received(clients[number])
            clients.pop(number).close()
        loop.step(0)
        for number, client in clients.items():
            answers[number] += received(client)
    assert next(ids, None) is None
    for connection, seen in answers.items():
        expected = [row["hex"] for row in RECORDED if row["conn"] == connection and row["from"] == "server"]
        assert seen == expected, connection
        if connection in clients:
            clients[connection].close()
    broker.close()
    assert not broker.registry.objects and not broker.registry.types and not broker.registry.peers


def test_the_recorded_listing_of_the_service_object_is_understood() -> None:
    row = next(row for row in RECORDED if row["conn"] == 3 and row["hex"].startswith("0002"))
    found = frame_of(row).attributes()
    assert found[wire.A_OBJPATH] == b"service"
    signature = unpack_table(found[wire.A_SIGNATURE])
    assert signature["list"] == {"name": 3, "verbose": 7}
