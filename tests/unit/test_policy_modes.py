# SPDX-License-Identifier: MIT
"""What complaining and a supervisor make of a policy's verdicts, on every target; what is allowed stays allowed."""

import json

import pytest
from bpf import Program
from naive import ALLOW, TARGETS, Target

from jail._native import lib
from jail.policy import compile_filter

LOG, NOTIFY, TRAP = int(lib.SECCOMP_RET_LOG), int(lib.SECCOMP_RET_USER_NOTIF), int(lib.SECCOMP_RET_TRAP)
COMPLAIN, SUPERVISED = int(lib.POLICY_COMPLAIN), int(lib.POLICY_NOTIFY)
RULES = [
    {"names": ["write", "prctl"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["chdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7},
    {"names": ["getppid"], "action": "SCMP_ACT_TRAP"},
    {"names": ["getpid"], "action": "SCMP_ACT_LOG"},
    {"names": ["dup"], "action": "SCMP_ACT_KILL_THREAD"},
]
POLICY = json.dumps({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": RULES}).encode()
STARTUP = b'{"defaultAction": "SCMP_ACT_KILL", "syscalls": [{"names": ["brk"], "action": "SCMP_ACT_ALLOW"}]}'
MARK = int(lib.MARK_LISTENER)
X32 = 0x40000000  # a foreign ABI of which only the numbers tell

targets = pytest.mark.parametrize("target", TARGETS, ids=repr)


def verdicts(target: Target, mode: int, door1: bool = False) -> dict[str, int]:
    made = compile_filter(POLICY, target.name, path="p", mode=mode, door1=door1, startup=STARTUP)
    program = Program(made.code, target.big_endian)
    names = ("write", "chdir", "getppid", "getpid", "dup", "ptrace", "brk", "prctl")
    out = {name: program.run(target.audit, target.numbers[name])[0] for name in names}
    out["mark"] = program.run(target.audit, target.numbers["prctl"], (MARK, 9, 0, 0, 0, 0))[0]
    out["foreign"] = program.run(target.audit ^ 1, target.numbers["write"])[0]
    if target.name == "x86_64":
        assert program.run(target.audit, X32 | target.numbers["write"])[0] == out["foreign"]
    return out


@targets
@pytest.mark.parametrize("door1", [False, True])
def test_what_is_denied_is_logged(target: Target, door1: bool) -> None:
    seen = verdicts(target, COMPLAIN, door1)
    assert {seen.pop(name) for name in ("write", "prctl", "mark")} == {ALLOW}
    assert seen.pop("brk") == (ALLOW if door1 else LOG)
    assert set(seen.values()) == {LOG}


@targets
@pytest.mark.parametrize("door1", [False, True])
def test_supervisor_decides_on_what_it_can_do_itself(target: Target, door1: bool) -> None:
    seen = verdicts(target, SUPERVISED, door1)
    plain = verdicts(target, 0, door1)
    for name in ("chdir", "ptrace", "foreign"):
        assert seen[name] == NOTIFY and plain[name] not in (NOTIFY, ALLOW)
    for name in ("write", "getppid", "getpid", "dup"):
        assert seen[name] == plain[name]
    assert seen["mark"] == (ALLOW if door1 else NOTIFY) and plain["mark"] == ALLOW
    assert seen["prctl"] == ALLOW


@targets
def test_supervisor_sees_all_that_is_complained_of_behind_door_1(target: Target) -> None:
    early, late = (verdicts(target, COMPLAIN | SUPERVISED, door1) for door1 in (True, False))
    for name in ("chdir", "getppid", "dup", "ptrace", "foreign"):
        # a log is the weaker verdict of the two, so that door 2 decides
        assert (early[name], late[name]) == (LOG, NOTIFY)
    assert (early["getpid"], late["getpid"]) == (LOG, LOG) and late["write"] == ALLOW


@targets
@pytest.mark.parametrize("mode", [SUPERVISED, COMPLAIN | SUPERVISED])
def test_door_1_with_the_listener_asks_as_door_2_does(target: Target, mode: int) -> None:
    alone, late = verdicts(target, mode | int(lib.POLICY_LISTENER), door1=True), verdicts(target, mode)
    assert late.pop("brk") == NOTIFY and alone.pop("brk") == ALLOW  # of the start-up list
    assert alone == late and alone["mark"] == NOTIFY


@pytest.mark.parametrize("mode", [0, COMPLAIN, SUPERVISED])
def test_same_mistakes_are_refused_in_every_mode(mode: int) -> None:
    from jail.errors import ConfigError

    with pytest.raises(ConfigError, match="unknown system call"):
        compile_filter(
            b'{"defaultAction": "SCMP_ACT_KILL", "syscalls": [{"names": ["nope"], "action": "SCMP_ACT_ALLOW"}]}',
            "mips",
            path="p",
            mode=mode,
        )
