# SPDX-License-Identifier: MIT
"""The kernel's records as initd hears them: two sources for one, strangers' words, damage, floods, closed doors."""

import os
from collections.abc import Iterator
from errno import ENOBUFS, EPERM
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from initd_world import World

from initd import records
from initd.records import HEADER, PAUSE_S, PER_PAUSE, Records
from initd.slim import socket
from jail import silence
from jail._native import lib
from jail.auditrecord import Record
from jail.silence import no_records

TEXT = (
    "audit(1795301809.321:{mark}): auid=4294967295 uid=0 gid=0 ses=1 pid=77"
    ' comm="d" exe="/bin/d" sig=0 arch=c000003e syscall=39 compat=0 ip=0x0 code=0x50000'
)


class FakeAudit:
    """A netlink socket: what recvfrom() is to return or raise."""

    def __init__(self) -> None:
        self.fds = os.pipe2(os.O_CLOEXEC)
        self.messages: list[tuple[bytes, tuple[int, int]] | OSError] = []

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.messages:
            raise BlockingIOError
        message = self.messages.pop(0)
        if isinstance(message, OSError):
            raise message
        return message

    def fileno(self) -> int:
        return self.fds[0]

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Heard:
    """Records that listens to a pipe and to a FakeAudit."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.taken: list[Record] = []
        self.told: list[str] = []
        self.records = Records(world.loop, self.taken.append, self.told.append)
        self.audit = FakeAudit()
        read_fd, self.log_fd = os.pipe2(os.O_NONBLOCK)
        self.records._audit, self.records._log_fd = self.audit, read_fd  # type: ignore[assignment]
        self.records.is_open = True
        self.records._watch()

    def log(self, text: str, priority: int = 5) -> None:
        """One line of the kernel log, read."""
        os.write(self.log_fd, f"{priority},1,2,-;audit: type=1326 {text}".encode())
        self.records._read_log(0)

    def send(self, text: str | bytes, kind: int = lib.AUDIT_SECCOMP, port: int = 0) -> None:
        payload = text.encode() if isinstance(text, str) else text
        self.audit.messages.append((HEADER.pack(0, kind, 0, 0, 0) + payload + b"\n\0", (port, 1)))
        self.records._read_audit(0)

    def close(self) -> None:
        self.records.close()
        os.close(self.log_fd)


@pytest.fixture
def heard() -> Iterator[Heard]:
    world = World()
    made = Heard(world)
    yield made
    made.close()
    world.close()


def line(mark: int = 1) -> str:
    return TEXT.format(mark=mark)


def test_both_sources_tell_of_one_denial(heard: Heard) -> None:
    heard.send(line(1))
    heard.log(line(1))
    heard.log(line(2))
    assert [found.mark for found in heard.taken] == ["1795301809.321:1", "1795301809.321:2"]
    assert (heard.taken[0].pid, heard.taken[0].number) == (77, 39)


def test_only_the_kernel_is_believed(heard: Heard) -> None:
    heard.send(line(), port=4321)
    heard.send(line(), kind=lib.AUDIT_SECCOMP + 1)
    heard.log(line(), priority=13)
    assert heard.taken == []


def test_what_the_kernel_had_no_room_for_is_gone(heard: Heard) -> None:
    heard.audit.messages.append(OSError(ENOBUFS, "no buffer space"))
    heard.send(line())
    assert len(heard.taken) == 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 40))
@example(b"pid=99999999999999999999999", 60, 10)
@example(b'"', 90, 1)
def test_damage_is_passed_over(extra: bytes, at: int, cut: int) -> None:
    world = World()
    heard = Heard(world)
    whole = line().encode()
    damaged = whole[:at] + extra + whole[at + cut :]
    heard.send(damaged)
    heard.audit.messages.append((damaged, (0, 1)))  # no header
    heard.records._read_audit(0)
    os.write(heard.log_fd, b"5,1,2,-;audit: type=1326 " + damaged)
    heard.records._read_log(0)
    assert all(0 <= found.pid < 1 << 32 for found in heard.taken)
    heard.close()
    world.close()


def test_a_flood_is_read_in_part_and_told_once(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "lseek", lambda fd, at, how: 0)  # a pipe has no end to go to
    for second in range(3):
        for number in range(PER_PAUSE + 5):
            heard.send(line(second * 1000 + number))
            if not heard.records._is_watching:
                break
        assert not heard.records._is_watching
        heard.world.advance(PAUSE_S + 0.1)
        assert heard.records._is_watching
    assert len(heard.taken) == 3 * PER_PAUSE
    assert heard.told == ["records of denied calls come too fast: some are not read"]


def test_what_comes_slowly_is_read_without_end(heard: Heard) -> None:
    for number in range(3 * PER_PAUSE):
        heard.world.advance(PAUSE_S / PER_PAUSE * 1.1)
        heard.send(line(number))
    assert len(heard.taken) == 3 * PER_PAUSE and heard.told == []


def test_closed_sources_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(EPERM, "Operation not permitted")

    world = World()
    told: list[str] = []
    monkeypatch.setattr(records, "no_records", lambda: "")
    monkeypatch.setattr(records, "missing_actions", lambda: ["errno"])
    monkeypatch.setattr(records, "KERNEL_LOG", "/no/such/log")
    monkeypatch.setattr(socket, "socket", refuse)
    made = Records(world.loop, lambda found: None, told.append)
    made.open()
    made.open()
    assert told == [
        "records of denied calls: audit: Operation not permitted",
        "records of denied calls: /no/such/log: No such file or directory",
        "so only deaths by denied calls are seen",
        "the kernel logs no denials by errno: see /proc/sys/kernel/seccomp/actions_logged",
    ]
    made.close()
    world.close()


def test_a_kernel_without_records_is_told_and_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    told: list[str] = []
    monkeypatch.setattr(records, "no_records", lambda: "it has no audit")
    made = Records(world.loop, lambda found: None, told.append)
    made.open()
    assert told == [
        "the kernel has no records of denied calls for us: it has no audit; deaths by them are seen"
    ]
    assert made._audit is None and made._log_fd < 0
    made.close()
    world.close()


def test_other_numbers_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the line says what helps, where that does."""
    monkeypatch.setattr(silence, "is_first_pid_namespace", lambda: False)
    assert no_records()
    monkeypatch.setattr(records, "is_silent", lambda: "")
    for works in (True, False):
        monkeypatch.setattr(records, "needs_supervisor", lambda works=works: works)
        world, told = World(), list[str]()
        made = Records(world.loop, lambda found: None, told.append)
        made.open()
        [line] = told
        assert line.endswith("deaths by them are seen, and seccomp_notify names the calls") is works
        made.close()
        world.close()


def test_actions_that_are_not_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "actions"
    monkeypatch.setattr(records, "ACTIONS_LOGGED", str(path))
    assert records.missing_actions() == []
    path.write_text("kill_process kill_thread trap\n")
    assert records.missing_actions() == ["errno", "log"]
