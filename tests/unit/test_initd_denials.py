# SPDX-License-Identifier: MIT
"""Denied calls in initd: whose they are, which are told, and how many."""

import json
import os
import signal
from pathlib import Path

import pytest
from initd_world import FIRST_PID, FakeStarted, World

from initd import whose
from initd.denials import LINES_MAX, PIDS_KEPT_S, RECORD_DELAY_S, WINDOW_S, table
from jail import advice, calls, procfs
from jail._native import lib
from jail.auditrecord import Record
from jail.bpf import Program
from jail.denial import NOTIFIER, Denial
from jail.policy import call_number

ERRNO, KILL, LOG = lib.SECCOMP_RET_ERRNO, lib.SECCOMP_RET_KILL_PROCESS, lib.SECCOMP_RET_LOG
AUDIT = lib.arch_audit(calls.NATIVE.encode())
GONE = 1 << 23  # above what the kernel gives


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "p.json"
    rules = [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))
    return str(path)


def record(call: str, pid: int = FIRST_PID, code: int = ERRNO, uid: int = 0, exe: str = "/bin/sh") -> Record:
    numbers = {"arch": AUDIT, "syscall": call_number(calls.NATIVE, call), "code": code, "pid": pid}
    return Record({"comm": '"d"', "exe": f'"{exe}"', "uid": str(uid)}, numbers, f"1.0:{pid}")


def told(world: World) -> list[str]:
    return [line for line in world.log.lines if "does not allow" in line]


def test_a_record_of_the_service_is_told_once_with_its_fields(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.denials._take_record(record("ptrace"))
    assert told(world) == [
        f"warning s::one: d[{FIRST_PID}] was refused ptrace ({calls.NATIVE} system call"
        f" {call_number(calls.NATIVE, 'ptrace')}), which {policy} does not allow;"
        ' to allow it, add "ptrace" to the "names" of its rule 1 (SCMP_ACT_ALLOW)'
    ]
    (data,) = world.denied
    assert (data["service"], data["syscall"], data["pid"]) == ("s", "ptrace", FIRST_PID)
    assert data["message"] == told(world)[0].removeprefix("warning ")
    listed = world.listing("s", "one")
    assert listed["denials"] == 1 and str(listed["last_denial"]).startswith(f"d[{FIRST_PID}] was refused")


def test_a_strangers_record_is_not_ours(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.denials._take_record(record("ptrace", pid=os.getpid()))
    assert told(world) == [] and "denials" not in world.listing("s", "one")


def test_a_child_is_known_by_its_ancestors(
    world: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = {70: 60, 60: FIRST_PID, 71: 1}
    monkeypatch.setattr(whose, "parent_of", parents.get)
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.denials._take_record(record("ptrace", pid=70))
    world.denials._take_record(record("mount", pid=71))
    assert len(told(world)) == 1 and "d[70] was refused ptrace" in told(world)[0]


def test_a_child_whose_parent_ends_meanwhile_is_known_by_its_next_one(
    world: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = {70: iter((60, FIRST_PID)), 60: iter((None,))}
    monkeypatch.setattr(whose, "parent_of", lambda pid: next(parents[pid]))
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.denials._take_record(record("ptrace", pid=70))
    assert len(told(world)) == 1


@pytest.mark.parametrize(
    ("stat", "parent"),
    [(b"70 (d) S 60 70 70 0", 60), (b"70 (a) S 1) S 60 70", 60), (b"70 (d) X 0 -1 -1 0", None)],
    ids=["child", "its name is in brackets", "being removed"],
)
def test_a_process_that_is_being_removed_has_no_parent(
    stat: bytes, parent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "_stat", lambda pid: procfs.behind_name(stat))
    assert whose.parent_of(70) == parent


def test_a_daemon_is_known_by_its_cgroup(world: World, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whose, "parent_of", {71: 1, 72: 1}.get)
    monkeypatch.setattr(whose, "cgroup_of", {71: "/services/s/one", 72: "/services/s/two"}.__getitem__)
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy, "cgroup": {"memory.max": "16M"}})
    world.denials._take_record(record("ptrace", pid=71))
    world.denials._take_record(record("ptrace", pid=72))
    assert len(told(world)) == 1


@pytest.fixture
def gone(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Services whose processes are gone as well, and what they ran."""
    numbers = iter(range(GONE + 1, GONE + 10))

    def started(pid: int) -> FakeStarted:
        number = next(numbers)
        return FakeStarted(number, number)

    world.started_as = started
    monkeypatch.setattr(
        whose, "exe_of", {GONE + 1: "/bin/sh", GONE + 2: "/bin/other", GONE + 3: "/bin/sh"}.get
    )
    return world


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, "warning s::one: d["),
        ({"code": KILL}, ""),  # the policy would not have killed it
        ({"call": "read"}, ""),  # nor denied it
        ({"exe": "/bin/nginx"}, "warning denied to a process that is gone, perhaps of s::one or t::one: d["),
    ],
)
def test_one_that_is_gone_is_of_the_service_that_runs_it(
    gone: World, policy: str, changed: dict[str, object], line: str
) -> None:
    gone.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    gone.set("t", one={"command": ["/bin/d"], "seccomp": policy})
    gone.denials._take_record(record(**{"call": "ptrace", "pid": GONE, **changed}))  # type: ignore[arg-type]
    assert [each[: len(line)] for each in gone.log.lines] == ([line] if line else [])
    assert len(gone.denied) == line.startswith("warning s")


@pytest.mark.parametrize(
    ("mode", "code", "call", "is_told"),
    [
        ("complain", LOG, "ptrace", True),
        ("complain", LOG, "read", False),  # the policy allows it
        ("complain", ERRNO, "ptrace", False),  # by a filter of its own
        ("enforce", LOG, "ptrace", False),
    ],
)
def test_one_that_is_gone_may_have_been_let_by_a_policy_that_complains(
    gone: World, policy: str, mode: str, code: int, call: str, is_told: bool
) -> None:
    gone.set("s", one={"command": ["/bin/d"], "seccomp": policy, "seccomp_mode": mode})
    gone.denials._take_record(record(call, pid=GONE, code=code))
    assert len(told(gone)) == is_told


def test_service_that_ends_while_it_is_looked_at_fits_still(
    gone: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    exists = os.path.exists

    def ends_after_the_first(path: str) -> bool:
        if not path.startswith("/proc/"):
            return exists(path)
        looks.append(path)
        return len(looks) == 1 and path.endswith("/root")

    gone.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    monkeypatch.setattr(os.path, "exists", ends_after_the_first)
    gone.denials._take_record(record("ptrace", pid=GONE))
    assert looks and len(told(gone)) == 1


def test_one_that_ends_before_its_group_is_asked_for_is_one_that_is_gone(
    gone: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter((1, None))
    monkeypatch.setattr(whose, "parent_of", lambda pid: next(parents))
    gone.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    gone.denials._take_record(record("ptrace", pid=GONE))
    assert len(told(gone)) == 1


def test_service_that_runs_without_that_file_is_not_it(
    gone: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    monkeypatch.setattr(os.path, "exists", lambda path: path.endswith("/root"))
    gone.denials._take_record(record("ptrace", pid=GONE))
    assert told(gone) == []


def test_one_that_is_gone_and_may_be_of_two(gone: World, policy: str) -> None:
    for name in ("s", "t", "u"):
        gone.set(name, one={"command": ["/bin/d"], "seccomp": policy})
    for _ in range(3 * LINES_MAX):
        gone.denials._take_record(record("ptrace", pid=GONE))
    assert gone.log.lines[0].startswith(
        "warning denied to a process that is gone, perhaps of s::one or u::one: d["
    )
    assert len(gone.log.lines) == LINES_MAX and gone.denied == []


def test_another_users_process_is_not(gone: World, policy: str) -> None:
    world = gone
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy, "user": "12345"})
    world.denials._take_record(record("ptrace", pid=GONE, uid=12))
    assert told(world) == []
    world.denials._take_record(record("ptrace", pid=GONE, uid=12345))
    assert len(told(world)) == 1


def test_pids_are_kept_for_late_records_and_no_longer(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.end(FIRST_PID)
    world.advance(PIDS_KEPT_S / 2)
    world.denials._take_record(record("ptrace"))
    world.advance(PIDS_KEPT_S)
    world.denials._take_record(record("mount"))
    assert len(told(world)) == 1


def test_what_comes_again_is_counted(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    for _ in range(10):
        world.denials._take_record(record("ptrace"))
    assert len(told(world)) == 1
    world.advance(WINDOW_S + 1)
    assert world.log.lines[-1] == "warning s::one: 9 more denied calls in 30 s, not told one by one"
    assert world.denied[-1] == {"service": "s", "instance": "one", "suppressed": 9}
    assert world.listing("s", "one")["denials"] == 10
    world.denials._take_record(record("ptrace"))
    assert len(told(world)) == 2
    world.advance(WINDOW_S + 1)
    assert len(world.log.lines) == 3, "nothing was kept back in the second window"


def test_many_different_calls_have_a_bound_too(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    for name in ("ptrace", "mount", "umount2", "reboot", "swapon", "swapoff", "setns", "unshare"):
        world.denials._take_record(record(name))
    assert len(told(world)) == LINES_MAX
    world.advance(WINDOW_S + 1)
    assert world.log.lines[-1].startswith("warning s::one: 3 more denied calls")


def test_each_policy_is_compiled_once_however_many_calls_are_denied(
    world: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    compiled: list[str] = []
    real = advice.filter_of

    def filter_of(path: str, abi: str) -> "Program | None":
        compiled.append(path)
        return real(path, abi)

    monkeypatch.setattr(advice, "filter_of", filter_of)
    names = ("ptrace", "mount", "umount2", "reboot", "swapon", "swapoff", "setns", "unshare", "read")
    fitting = [world.denials._owners.of_record(record(name, GONE))[0] for name in names]
    assert [len(owners) for owners in fitting] == [1] * 8 + [0], "read is allowed"
    assert compiled == [policy]
    world.set("t", one={"command": ["/bin/d"], "seccomp": policy})
    world.denials._owners.of_record(record("mount", GONE))
    assert compiled == [policy, policy], "it may be a new one"


def test_services_have_bounds_of_their_own(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.set("t", one={"command": ["/bin/d"], "seccomp": policy})
    for _ in range(100):
        world.denials._take_record(record("ptrace"))
    world.denials._take_record(record("ptrace", pid=FIRST_PID + 1))
    assert [line.split()[1] for line in told(world)] == ["s::one:", "t::one:"]


def test_a_death_that_a_record_explains_is_told_once(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    world.end(FIRST_PID, signal.SIGSYS)
    world.advance(RECORD_DELAY_S / 2)
    world.denials._take_record(record("ptrace", code=KILL))
    world.advance(RECORD_DELAY_S)
    assert len(told(world)) == 1 and "was killed for ptrace" in told(world)[0]


def test_a_notifier_tells_with_arguments_and_an_echo_is_dropped(world: World, policy: str) -> None:
    world.set("s", one={"command": ["/bin/d"], "seccomp": policy})
    number = call_number(calls.NATIVE, "socket")
    denial = Denial(
        number, calls.NATIVE, FIRST_PID, program="d", action=ERRNO | 13, args=(2, 1, 0, 0, 0, 1 << 63),
        service="s", instance="one", source=NOTIFIER,
    )  # fmt: skip
    world.denials.note(denial)
    world.denials._take_record(record("socket", code=lib.SECCOMP_RET_USER_NOTIF))
    assert len(told(world)) == 1 and "was refused socket(AF_INET, " in told(world)[0]
    assert "with EACCES" in told(world)[0]
    assert world.listing("s", "one")["denials"] == 1
    assert world.denied[0]["args"] == [2, 1, 0, 0, 0, -(1 << 63)], "ubus has signed numbers"
    assert table(denial)["source"] == "notifier"


def test_a_notifier_of_nobody_we_know(world: World) -> None:
    world.denials.note(Denial(1, calls.NATIVE, GONE, service="x", instance="y"))
    assert world.log.lines == [] and world.denied == []
