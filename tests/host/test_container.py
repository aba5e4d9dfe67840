# SPDX-License-Identifier: MIT
"""In a container, a PID namespace below the first: the kernel's records are for others, and what names denied calls."""

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from initds import FIRST, Initd, Make, make

from jail._native import lib
from jail.silence import is_silent

if TYPE_CHECKING:
    from jails import Host

__all__ = ["make"]

KILLED = 128 + signal.SIGSYS
CALLS = ("call", "getppid", "-")
WEAK = ("setpriv", "--bounding-set", "-sys_ptrace")
pytestmark = pytest.mark.skipif(
    not lib.notify_works(), reason="this kernel has no notifier (before Linux 5.6)"
)


@pytest.mark.parametrize("mode", ["enforce", "complain"])
@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
def test_log_of_events_has_names(host: "Host", tmp_path: Path, mode: str, kind: str) -> None:
    log, policy = tmp_path / "events", host.policy()
    words = ("-n", "t", "-m", mode, "-M", log, "-S", policy, "--", host.probes[kind], *CALLS)
    seen = host.run(*FIRST, host.ujail, *words)
    assert seen["call:getppid"] == ("ok" if mode == "complain" else "EXFULL"), seen
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert "getppid" in [one["syscall"] for one in told if one["source"] == "notifier"]


def test_what_complains_is_told(host: "Host") -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    words = ("-n", "t", "-m", "complain", "-S", policy, "--", host.probes["glibc"], *CALLS)
    seen = host.run(*FIRST, host.ujail, *words)
    assert (seen.status, seen["call:getppid"]) == (0, "ok") and "called getppid" in seen.err, seen


@pytest.mark.skipif(bool(is_silent()), reason="this kernel writes no records")
def test_enforced_policy_is_the_kernels_and_a_death_says_where_its_name_is(host: "Host") -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    words = ("-n", "t", "-S", policy, "--", host.probes["glibc"], *CALLS)
    seen = host.run(*FIRST, host.ujail, *words)
    assert seen.status == KILLED and "in the host's log" in seen.err and "--notify" in seen.err, seen


def test_service_is_named_where_words_are_asked_for(host: "Host", make: Make) -> None:
    initd = make(prefix=FIRST)
    policy, log = str(host.policy(default="SCMP_ACT_KILL_PROCESS")), host.folder / "events"
    asked: dict[str, dict[str, object]] = {
        "notify": {"seccomp_notify": True},
        "log": {"seccomp_log": str(log)},
        "complain": {"seccomp_mode": "complain"},
        "plain": {},
    }
    command = [str(host.probes["glibc"]), *CALLS]
    for name, table in asked.items():
        whole = {"command": command, "jail": {"procfs": True}, "seccomp": policy, **table}
        initd.call("service", "set", name=name, instances={"a": whole})
    for name in ("notify", "log", "complain"):
        wait_for_line(host, initd, f"{name}::a: probe-glibc", " getppid(")
    host.until(lambda: log.exists() and '"getppid"' in log.read_text(), "an event in the file")
    if not is_silent():
        wait_for_line(host, initd, "plain::a: probe-glibc", "in the host's log")
        initd.wait_for("deaths by them are seen, and seccomp_notify names the calls")


def wait_for_line(host: "Host", initd: Initd, *parts: str) -> None:
    def is_there() -> bool:
        return any(all(part in line for part in parts) for line in initd.log.splitlines())

    host.until(is_there, f"a line with {parts}")


def test_who_may_not_take_the_listener_says_so(host: "Host") -> None:
    """It was looked for without end."""
    words = ("-n", "t", "--notify", "-U", "nobody", "-S", host.policy(), "--", host.probes["glibc"], *CALLS)
    seen = host.run(*WEAK, host.ujail, *words)
    assert (seen.status, seen.out) == (125, ""), seen
    assert "its denied calls cannot be heard: Permission denied" in seen.err, seen
    assert host.run(host.ujail, *words)["call:getppid"] == "EXFULL"


def test_where_it_may_not_be_taken_nobody_is_to_answer(host: "Host") -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    words = ("-n", "t", "-m", "complain", "-U", "nobody", "-S", policy, "--", host.probes["glibc"], *CALLS)
    seen = host.run(*FIRST, *WEAK, host.ujail, *words)
    assert (seen.status, seen["call:getppid"]) == (0, "ok"), seen
    assert "nobody is told of denied calls" in seen.err, seen
