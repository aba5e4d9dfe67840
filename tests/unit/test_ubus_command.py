# SPDX-License-Identifier: MIT
"""The `ubus` command against our broker, and against the recorded requests of the real command."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initd.loop import Loop
from initd.ubus import command, wire
from initd.ubus.blob import INT8, INT32, STRING, Int8, Int64, pack_attribute, unpack_table
from initd.ubus.blocking import Session
from initd.ubus.bus import Bus
from initd.ubus.copy import Copy
from initd.ubus.jsontext import format_value, parse_table
from initd.ubus.object import Call, Method, Object
from initd.ubus.wire import UbusError
from jail.errors import ConfigError

if TYPE_CHECKING:
    from initd.ubus.blob import Table

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "ubus-frames.json").read_text())


def echo(call: Call) -> "Table":
    return call.data


def whoami(call: Call) -> "Table":
    return {"user": call.request.attributes()[wire.A_USER].decode(), "method": call.method}


def refuse(call: Call) -> "Table":
    raise UbusError(wire.NOT_FOUND)


def break_down(call: Call) -> "Table":
    raise ZeroDivisionError


METHODS = {
    "echo": Method(echo, {"text": STRING, "count": INT32, "flag": INT8, "any": 0}),
    "whoami": Method(whoami),
    "refuse": Method(refuse),
    "break": Method(break_down),
    "needs": Method(echo, {"name": STRING}, required=("name",)),
}


def serve(path: str, ready: int) -> None:
    """A process with a broker, an object, and an object that comes when one asks for it."""
    loop = Loop(lambda error: None)
    bus = Bus(loop, lambda line: None, path, "/nonexistent")
    thing = Object("thing", METHODS)

    def tell(call: Call) -> None:
        bus.notify(thing, "told", call.data)

    def add(call: Call) -> None:
        bus.add(Object(str(call.data["path"])))

    thing.methods["tell"] = Method(tell)
    thing.methods["add"] = Method(add, {"path": STRING}, ("path",))
    bus.add(thing)
    bus.on_ready = lambda: os.close(ready)
    bus.start()
    loop.run()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = str(tmp_path_factory.mktemp("ubus") / "ubus.sock")
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reads)
            serve(where, writes)
        finally:
            os._exit(1)
    os.close(writes)
    assert os.read(reads, 1) == b""
    os.close(reads)
    yield where
    os.kill(pid, 15)
    os.waitpid(pid, 0)


def ubus(capfd: pytest.CaptureFixture[str], path: str, *args: str) -> tuple[int, str, str]:
    status = command.main(["ubus", "-s", path, *args])
    out, err = capfd.readouterr()
    return status & 0xFF, out, err


def test_call_prints_json_with_tabs(capfd: pytest.CaptureFixture[str], path: str) -> None:
    message = (
        '{"text":"a\\"\\\\/\\u0001\\n\\u00fc","flag":true,"list":[1,[],{}],"f":1.5,"big":5000000000,"n":null}'
    )
    status, out, err = ubus(capfd, path, "call", "thing", "echo", message)
    assert (status, err) == (0, "")
    assert out == (
        '{\n\t"text": "a\\"\\\\/\\u0001\\nü",\n\t"flag": true,\n\t"list": [\n\t\t1,\n\t\t[\n\t\t\t\n\t\t],\n'
        '\t\t{\n\t\t\t\n\t\t}\n\t],\n\t"f": 1.500000,\n\t"big": 5000000000,\n\t"n": null\n}\n'
    )
    assert ubus(capfd, path, "-S", "call", "thing", "echo", '{"a": [1, {}]}') == (0, '{"a":[1,{}]}\n', "")


def test_strings_that_are_no_text_pass_through(capfd: pytest.CaptureFixture[str], path: str) -> None:
    text = b'{"text":"\xff\xfe"}'.decode("utf-8", "surrogateescape")
    assert command.main(["ubus", "-s", path, "-S", "call", "thing", "echo", text]) == 0


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("call", "thing", "refuse"), 252, "ubus call thing refuse (Not found)"),
        (("call", "thing", "nosuch"), 253, "ubus call thing nosuch (Method not found)"),
        (("call", "nosuch", "x"), 4, "Command failed: Not found"),
        (("call", "thing", "needs"), 254, "(Invalid argument)"),
        (("call", "thing", "echo", '{"text":5}'), 254, "(Invalid argument)"),
        (("call", "thing", "echo", "{"), 244, "(Parsing message data failed)"),
        (("call", "thing", "echo", "[1]"), 244, "(Parsing message data failed)"),
        (("call", "thing", "break"), 247, "(Unknown error)"),
        (("-S", "call", "thing", "refuse"), 4, ""),
        (("wait_for", "thing"), 0, ""),
        (("send", "ubus.mine"), 6, "Command failed: Permission denied"),
        (("send", "x", "{"), 12, "Command failed: Parsing"),
        (("call", "thing"), 254, "Usage:"),
        (("nosuch",), 254, "Usage:"),
        (("-x",), 1, "Usage:"),
        (("list", "nosuch"), 4, "Command failed: Not found"),
    ],
)
def test_exit_status_and_message(
    capfd: pytest.CaptureFixture[str], path: str, args: tuple[str, ...], status: int, message: str
) -> None:
    seen, _, err = ubus(capfd, path, *args)
    assert seen == status and message in err
    assert bool(err) == bool(message)


def test_a_call_that_nobody_answers_times_out(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(command, "TIMEOUT_S", 0.1)
    with Session(path) as owner:
        owner.add(Object("mute", {"x": Method(echo)}))  # and serves it no more
        status, _, err = ubus(capfd, path, "call", "mute", "x")
    assert (status, err) == (249, "Command failed: ubus call mute x (Request timed out)\n")


def test_no_broker_is_said(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert ubus(capfd, str(tmp_path / "no"), "list") == (255, "", "Failed to connect to ubus\n")


def test_list_names_objects_and_their_methods(capfd: pytest.CaptureFixture[str], path: str) -> None:
    status, out, _ = ubus(capfd, path, "list", "th*")
    assert (status, out) == (0, "thing\n")
    lines = ubus(capfd, path, "-v", "list", "thing")[1].splitlines()
    assert lines[0].startswith("'thing' @") and len(lines[0]) == len("'thing' @") + 8
    assert lines[1] == '\t"echo":{"text":"String","count":"Integer","flag":"Boolean","any":"(unknown)"}'
    assert lines[2] == '\t"whoami":{}'


def test_events_notifications_and_new_objects_are_heard(path: str) -> None:
    def start(*args: str) -> "subprocess.Popen[str]":
        code = "import sys; from initd.ubus.command import main; sys.exit(main(['ubus', *sys.argv[1:]]))"
        root = str(HERE.parents[1])
        return subprocess.Popen(
            [sys.executable, "-c", code, "-s", path, "-t", "20", *args],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )

    heard = {
        start("listen", "test.*"): '{ "test.event": {"x":1} }\n',
        start("subscribe", "thing"): '{ "told": {"y":2} }\n',
        start("wait_for", "later"): "",
    }
    with Session(path) as session:
        # who listens is there when its object answers to the event; asked again until then
        for process, line in heard.items():
            assert process.stdout is not None
            while line:
                session.send_event("test.event", {"x": 1})
                session.call("thing", "tell", {"y": 2})
                if select.select([process.stdout], [], [], 0.05)[0]:
                    assert process.stdout.readline() == line
                    break
        session.call("thing", "add", {"path": "later"})
        for process, line in heard.items():
            if line:
                process.terminate()
                process.wait()
            else:
                assert process.wait(20) == 0
            assert process.stdout is not None
            process.stdout.close()


REQUESTS = {
    2: ["list"],
    3: ["-v", "list", "service"],
    4: ["call", "service", "set", RECORDED["commands"][3].partition("set '")[2][:-1]],
    5: ["call", "service", "list", '{"name":"demo"}'],
    6: ["call", "service", "nosuch"],
    7: ["call", "nosuch", "x"],
    8: ["call", "service", "delete", '{"name":"nope"}'],
    9: ["call", "service", "set", '{"name":5}'],
    10: ["subscribe", "service"],
    11: ["listen"],
    12: ["monitor"],
    13: ["send", "test.event", '{"x":1}'],
    14: ["call", "service", "delete", '{"name":"demo"}'],
    15: ["wait_for", "service"],
    16: ["-t", "1", "wait_for", "nosuchobj"],
}
LISTENING = {10, 11, 12}
STATUS = {6: 253, 7: 4, 8: 252, 9: 254, 16: 7}


@pytest.mark.parametrize("connection", REQUESTS)
def test_the_requests_are_those_of_the_real_command(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, connection: int
) -> None:
    """The recorded answers are played to our command, in a process of their own."""
    rows = [row for row in RECORDED["frames"] if row["conn"] == connection]
    if connection == 12:  # it was ended by a signal, before which the real command says good-bye
        rows = [row for row in rows if row["from"] == "server" or row["hex"].startswith("00050001")]
    where = str(tmp_path / "sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(where)
    listener.listen()
    pid = os.fork()
    if not pid:
        os.close(2)
        os.close(1)
        os._exit(play(listener, rows))
    listener.close()
    status = command.main(["ubus", "-s", where, *REQUESTS[connection]])
    assert os.waitpid(pid, 0)[1] == 0
    assert status & 0xFF == STATUS.get(connection, 0)
    capfd.readouterr()


def play(listener: socket.socket, rows: list[dict[str, Any]]) -> int:
    connected, _ = listener.accept()
    connected.settimeout(20)
    for row in rows:
        raw = bytes.fromhex(row["hex"])
        if row["from"] == "server":
            connected.sendall(raw)
            continue
        seen = b""
        while len(seen) < len(raw) and (piece := connected.recv(len(raw) - len(seen))):
            seen += piece
        if seen != raw:
            return 1
    # who listens goes on until the connection is gone; all others have no more to say
    return 2 if rows[0]["conn"] not in LISTENING and connected.recv(1) else 0


def test_a_copy_is_printed_as_the_real_command_does() -> None:
    row = next(row for row in RECORDED["frames"] if row["hex"].startswith("000b0008"))
    raw = bytes.fromhex(row["hex"])
    assert Copy(wire.unpack_frame(raw, 0, len(raw)).body).line() == (
        '<- 9c58b9d5 #00000001         invoke: {"objid":1,"method":"send",'
        '"data":{"id":"test.event","data":{"x":1}}}'
    )


def test_a_copy_of_what_is_no_message_is_printed_as_that() -> None:
    words = {wire.M_CLIENT: 1, wire.M_PEER: 2, wire.M_SEQ: 3, wire.M_TYPE: wire.PING}
    head = b"".join(wire.pack_word(id, number) for id, number in words.items())
    body = head + wire.pack_flag(wire.M_SEND, False) + pack_attribute(wire.M_DATA, b"\0\0\0\1")
    assert Copy(body).line() == (
        '<- 00000001 #00000002           ping: {"unreadable":"an attribute of 1 bytes where 4 are left"}'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: a value is missing"),
        ("{} x", "1:4: more text after the end"),
        ('{"a":\n  tru}', "2:3: a value is missing"),
        ('{"a" 1}', "1:6: Expecting ':' delimiter"),
        ('{"a":"\t"}', "1:7: Invalid control character"),
        ('{"a":NaN}', "no JSON"),
        ('{"a":9223372036854775808}', "64 bits"),
        ('{"a":' + "9" * 50000 + "}", "64 bits"),
        ("[" * 100000, "nested too deep"),
        ("[]", "not an object"),
    ],
)
def test_wrong_json_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_table(text)
    assert message in str(error.value)


def test_numbers_keep_their_sizes() -> None:
    assert type(parse_table('{"a":2147483648}')["a"]) is Int64
    assert type(parse_table('{"a":-2147483648}')["a"]) is int
    assert format_value({"a": Int64(1), "b": Int8(5), "c": 1e-7, "d": b"x"}) == (
        '{"a":1,"b":true,"c":0.000000,"d":null}'
    )
    assert unpack_table(struct.pack(">IHxxb3x", 0x87000009, 0, 5)) == {"": Int8(5)}
