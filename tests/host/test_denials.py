# SPDX-License-Identifier: MIT
"""Calls that a policy denies to services of a real initd: a line and fields for each, and for no other call."""

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from supervised import Supervised, wait_until

from initd.denials import LINES_MAX
from jail import silence

if TYPE_CHECKING:
    from jails import Host

pytestmark = pytest.mark.usefixtures("room_for_records")
JAIL = {"procfs": True}
# what fork(2) is made of, and wait(2), wherever
FORKING = (
    "clone",
    "clone3",
    "fork",
    "wait4",
    "waitpid",
    "rt_sigprocmask",
    "set_robust_list",
    "gettid",
    "rseq",
)
KILL, ERRNO, TRAP, LOG = (f"SCMP_ACT_{name}" for name in ("KILL_PROCESS", "ERRNO", "TRAP", "LOG"))
is_silent = bool(silence.no_records())  # this kernel writes no records, or not for us
is_asked = bool(silence.is_silent()) and silence.needs_supervisor()  # in a container only if it is told to
# of what a kernel without records kills for, initd knows as much as it asks the filter itself
KILLED_FOR = "was killed for getppid(" if is_asked else "was killed for a system call that"


def hear(initd: Supervised) -> list[dict[str, Any]]:
    """What subscribers of `service` are told of denied calls, from now on."""
    heard: list[dict[str, Any]] = []

    def take(name: str, data: Any) -> None:
        if name == "jail.denied":
            heard.append(dict(data))

    initd.session.subscribe(["service"], take)
    return heard


def start(
    initd: Supervised, host: "Host", policy: Path, *verbs: object, jail: Any = JAIL, kind: str = "glibc"
) -> None:
    table: dict[str, Any] = {"command": [str(host.probes[kind]), *map(str, verbs)], "seccomp": str(policy)}
    initd.set("s", one=table | {"stdout": True} | ({"jail": jail} if jail else {}))


def denials(initd: Supervised) -> list[str]:
    """The lines about denied calls."""
    return [line for line in initd.log().splitlines() if "does not allow" in line]


@pytest.mark.parametrize("jail", [None, JAIL], ids=["plain", "jail"])
@pytest.mark.parametrize("action", [KILL, ERRNO, TRAP, LOG])
def test_each_action_is_told(host: "Host", initd: Supervised, action: str, jail: Any) -> None:
    policy = host.policy("pause", "rt_sigsuspend", "ppoll", default=action)
    heard = hear(initd)
    start(initd, host, policy, "call", "getppid", "-", "call", "sched_yield", "-", "exit", 0, jail=jail)
    listed = initd.wait("s", state="stopped")
    is_dead = action in (KILL, TRAP)
    assert listed["last_exit"] == (f"signal {signal.SIGSYS} (SIGSYS)" if is_dead else "exit status 0")
    if is_silent:
        check_silent(initd, action)
        return
    wanted = ["getppid"] if is_dead else ["getppid", "sched_yield"]
    initd.session.work_until(lambda: len(heard) >= len(wanted), 10)
    deed = {KILL: "was killed for", TRAP: "got SIGSYS for", ERRNO: "was refused", LOG: "called"}[action]
    lines = denials(initd)
    assert [data["syscall"] for data in heard] == wanted and len(lines) == len(wanted), initd.log()
    for line, data in zip(lines, heard, strict=True):
        call = data["syscall"]
        assert f"s::one: probe-glibc[{data['pid']}] {deed} {call} (" in line
        assert line.endswith(f'to allow it, add "{call}" to the "names" of its rule 1 (SCMP_ACT_ALLOW)')
        assert (data["service"], data["instance"], data["policy"]) == ("s", "one", str(policy))
        assert data["message"] in line
    listed = initd.instance("s")
    assert listed["denials"] == len(wanted) and f"{deed} {wanted[-1]} (" in listed["last_denial"]
    assert "wrote no record" not in initd.log()
    initd.stop()


def check_silent(initd: Supervised, action: str) -> None:
    """On a kernel without records a death is all that there is to see; for which call, if initd is asked."""
    initd.wait_log("the kernel has no records of denied calls for us")
    if action in (KILL, TRAP):
        told = KILLED_FOR if action == KILL else "was killed for a system call that"
        initd.wait_log("s::one: probe-glibc[")
        initd.wait_log(told)
        assert told in initd.instance("s")["last_denial"]
    initd.stop()


@pytest.mark.skipif(is_silent and not is_asked, reason="this kernel writes no records and has no notifier")
@pytest.mark.parametrize("jail", [None, JAIL], ids=["plain", "jail"])
@pytest.mark.parametrize("action", [KILL, ERRNO])
def test_static_program_is_told_of_too(host: "Host", initd: Supervised, action: str, jail: Any) -> None:
    """It loads no shim: where there are no records, door 1 asks."""
    policy = host.policy("pause", "rt_sigsuspend", "ppoll", default=action)
    start(initd, host, policy, "call", "getppid", "-", "call", "write", "-", jail=jail, kind="static-musl")
    listed = initd.wait("s", state="stopped")
    is_dead = action == KILL
    assert listed["last_exit"] == (f"signal {signal.SIGSYS} (SIGSYS)" if is_dead else "exit status 0")
    deed = "was killed for" if is_dead else "was refused"
    initd.wait_log(f" {deed} getppid (" if not is_silent else f" {deed} getppid(")
    [line] = [line for line in denials(initd) if "getppid" in line]
    assert "s::one: probe-static-m" in line and line.endswith(
        'to allow it, add "getppid" to the "names" of its rule 1 (SCMP_ACT_ALLOW)'
    )
    initd.stop()


def test_what_is_allowed_gives_no_line(host: "Host", initd: Supervised) -> None:
    start(
        initd, host, host.policy("getppid", "sched_yield"), "call", "getppid", "-", "call", "sched_yield", "-"
    )
    initd.wait("s", state="stopped", last_exit="exit status 0")
    initd.wait_log("call:sched_yield ok")
    assert denials(initd) == [] and "last_denial" not in initd.instance("s")
    initd.stop()


@pytest.mark.skipif(is_silent, reason="this kernel writes no records")
@pytest.mark.parametrize("jail", [None, JAIL], ids=["plain", "jail"])
@pytest.mark.parametrize("action", [KILL, ERRNO])
def test_a_child_that_is_gone_is_the_services_too(
    host: "Host", initd: Supervised, action: str, jail: Any
) -> None:
    policy = host.policy(*FORKING, default=action)
    start(initd, host, policy, "fork", "call", "getppid", "-", jail=jail)
    initd.wait_log(f"forked {128 + signal.SIGSYS if action == KILL else 0}")
    initd.wait_log(" getppid (")
    assert denials(initd)[0].count("s::one: probe-glibc[") == 1
    initd.stop()


@pytest.mark.skipif(is_silent, reason="this kernel writes no records")
def test_a_flood_has_few_lines_and_a_count(host: "Host", initd: Supervised) -> None:
    policy = host.policy()
    start(initd, host, policy, "flood", "getppid", 20000, "call", "sched_yield", "-", "exit", 0)
    initd.wait("s", state="stopped", last_exit="exit status 0")
    wait_until(lambda: initd.instance("s").get("denials", 0) > 50, initd.log)
    assert len(denials(initd)) <= LINES_MAX
    began_s = time.monotonic()
    initd.call("list")
    assert time.monotonic() - began_s < 1, "a flood holds up nobody"
    initd.stop()
    assert len(initd.log().splitlines()) < 30


def test_closed_sources_are_told_once_and_deaths_are_seen(host: "Host", folder: Path) -> None:
    """Without the capabilities for audit and, where it wants one, for the kernel log."""
    poorer = folder / "poorer"
    program = Path(host.ujail).with_name("initd")
    poorer.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -syslog,-audit_read {program} "$@"\n')
    poorer.chmod(0o755)
    initd = Supervised(poorer, folder)
    try:
        for _ in range(2):
            start(initd, host, host.policy(default=KILL), "call", "getppid", "-")
            wait_until(lambda: "last_denial" in initd.instance("s"), initd.log)
            initd.call("delete", name="s")
        said = (
            "for us: those of mips"
            if is_silent
            else "records of denied calls: audit: Operation not permitted"
        )
        assert initd.log().count(said) == 1
        assert " was killed for " in denials(initd)[0]
        initd.stop()
    finally:
        initd.close()


@pytest.mark.skipif(is_silent, reason="this kernel writes no records")
def test_two_services_are_told_apart(host: "Host", initd: Supervised) -> None:
    policy = str(host.policy())
    command = [str(host.probes["glibc"]), "call"]
    initd.set("a", one={"command": [*command, "getppid", "-"], "seccomp": policy, "jail": JAIL})
    initd.set("b", one={"command": [*command, "sched_yield", "-"], "seccomp": policy, "jail": JAIL})
    initd.wait_log("a::one: probe-glibc[")
    initd.wait_log("b::one: probe-glibc[")
    assert "was refused getppid" in initd.instance("a")["last_denial"]
    assert "was refused sched_yield" in initd.instance("b")["last_denial"]
    initd.stop()


def ask_why(host: "Host", name: str, socket: str) -> list[str]:
    asked = host.run(
        Path(host.ujail).with_name("jailctl"), "why", name, env={**os.environ, "UBUS_SOCKET": socket}
    )
    assert asked.status == 0, asked
    return asked.out.splitlines()


def test_why_says_it_in_two_lines(host: "Host", initd: Supervised) -> None:
    policy = host.policy(default=KILL)
    start(initd, host, policy, "call", "getppid", "-")
    wait_until(lambda: "last_denial" in initd.instance("s"), initd.log)
    ended, denied = ask_why(host, "s", initd.socket)
    assert ended == f"s::one: stopped; its last process ended with signal {signal.SIGSYS} (SIGSYS)"
    told = KILLED_FOR if is_silent else "was killed for getppid ("
    assert denied.startswith("s::one: probe-glibc[") and f" {told}" in denied
    assert "getppid" not in told or 'add "getppid" to the "names" of its rule 1' in denied

    allowed = json.loads(policy.read_text())
    allowed["syscalls"][0]["names"].append("getppid")  # what it has said
    policy.write_text(json.dumps(allowed))
    start(initd, host, policy, "call", "getppid", "-", "exit", 0)
    initd.wait("s", state="stopped", last_exit="exit status 0")
    initd.stop()


@pytest.mark.skipif(is_silent, reason="this kernel writes no records")
def test_why_finds_a_jail_of_ujail(host: "Host") -> None:
    policy = host.policy("read")
    lines: list[str] = []

    def is_found() -> bool:
        """The kernel log takes ten records in five seconds, and others may have had them."""
        process = host.start("call", "getppid", "-", "stay", options=["-S", policy])
        host.wait_ready(process)
        lines[:] = ask_why(host, "t", "/no/such/socket")
        host.finish(process)
        return "getppid" in lines[-1]

    wait_until(is_found, lambda: lines)
    running, denied = lines
    assert running.startswith("t: running, pid ") and running.endswith(f", held by {policy}")
    assert denied.startswith("t: probe-glibc[") and " was refused getppid (" in denied


@pytest.mark.skipif(is_silent, reason="this kernel writes no records")
@pytest.mark.parametrize(
    ("action", "mode", "deed"),
    [
        (KILL, "enforce", "was killed for"),
        (ERRNO, "enforce", "was refused"),
        (KILL, "complain", "called"),
        (ERRNO, "complain", "called"),
    ],
)
def test_ujail_tells_of_children_when_it_is_asked_for_words(
    host: "Host", action: str, mode: str, deed: str
) -> None:
    policy = host.policy(*FORKING, default=action)
    ended = f"forked {128 + signal.SIGSYS if deed == 'was killed for' else 0}"
    errors: list[str] = []

    def is_told() -> bool:
        """As above. Another test's jail may have ended less than a second ago."""
        seen = host.probe("fork", "call", "getppid", "-", options=("-d", "1", "-m", mode, "-S", policy))
        assert seen.status == 0 and ended in seen.out, seen
        errors[:] = [line for line in seen.err.splitlines() if " getppid (" in line]
        return bool(errors)

    wait_until(is_told, lambda: errors)
    [line] = errors
    assert line.startswith("ujail: t: perhaps one of its processes: probe-glibc[")
    assert f" {deed} getppid (" in line and 'add "getppid" to the "names" of its rule 1' in line
    quiet = host.probe("fork", "call", "getppid", "-", options=("-S", policy))
    assert "perhaps" not in quiet.err
    allowed = host.probe(
        "fork", "call", "getppid", "-", options=("-d", "1", "-S", host.policy(*FORKING, "getppid"))
    )
    assert " getppid (" not in allowed.err, allowed
