# SPDX-License-Identifier: MIT
"""initd as a process: what it was started with stays out of it, and its last words are not lost."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised import LIMIT_S, wait_until

from initd.ubus.blocking import Session
from initd.ubus.wire import UbusError

INITD = Path(sys.executable).with_name("initd")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[socket.socket]:
    """A log daemon that does not read yet, below the root of that initd."""
    (tmp_path / "dev").mkdir()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind(str(tmp_path / "dev/log"))
    yield made
    made.close()


def is_up(path: Path) -> bool:
    try:
        with Session(str(path)) as session:
            session.lookup_id("service")
    except UbusError:
        return False
    return True


def run(root: Path, *fds: int) -> subprocess.Popen[str]:
    path = root / "ubus.sock"
    line = [str(INITD), "--root", str(root), "-s", str(path)]
    started = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, pass_fds=fds)
    wait_until(lambda: is_up(path), lambda: "no object service")
    return started


def end(started: subprocess.Popen[str]) -> str:
    started.send_signal(signal.SIGTERM)
    said = started.communicate(timeout=LIMIT_S)[1]
    assert started.returncode == 0
    return said


def test_descriptors_of_others_are_closed(tmp_path: Path, log: socket.socket) -> None:
    reads, writes = os.pipe()
    initd = run(tmp_path, writes)
    os.close(writes)
    closed, _, _ = select.select([reads], [], [], LIMIT_S)
    end(initd)
    os.close(reads)
    assert closed  # by everybody who had it


def test_what_the_log_did_not_take_is_printed_at_the_end(tmp_path: Path, log: socket.socket) -> None:
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    other.connect(str(tmp_path / "dev/log"))
    with other, pytest.raises(BlockingIOError):
        while True:
            other.send(b"full")
    assert "stopping all services" in end(run(tmp_path))


def test_what_it_takes_is_not(tmp_path: Path, log: socket.socket) -> None:
    assert end(run(tmp_path)) == ""
    lines = []
    with pytest.raises(BlockingIOError):
        while True:
            lines.append(log.recv(4096))
    assert any(b"stopping all services" in line for line in lines)
