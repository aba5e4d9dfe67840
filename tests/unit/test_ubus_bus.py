# SPDX-License-Identifier: MIT
"""initd's place on the bus: as the broker, or with another one that comes and goes."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ubus_world import LIMIT_S, open_fds, thing

from initd.loop import Loop
from initd.ubus import bus as bus_module
from initd.ubus import wire
from initd.ubus.broker import Broker
from initd.ubus.bus import Bus
from initd.ubus.object import Method, Object


def test_the_bus_is_the_broker_where_none_is_and_comes_back_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "RETRY_S", 0.05)
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


def test_many_calls_at_once_leave_the_loop_its_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "SLICE_S", 0.0)  # one message in each turn
    loop = Loop()
    warnings: list[str] = []
    bus = Bus(loop, warnings.append, str(tmp_path / "ubus.sock"), str(tmp_path))
    served: list[str] = []
    bus.add(Object("busy", {"do": Method(lambda call: served.append("call"))}))
    ready: list[str] = []
    bus.on_ready = lambda: ready.append("")
    bus.start()
    while not ready:
        loop.step(1)
    ends: list[int] = []
    for _ in range(5):
        bus.call("busy", "do", {}, lambda status, found: ends.append(status))

    def other() -> None:
        if len(ends) < 5:
            served.append("other")
            loop.after(0, other)

    other()
    while len(ends) < 5:
        loop.step(1)
    assert served.count("call") == 5 and "call call" not in " ".join(served)
    bus.close()
    loop.close()


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


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_is_not_replaced(tmp_path: Path, is_link: bool) -> None:
    """`initd -s /etc/passwd` must not be the end of that."""
    file, path = tmp_path / "file", tmp_path / "ubus.sock"
    file.write_text("somebody's")
    path.symlink_to(file) if is_link else file.rename(path)
    loop = Loop()
    bus = Bus(loop, pytest.fail, str(path), str(tmp_path / "acl.d"))
    with pytest.raises(OSError, match="no socket: left as it is"):
        bus.start()
    loop.close()
    assert path.read_text() == "somebody's" and path.is_symlink() == is_link
    assert len(os.listdir(tmp_path)) == 1 + is_link


def test_a_broker_that_is_busy_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "RETRY_S", 0.02)
    path = str(tmp_path / "ubus.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect(path)  # the queue is full
    loop = Loop()
    bus = Bus(loop, pytest.fail, path, str(tmp_path))
    bus.start()
    assert bus.broker is None
    accepted = [listener.accept()[0]]
    loop.step(1)
    accepted.append(listener.accept()[0])
    bus.close()
    for connected in (*accepted, first, listener):
        connected.close()
    loop.close()


def test_without_descriptors_the_broker_pauses_and_goes_on(tmp_path: Path) -> None:
    before = open_fds()
    path = str(tmp_path / "ubus.sock")
    loop, warnings = Loop(), list[str]()
    broker = Broker(loop, warnings.append, str(tmp_path))
    broker.listen(path)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    clock = [loop.now()]
    loop.now = lambda: clock[0]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        for _ in range(5):
            loop.step(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(warnings) == 1 and "no new connections" in warnings[0]
    assert not broker.registry.peers
    clock[0] += 1.1
    loop.step(0)
    loop.step(0)
    assert len(broker.registry.peers) == 1
    client.close()
    broker.close()
    loop.close()
    assert open_fds() == before


def test_the_command_imports_little() -> None:
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); import initd.ubus.command; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {
        "re",
        "json",
        "typing",
        "argparse",
        "pwd",
        "grp",
        "logging",
        "dataclasses",
        "asyncio",
    }
    assert not {name for name in loaded if name in ("initd.ubus.broker", "initd.ubus.acl", "initd.loop")}
