# SPDX-License-Identifier: MIT
"""Which processes are a jail and its service, where others have numbers that look like its own, end, or begin."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from jail import joins, procfs, running

GONE = 1 << 22  # no process has it
STATUS = procfs.status


def test_service_is_not_a_process_of_a_namespace_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jail that may make namespaces can leave PID 1 a child whose last number is the service's."""
    numbers = {30: "30\t7\t2", 40: "40\t2"}
    monkeypatch.setattr(running, "_children", lambda pid: list(numbers))
    monkeypatch.setattr(procfs, "status", lambda pid: {"NSpid": numbers[pid]})
    assert running._child(20, "2") == 40
    assert running._child(20, "7") == 30
    with pytest.raises(StopIteration):
        running._child(20, "3")


def test_orphan_that_ends_while_it_is_looked_at_hides_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_children", lambda pid: [GONE, os.getpid()])
    own = procfs.status(os.getpid())
    own["NSpid"] = f"{os.getpid()}\t2"
    monkeypatch.setattr(procfs, "status", lambda pid: own if pid == os.getpid() else STATUS(pid))
    assert running._child(20, "2") == os.getpid()


def test_namespace_of_a_process_that_has_ended_is_none_of_its_own() -> None:
    """A kernel without that kind has it for nobody."""
    assert running._namespace(os.getpid(), "none") == running._namespace(GONE, "none") == ""
    with pytest.raises(FileNotFoundError):
        running._namespace(GONE, "net")


@pytest.fixture
def forked() -> Iterator[int]:
    """A process that is between its fork and its exec."""
    stay, end = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(end)
        os.read(stay, 1)
        os._exit(0)
    os.close(stay)
    yield pid
    os.close(end)
    os.waitpid(pid, 0)


@pytest.fixture
def executed() -> Iterator[int]:
    """One that is past it."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process.pid


def be_stub(monkeypatch: pytest.MonkeyPatch, service: int) -> None:
    """Let this process look like PID 1 of a jail, and another one like its service."""
    monkeypatch.setattr(running, "STUB", os.readlink("/proc/self/exe"))
    monkeypatch.setattr(running, "_words", lambda pid: ["ujail-init", "init", "5", "j", "default", "2"])
    monkeypatch.setattr(running, "_children", lambda pid: [service])
    numbers = {os.getpid(): "9\t1", service: "10\t2"}
    monkeypatch.setattr(procfs, "status", lambda pid: STATUS(pid) | {"NSpid": numbers[pid]})


def test_service_that_has_not_executed_its_program_is_none_yet(
    monkeypatch: pytest.MonkeyPatch, forked: int, executed: int
) -> None:
    """Until then it has privileges and limits of the launcher's; who enters would get them."""
    be_stub(monkeypatch, forked)
    assert running.jail_at(os.getpid()) is None
    be_stub(monkeypatch, executed)
    found = running.jail_at(os.getpid())
    assert found is not None and (found.name, found.service_pid) == ("j", executed)


def test_process_is_known_by_its_start_as_it_was_before_all_else(
    monkeypatch: pytest.MonkeyPatch, executed: int
) -> None:
    """A later process with the same pid began at another time, which the launcher compares."""
    be_stub(monkeypatch, executed)
    ticks = iter([1, 2, 3])
    monkeypatch.setattr(procfs, "started", lambda pid: next(ticks))
    found = running.jail_at(os.getpid())
    assert found is not None and found.started == 1
    monkeypatch.setattr(running, "require_jail", lambda name: found)
    monkeypatch.setattr(running.Running, "namespaces", lambda self: ["net"])
    join = joins.Join("j", ["net"])
    join.find()
    assert join.started() == 1
