# SPDX-License-Identifier: MIT
"""What a service writes: whole lines whatever the pieces, cut ones marked, floods counted and bounded."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initd.loop import Loop
from initd.output import BURST, CHUNK_BYTES, CLOSE_CHUNKS, LINE_MAX, MARK, PAUSE_S, RATE, TELL_S, Output


class Sink:
    """What Output needs of a Log."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.heads: set[tuple[int, str, int, str]] = set()

    def write(self, level: int, text: str, ident: str = "", pid: int = 0, facility: str = "daemon") -> None:
        self.lines.append(text)
        self.heads.add((level, ident, pid, facility))


class World:
    """One Output, the pipe that it reads, and a clock."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.loop = Loop(self.faults.append)
        self.now_s = 100.0
        self.loop.now = lambda: self.now_s
        self.log = Sink()
        reads, self.writes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.output = Output(self.loop, self.log, reads, "svc", 7, 6, "local1")  # type: ignore[arg-type]

    def say(self, raw: bytes) -> list[str]:
        """Write, let it be read, and return all lines so far."""
        os.write(self.writes, raw)
        self.loop.step(0)
        return self.log.lines

    def hang_up(self) -> None:
        os.close(self.writes)
        self.writes = -1
        self.loop.step(0)

    def stop(self) -> None:
        self.output.close()
        if self.writes >= 0:
            os.close(self.writes)
        assert not self.loop._watched
        self.loop.close()
        assert self.faults == []


@pytest.fixture
def world() -> Iterator[World]:
    before = len(os.listdir("/proc/self/fd"))
    made = World()
    yield made
    made.stop()
    assert len(os.listdir("/proc/self/fd")) == before


def test_lines_leave_whole_under_their_name(world: World) -> None:
    assert world.say(b"one\ntwo\r\n\nthr") == ["one", "two"]
    assert world.say(b"ee") == ["one", "two"]
    world.now_s += 3600
    assert world.say(b"!\n") == ["one", "two", "three!"]
    assert world.log.heads == {(6, "svc", 7, "local1")}


def test_an_unfinished_line_leaves_at_the_end(world: World) -> None:
    assert world.say(b"Killed") == []
    world.hang_up()
    assert world.log.lines == ["Killed"] and world.output.is_closed
    world.output.close()
    assert world.log.lines == ["Killed"]


def test_close_takes_what_the_pipe_still_holds(world: World) -> None:
    os.write(world.writes, b"last words\nand")
    world.output.close()
    assert world.log.lines == ["last words", "and"] and world.output.is_closed


def test_close_does_not_wait_for_somebody_who_goes_on_writing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def read(fd: int, size: int) -> bytes:
        reads.append(size)
        return b"x\n"

    monkeypatch.setattr(os, "read", read)
    world.output.close()
    assert reads == [CHUNK_BYTES] * CLOSE_CHUNKS


def test_a_long_line_is_cut_and_says_so(world: World) -> None:
    exact = "e" * LINE_MAX
    assert world.say(f"{exact}\n".encode()) == [exact]
    world.log.lines.clear()
    lines = world.say(b"a" * LINE_MAX + b"b" * LINE_MAX + b"c\nnext\n")
    assert lines == ["a" * LINE_MAX + MARK, MARK + "b" * LINE_MAX + MARK, MARK + "c", "next"]


def test_a_cut_is_not_inside_a_character(world: World) -> None:
    first, second = world.say(b"x" + "ö".encode() * LINE_MAX + b"\n")[:2]
    assert first == "x" + "ö" * ((LINE_MAX - 1) // 2) + MARK
    assert second.startswith(MARK + "ö")


def test_bytes_that_are_no_text_are_seen(world: World) -> None:
    assert world.say(b"a\xff\xfeb\n") == ["a\\xff\\xfeb"]
    assert world.say(b"\x80" * (LINE_MAX + 1) + b"\n")[1:] == ["\\x80" * LINE_MAX + MARK, MARK + "\\x80"]


def test_a_flood_is_dropped_and_counted(world: World) -> None:
    more = 500
    lines = world.say(b"x\n" * (BURST + more))
    assert lines == ["x"] * BURST
    world.now_s += TELL_S
    world.loop.step(0)
    assert lines[BURST:] == [f"({more} lines dropped: more than {RATE} a second)"]
    del lines[:]
    world.loop.step(0)
    assert world.say(b"y\n" * 2 * RATE) == ["y"] * RATE
    world.now_s += TELL_S
    world.loop.step(0)
    assert lines[RATE:] == [f"({RATE} lines dropped: more than {RATE} a second)"]


def test_what_was_dropped_is_told_at_the_end_too(world: World) -> None:
    world.say(b"x\n" * (BURST + 1))
    world.hang_up()
    world.output.close()
    assert world.log.lines[BURST:] == [f"(1 lines dropped: more than {RATE} a second)"]


def test_an_endless_line_is_a_flood_as_well(world: World) -> None:
    for _ in range(40):
        world.say(b"z" * 60000)
        world.now_s += PAUSE_S
        world.loop.step(0)
    assert len(world.log.lines) < BURST + 2 * RATE
    assert len(world.output._partial) <= LINE_MAX
    world.now_s += TELL_S
    world.loop.step(0)
    assert "dropped" in world.log.lines[-1]
    world.now_s += TELL_S
    assert world.say(b"tail\nnext\n")[-1] == "next"


def test_the_pipe_of_a_flood_is_read_now_and_then_but_always_again(world: World) -> None:
    world.say(b"x\n" * (BURST + 1))
    assert not world.loop._watched
    os.write(world.writes, b"x\n")
    world.loop.step(0)
    assert world.output._dropped == 1
    world.now_s += PAUSE_S
    world.loop.step(0)
    world.loop.step(0)
    assert world.log.lines[-1] == "x" and len(world.log.lines) == BURST + 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"\n", b"a", b"\xc3\xb6", b"\xc3", b"\r\n", b"\0", b"w" * LINE_MAX, b"\x80" * 700])
    ),
    st.lists(st.integers(1, 2000), min_size=1),
)
def test_the_pieces_make_no_difference(words: list[bytes], sizes: list[int]) -> None:
    raw = b"".join(words)
    pieces: list[bytes] = []
    at = 0
    while at < len(raw):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(raw[at : at + size])
        at += size
    seen = []
    for way in ([raw], pieces):
        world = World()
        for piece in way:
            world.output._take(piece)
        world.stop()
        seen.append(world.log.lines)
    assert seen[0] == seen[1]
    expected = [line.removesuffix(b"\r").decode("utf-8", "backslashreplace") for line in raw.split(b"\n")]
    if max(len(line) for line in raw.split(b"\n")) <= LINE_MAX:
        assert seen[0] == [text for text in expected if text]
    assert "".join(seen[0]).replace(MARK, "").count("w") == raw.count(b"w")
