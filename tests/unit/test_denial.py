# SPDX-License-Identifier: MIT
"""A denial in words and in fields; and that the change to the policy that it names is the one that helps."""

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail import advice, calls
from jail._native import lib
from jail.denial import UNKNOWN_CALL, WAITPID, Denial
from jail.policy import call_number

ALLOW, ERRNO, KILL = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"
NATIVE = calls.NATIVE
KILLED, LOGGED = lib.SECCOMP_RET_KILL_PROCESS, lib.SECCOMP_RET_LOG


def call(name: str, abi: str = NATIVE) -> int:
    return call_number(abi, name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.json"


def denied(name: str, path: Path | str, *args: int, action: int = KILLED, abi: str = NATIVE) -> Denial:
    padded = [*args, *[0] * (6 - len(args))] if args else []
    return Denial(
        call(name, abi), abi, 7, program="httpd", action=action, args=padded, service="web", policy=str(path)
    )


def put(path: Path, *rules: object, default: str = KILL) -> None:
    path.write_text(json.dumps({"defaultAction": default, "syscalls": rules}))


def rule(*names: str, action: str = ALLOW, **more: object) -> dict[str, object]:
    return {"names": [*names], "action": action, **more}


def equals(index: int, value: int) -> dict[str, object]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def hint(denial: Denial) -> str:
    return denial.words().partition("; ")[2]


def test_the_line_of_a_death(path: Path) -> None:
    put(path, rule("read"))
    denial = denied("getrandom", path, abi="x86_64")
    denial.instance = "main"
    expected = f"web::main: httpd[7] was killed for getrandom (x86_64 system call 318), which {path} does not allow; "
    assert denial.words() == (
        f'{expected}to allow it, add "getrandom" to the "names" of its rule 1 (SCMP_ACT_ALLOW)'
    )


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (KILLED, "httpd[7] was killed for ptrace ("),
        (lib.SECCOMP_RET_KILL_THREAD, "httpd[7] lost a thread, killed for ptrace ("),
        (lib.SECCOMP_RET_TRAP, "httpd[7] got SIGSYS for ptrace ("),
        (lib.SECCOMP_RET_ERRNO, "httpd[7] was refused ptrace ("),
        (lib.SECCOMP_RET_USER_NOTIF, "httpd[7] was refused ptrace ("),
        (LOGGED, "httpd[7] called ptrace ("),
        (0x12340000, "httpd[7] was denied ptrace ("),
    ],
)
def test_what_came_of_it(path: Path, action: int, words: str) -> None:
    put(path, rule("read"))
    line = denied("ptrace", path, action=action).words()
    assert words in line
    assert line.endswith('to allow it, add "ptrace" to the "names" of its rule 1 (SCMP_ACT_ALLOW)')


def test_errno_has_its_name(path: Path) -> None:
    put(path, rule("read"))
    assert ") with EACCES, which" in denied("ptrace", path, action=lib.SECCOMP_RET_ERRNO | 13).words()


def test_arguments_in_words(path: Path) -> None:
    put(path, rule("read"))
    line = denied("socket", path, socket.AF_NETLINK, socket.SOCK_RAW, 0).words()
    assert " socket(AF_NETLINK, SOCK_RAW, 0) (" in line
    line = denied("openat", path, 2**64 - 100, 0x7FFE, os.O_WRONLY | os.O_CREAT, 0o600).words()
    assert " openat(-100, 0x7ffe, O_WRONLY|O_CREAT, 0o600) (" in line


def test_no_policy_and_no_call(path: Path) -> None:
    dead = Denial(UNKNOWN_CALL, NATIVE, 7, program="d", service="web", source=WAITPID)
    assert dead.words() == "web: d[7] was killed by SIGSYS, and not by a policy of its jail: it has none"
    dead.policy = str(path)
    assert dead.words().startswith(f"web: d[7] was killed for a system call that {path} does not allow; ")
    assert "utrace" in dead.words()
    assert dead.fields() == {
        "service": "web", "pid": 7, "program": "d", "abi": NATIVE, "action": "kill_process",
        "policy": str(path), "source": "waitpid",
    }  # fmt: skip


def test_foreign_abi(path: Path) -> None:
    put(path, rule("read"))
    unknown = Denial(5, "", 7, program="d", policy=str(path))
    assert unknown.words() == (
        f"d[7] was killed for foreign system call 5, of a foreign ABI, which {path} does not allow;"
        " no policy can allow it"
    )


def test_another_abi_that_the_policy_allows(path: Path) -> None:
    put(path, rule("read"))
    other = "i386" if NATIVE != "i386" else "mips"
    assert hint(denied("read", path, abi=other)) == (
        f"the policy is in force for another ABI: a program for {other} needs a jail of its own"
    )


@pytest.mark.parametrize(
    ("rules", "default", "words"),
    [
        ([], KILL, 'make {"names": ["socket"], "action": "SCMP_ACT_ALLOW"} the first of its "syscalls"'),
        ([rule("read"), rule("write")], KILL, 'add "socket" to the "names" of its rule 1 (SCMP_ACT_ALLOW)'),
        (
            [rule("socket", action=ERRNO), rule("read")],
            KILL,
            'make {"names": ["socket"], "action": "SCMP_ACT_ALLOW"} the first of its "syscalls"',
        ),
        ([rule("socket", "read", action=ERRNO)], ALLOW, 'take "socket" out of its rule 1 (SCMP_ACT_ERRNO)'),
        (
            [rule("read"), rule("socket", args=[equals(0, 2)])],
            KILL,
            'add "socket" to the "names" of its rule 1 (SCMP_ACT_ALLOW)',
        ),
    ],
)
def test_the_change(path: Path, rules: list[object], default: str, words: str) -> None:
    put(path, *rules, default=default)
    assert hint(denied("socket", path)) == f"to allow it, {words}"


def test_the_change_with_arguments_is_about_them(path: Path) -> None:
    put(path, rule("read"), rule("socket", args=[equals(0, 2)]))
    assert hint(denied("socket", path, 16, 3)) == (
        'to allow it, make {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args":'
        ' [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}]} the first of its "syscalls"'
    )


def test_the_form_of_2015(path: Path) -> None:
    path.write_text('{"whitelist": ["read"], "policy": 1}')
    assert hint(denied("socket", path)) == 'to allow it, add "socket" to its "whitelist"'


def test_policy_that_changed_since(path: Path) -> None:
    assert hint(denied("read", path)) == "the policy cannot be read any more: No such file or directory"
    path.write_text("{")
    assert hint(denied("read", path)).startswith("the policy is not as it was: ")
    put(path, rule("read", "execve"))
    assert hint(denied("read", path)) == (
        "as it is now the policy allows it: restart the service, unless the program has a filter of its own"
    )
    assert hint(denied("execve", path)) == "before the program's main only the launcher's own is allowed"


def test_policy_that_would_have_us_wait(path: Path) -> None:
    """initd asks while it runs: nobody may ever write into it, or hold a lease on it."""
    os.mkfifo(path)
    assert hint(denied("read", path)) == "the policy cannot be read any more: not a regular file"
    assert advice.filter_of(str(path), NATIVE) is None


def test_fields(path: Path) -> None:
    put(path, rule("read"))
    denial = denied("socket", path, 16, 3, action=lib.SECCOMP_RET_ERRNO | 13)
    denial.instance, denial.time_s = "main", 1795301809.3
    assert denial.fields() == {
        "service": "web", "instance": "main", "pid": 7, "program": "httpd", "syscall": "socket",
        "number": call("socket"), "abi": NATIVE, "args": [16, 3, 0, 0, 0, 0],
        "meaning": denial.fields()["meaning"], "action": "errno", "errno": 13, "policy": str(path),
        "source": "record", "time": 1795301809,
    }  # fmt: skip


NAMES = ("read", "socket", "ioctl", "openat")
CONDITIONS = st.lists(
    st.builds(equals, st.integers(0, 2), st.integers(0, 3)),
    max_size=2,
    unique_by=lambda each: str(each["index"]),
)
RULES = st.lists(
    st.builds(
        lambda names, action, args: rule(*names, action=action, args=args),
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
        st.sampled_from((ALLOW, ERRNO, KILL, "SCMP_ACT_LOG")),
        CONDITIONS,
    ),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(
    RULES,
    st.sampled_from((ALLOW, ERRNO, KILL)),
    st.sampled_from(NAMES),
    st.none() | st.tuples(*[st.integers(0, 3)] * 3),
)
def test_what_is_advised_helps(
    rules: list[object], default: str, name: str, args: tuple[int, int, int] | None
) -> None:
    """Whatever the policy: the words name a change, and with it the filter allows the call."""
    policy: dict[str, object] = {"defaultAction": default, "syscalls": rules}
    denial = denied(name, "p", *(args or ()))
    if advice._permits(json.dumps(policy).encode(), denial):
        return
    working = [
        words
        for words, changed in advice.changes(policy, denial)
        if advice._permits(json.dumps(changed).encode(), denial)
    ]
    assert working
