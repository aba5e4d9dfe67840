# SPDX-License-Identifier: MIT
"""What `ujail` hears while it waits: whose a record is, and a service that ends while its listener is looked for."""

import errno
import os
from types import SimpleNamespace

import pytest

from jail import notifier, watcher

SERVICE, CHILD, ORPHAN, STRANGER, GONE = 10, 20, 30, 40, 50


def hears(monkeypatch: pytest.MonkeyPatch, parents: dict[int, list[int]], pid: int) -> bool:
    """Whether a record of `pid` is taken; 0 for a parent of one that is gone, the last one stays."""

    def parent(pid: int) -> int:
        found = parents[pid].pop(0) if len(parents[pid]) > 1 else parents[pid][0]
        if not found:
            raise ProcessLookupError
        return found

    monkeypatch.setattr(watcher, "parent", parent)
    made = watcher.Watcher.__new__(watcher.Watcher)
    made._service_pid = SERVICE
    return made._is_ours(pid)


def test_record_of_a_descendant_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = {SERVICE: [os.getpid()], CHILD: [SERVICE], STRANGER: [1], GONE: [0], 0: [0]}
    assert hears(monkeypatch, parents, SERVICE) and hears(monkeypatch, parents, CHILD)
    assert not hears(monkeypatch, parents, STRANGER) and not hears(monkeypatch, parents, GONE)


def test_record_of_one_whose_parent_ends_meanwhile_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = {ORPHAN: [CHILD, SERVICE], CHILD: [0], SERVICE: [os.getpid()]}
    assert hears(monkeypatch, parents, ORPHAN)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EBADF])
def test_service_that_ends_while_its_listener_is_looked_for_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Its descriptors are root's by then, or gone: only of one that lives that is worth a word."""
    monkeypatch.setattr(notifier, "lib", SimpleNamespace(notify_take=lambda pid: -number))
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(ProcessLookupError):
            notifier.take(pid)
    finally:
        os.waitpid(pid, 0)
    with pytest.raises(OSError, match=os.strerror(number)):
        notifier.take(os.getpid())
