# SPDX-License-Identifier: MIT
"""What `ujail` hears while it waits: whose a record is, and a service that ends while its listener is looked for."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jail import calls, notifier, watcher
from jail._native import lib
from jail.auditrecord import Record
from jail.policy import call_number
from jail.spec import COMPLAIN, ENFORCE, JailSpec

SERVICE, CHILD, ORPHAN, STRANGER, GONE = 10, 20, 30, 40, 50


def record(pid: int, call: str = "ptrace", code: int = lib.SECCOMP_RET_ERRNO, exe: str = "/bin/sh") -> Record:
    arch = lib.arch_audit(calls.NATIVE.encode())
    numbers = {"arch": arch, "syscall": call_number(calls.NATIVE, call), "code": code, "pid": pid}
    return Record({"comm": '"d"', "exe": f'"{exe}"'}, numbers, f"1.0:{pid}")


def watching(service_pid: int, policy: str = "", mode: str = ENFORCE) -> watcher.Watcher:
    made = watcher.Watcher.__new__(watcher.Watcher)
    made._service_pid, made._spec, made._filters = service_pid, JailSpec("j", ["/bin/sh"]), {}
    made._spec.seccomp, made._spec.mode = policy, mode
    return made


def hears(monkeypatch: pytest.MonkeyPatch, parents: dict[int, list[int]], pid: int) -> bool:
    """Whether a record of `pid` is taken; 0 for a parent of one that is gone, the last one stays."""

    def parent(pid: int) -> int:
        found = parents[pid].pop(0) if len(parents[pid]) > 1 else parents[pid][0]
        if not found:
            raise ProcessLookupError
        return found

    monkeypatch.setattr(watcher, "parent", parent)
    return watching(SERVICE)._is_ours(record(pid))


def test_record_of_a_descendant_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = {SERVICE: [os.getpid()], CHILD: [SERVICE], STRANGER: [1], GONE: [0], 0: [0]}
    assert hears(monkeypatch, parents, SERVICE) and hears(monkeypatch, parents, CHILD)
    assert not hears(monkeypatch, parents, STRANGER) and not hears(monkeypatch, parents, GONE)


def test_record_of_one_whose_parent_ends_meanwhile_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = {ORPHAN: [CHILD, SERVICE], CHILD: [0], SERVICE: [os.getpid()]}
    assert hears(monkeypatch, parents, ORPHAN)


@pytest.mark.parametrize(
    ("changed", "is_ours"),
    [
        ({}, True),
        ({"exe": "/no/such/program"}, False),  # which the jail has not
        ({"call": "read"}, False),  # which the policy does not deny
        ({"code": lib.SECCOMP_RET_KILL_PROCESS}, False),  # nor kill for
    ],
)
def test_record_of_a_child_that_has_ended_is_heard_if_it_fits(
    tmp_path: Path, changed: dict[str, object], is_ours: bool
) -> None:
    """A record comes later than the call: a short program is gone by then, and has no parent any more."""
    policy = tmp_path / "p.json"
    rules = [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]
    policy.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))
    found = record(**{"pid": 1 << 22, **changed})  # type: ignore[arg-type]
    assert watching(os.getpid(), str(policy))._is_ours(found) == is_ours
    complained = record(1 << 22, code=lib.SECCOMP_RET_LOG)
    assert watching(os.getpid(), str(policy), COMPLAIN)._is_ours(complained)
    assert not watching(os.getpid(), str(policy))._is_ours(complained)


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
