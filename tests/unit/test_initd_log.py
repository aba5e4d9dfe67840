# SPDX-License-Identifier: MIT
"""The way to syslog: the format, a full socket, a log daemon that goes and comes, none at all, forged lines."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from initd import log as module
from initd.log import BACKLOG_MAX, FACILITIES, PACKET_MAX, Log, facility_fault, printable
from initd.loop import Loop

LIMIT_S = 10
HEAD = re.compile(rb"<(\d+)>([A-Z][a-z]{2} [ 1-3][0-9] [0-2][0-9](?::[0-5][0-9]){2}) (.*)", re.DOTALL)


class World:
    """A log with a log daemon made of a socket, and a console made of a pipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[Exception] = []
        self.loop = Loop(self.faults.append)
        self.clock = 0.0
        self.loop.now = lambda: time.monotonic() + self.clock
        self.daemon: socket.socket | None = None
        self.reads, writes = os.pipe2(os.O_NONBLOCK)
        saved = os.dup(2)
        os.dup2(writes, 2)
        self.log = Log(self.loop, path=str(path))
        os.dup2(saved, 2)
        os.close(saved)
        os.close(writes)

    def serve(self, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        self.path.unlink(missing_ok=True)
        self.daemon = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
        self.daemon.bind(str(self.path))
        return self.daemon

    def stop(self) -> None:
        assert self.daemon is not None
        self.daemon.close()
        self.path.unlink()

    def received(self) -> list[bytes]:
        assert self.daemon is not None
        packets = []
        while True:
            try:
                packets.append(self.daemon.recv(65536))
            except BlockingIOError:
                return packets

    def texts(self) -> list[str]:
        found = [HEAD.fullmatch(packet) for packet in self.received()]
        return [match[3].decode().partition(": ")[2] for match in found if match]

    def collect(self, count: int) -> list[str]:
        """The texts of as many packets, taken as they come."""
        texts: list[str] = []
        end_s = time.monotonic() + LIMIT_S
        while len(texts) < count:
            assert time.monotonic() < end_s
            texts += self.texts()
            self.loop.step(0.01)
        return texts

    def printed(self) -> str:
        try:
            return os.read(self.reads, 65536).decode()
        except BlockingIOError:
            return ""

    def pass_time(self, by_s: float) -> None:
        self.clock += by_s
        self.loop.step(0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    before = len(os.listdir("/proc/self/fd"))
    made = World(tmp_path / "log")
    yield made
    made.log.close()
    made.loop.close()
    os.close(made.reads)
    if made.daemon is not None:
        made.daemon.close()
    assert made.faults == []
    assert len(os.listdir("/proc/self/fd")) == before


def fill(world: World) -> int:
    """Write until the socket takes no more. Returns how many lines went."""
    count = 0
    while not world.log._backlog:
        world.log.info(f"line {count}")
        count += 1
        assert count < 10_000
    return count


def test_the_packet_is_what_syslog_3_sends(world: World) -> None:
    world.serve()
    world.log.write(module.INFO, "text", "dnsmasq", 12, "local3")
    world.log.warning("other")
    first, second = world.received()
    match = HEAD.fullmatch(first)
    assert match and int(match[1]) == 19 * 8 + 6 and match[3] == b"dnsmasq[12]: text"
    assert time.strptime(match[2].decode(), "%b %d %H:%M:%S")
    match = HEAD.fullmatch(second)
    assert match and int(match[1]) == 3 * 8 + 4 and match[3] == b"initd[%d]: other" % os.getpid()


def test_the_level_is_about_own_lines_only(world: World) -> None:
    world.serve()
    world.log.debug("not asked for")
    world.log.write(module.DEBUG, "of a service", "x")
    world.log.level = module.ERROR
    world.log.warning("no")
    world.log.error("yes")
    assert world.texts() == ["of a service", "yes"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\nJan  1 00:00:00 su: forged", "a\\x0aJan  1 00:00:00 su: forged"),
        ("\x1b[2J\x7f\x9b\0", "\\x1b[2J\\x7f\\x9b\\x00"),
        ("tab\tö", "tab\tö"),
        ("\udcff\ud800\u202e", "\\xff\\ud800\\u202e"),
        ("", ""),
    ],
)
def test_nothing_that_cannot_be_seen_gets_out(world: World, text: str, seen: str) -> None:
    world.serve()
    assert printable(text) == seen
    world.log.info(text)
    assert world.texts() == [seen]


def test_the_name_of_a_service_cannot_forge_either(world: World) -> None:
    world.serve()
    world.log.write(module.INFO, "x", "a b[1]: c\n" + "y" * 200, 7)
    (packet,) = world.received()
    match = HEAD.fullmatch(packet)
    assert match and match[3].startswith(b"a_b_1___c_yyy") and match[3].endswith(b"y[7]: x")
    assert len(match[3]) < 80


def test_a_packet_has_an_end(world: World) -> None:
    world.serve()
    world.log.info("x" * 5000)
    (packet,) = world.received()
    assert len(packet) == PACKET_MAX and packet.endswith(b"x...")


def test_lines_wait_for_a_full_socket_in_order(world: World) -> None:
    world.serve()
    count = fill(world)
    for number in range(count, count + 50):
        world.log.info(f"line {number}")
    assert world.printed() == ""
    assert world.collect(count + 50) == [f"line {number}" for number in range(count + 50)]
    assert world.log._watched_fd < 0 and world.log._bytes == 0


def test_the_backlog_is_bounded_and_the_gap_is_told(world: World) -> None:
    world.serve()
    sent = fill(world)
    while not world.log._lost:
        world.log.info(f"line {sent}")
        sent += 1
    assert world.log._bytes <= BACKLOG_MAX
    kept = sent - 1
    for _ in range(41):
        world.log.info("never seen")
    texts = world.collect(kept + 1)
    assert texts == [*(f"line {number}" for number in range(kept)), "the log took no more: 42 lines lost"]
    world.log.info("after")
    assert world.collect(1) == ["after"]


def test_a_daemon_that_was_started_again_gets_the_next_line(world: World) -> None:
    world.serve()
    world.log.info("before")
    world.stop()
    world.serve()
    world.log.info("after")
    assert world.texts() == ["after"] and world.printed() == ""


def test_lines_wait_for_a_daemon_that_went_away(world: World) -> None:
    world.serve()
    world.log.info("before")
    world.stop()
    world.log.info("between")
    world.log.info("between 2")
    world.pass_time(1)
    assert world.printed() == ""
    world.serve()
    world.pass_time(1)
    assert world.texts() == ["between", "between 2"]
    assert world.log._timer is None


def test_a_daemon_that_stays_away_leaves_them_to_stderr(world: World) -> None:
    world.serve()
    world.log.info("before")
    world.stop()
    world.log.info("between")
    world.pass_time(1)
    world.pass_time(module.PATIENCE_S)
    assert world.printed().endswith(": between\n")
    world.log.info("later")
    assert world.printed().endswith(": later\n") and world.log._timer is None
    world.serve()
    world.log.info("back")
    assert world.texts() == ["back"] and world.printed() == ""


def test_a_full_socket_of_a_daemon_that_dies(world: World) -> None:
    world.serve()
    fill(world)
    world.stop()
    world.loop.step(0)
    world.pass_time(1)
    world.pass_time(module.PATIENCE_S)
    assert ": line " in world.printed() and not world.log._backlog


def test_without_a_daemon_it_is_stderr_and_a_full_one_loses(world: World) -> None:
    while not world.log._stderr._lost:
        world.log.info("x" * 500)
    world.log.info("y" * 500)
    lost = world.log._stderr._lost
    while world.printed():
        pass
    world.log.info("room")
    seen = world.printed()
    assert seen.startswith(f"({lost} lines lost)\ninitd[") and seen.endswith(": room\n")


def test_the_mirror_shows_everything_once(world: World) -> None:
    world.log._is_mirrored = True
    world.log.info("no daemon")
    world.serve()
    world.log.info("daemon")
    assert world.texts() == ["daemon"]
    lines = world.printed().splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["no daemon", "daemon"]


def test_a_stream_socket_gets_records(world: World) -> None:
    listening = world.serve(socket.SOCK_STREAM)
    listening.listen()
    world.log.info("one")
    world.log.info("two")
    peer, _ = listening.accept()
    peer.setblocking(False)
    assert [record.rpartition(b": ")[2] for record in peer.recv(4096).split(b"\0")] == [b"one", b"two", b""]
    count = 0
    while not world.log._backlog:
        world.log.info(f"{count} " + "x" * 900)
        count += 1
    raw, end_s = b"", time.monotonic() + LIMIT_S
    while raw.count(b"\0") < count and time.monotonic() < end_s:
        try:
            raw += peer.recv(1 << 20)
        except BlockingIOError:
            world.loop.step(0.1)
    peer.close()
    records = raw.split(b"\0")
    assert records.pop() == b""
    assert [int(record.partition(b": ")[2].split()[0]) for record in records] == list(range(count))


def test_facilities_have_names_and_others_a_hint() -> None:
    assert facility_fault("local7") == "" and FACILITIES["local7"] == 23 and FACILITIES["daemon"] == 3
    assert facility_fault("demon") == 'unknown facility "demon": did you mean "daemon"?'
    assert facility_fault("zzzzzz") == 'unknown facility "zzzzzz"'
