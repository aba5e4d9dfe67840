# SPDX-License-Identifier: MIT
"""Modes of a policy: what complains lets everything pass, at both doors, and is still refused where it is wrong."""

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from supervised import Supervised

from jail import silence
from jail._native import lib
from jail.plan import make_plan
from jail.spec import JailSpec

if TYPE_CHECKING:
    from jails import Host

KINDS = ("glibc", "musl", "static-glibc", "static-musl", "i386", "script")
CALLS = ("call", "getppid", "-", "call", "sched_yield", "-")
JAIL = {"procfs": True}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("default", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"])
def test_what_complains_denies_nothing(host: "Host", kind: str, default: str) -> None:
    policy = host.policy(default=default)
    seen = host.probe("modes", *CALLS, kind=kind, options=["-m", "complain", "-S", policy])
    assert seen.status == 0, seen
    assert (seen["seccomp"], seen["no_new_privs"]) == ("2", "1")
    assert (seen["call:getppid"], seen["call:sched_yield"]) == ("ok", "ok")
    assert f"warning: {policy} complains only" in seen.err
    enforced = host.probe("modes", *CALLS, kind=kind, options=["-m", "enforce", "-S", policy])
    assert enforced.status != 0 or enforced["call:getppid"] == "EXFULL"


@pytest.mark.parametrize("kind", ["musl", "static-musl"])
def test_program_whose_denials_nobody_hears_is_warned_of(
    host: "Host", monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Where the kernel writes no records and is too old for a supervisor."""

    def warnings(notify: bool) -> list[str]:
        spec = JailSpec("t", [str(host.probes[kind])])
        spec.mode, spec.notify = "complain", notify
        spec.hold(str(host.policy("read")))
        return [line for line in make_plan(spec).all_warnings() if "nobody is told" in line]

    monkeypatch.setattr(silence, "is_silent", lambda: "those of mips write none")
    [line] = warnings(notify=False)
    assert line.endswith("lets nobody answer them; mode trace records what it calls")
    if lib.notify_works():
        assert warnings(notify=True) == []
    monkeypatch.setattr(silence, "is_silent", lambda: "")
    assert warnings(notify=False) == []


def test_policy_that_is_wrong_or_missing_does_not_complain_but_stop(host: "Host", tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"defaultAction": "SCMP_ACT_NOPE"}')
    for policy in (wrong, tmp_path / "missing.json"):
        seen = host.probe("ids", options=["-m", "complain", "-S", policy])
        assert seen.status == 125 and str(policy) in seen.err and not seen.out
    assert "no policy that could complain" in host.probe("ids", options=["-m", "complain"]).err
    assert (
        "no mode 'complian': did you mean \"complain\"" in host.probe("ids", options=["-m", "complian"]).err
    )


def test_services_own_environment_opens_no_door(host: "Host", initd: Supervised) -> None:
    """Door 2 reads its mode from a variable: one that a script sets is not it.

    Door 1 lets the start-up calls pass, getpid among them: door 2 alone denies it.
    """
    policy = host.policy()
    calls = (*CALLS, "call", "getpid", "-")
    seen = host.probe(*calls, options=["-e", "SECCOMP_MODE=complain", "-S", policy])
    assert (seen["call:getppid"], seen["call:getpid"]) == ("EXFULL", "EXFULL")
    assert host.probe(*calls, options=["-m", "complain", "-S", policy])["call:getpid"] == "ok"
    command = [str(host.probes["glibc"]), *calls]
    table = {"command": command, "stdout": True, "seccomp": str(policy), "env": {"SECCOMP_MODE": "complain"}}
    initd.set("s", one=table)
    initd.wait_log(f"call:getpid errno {errno.EXFULL}")
    initd.stop()


def test_service_that_complains_is_listed_and_logged(host: "Host", initd: Supervised) -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    table = {"command": [str(host.probes["glibc"]), *CALLS, "hold"], "stdout": True, "seccomp": str(policy)}
    initd.set("s", one={**table, "seccomp_mode": "complain", "jail": JAIL})
    listed = initd.wait_running("s")
    initd.wait_log("]: ready")
    assert "call:getppid ok" in initd.log()
    assert listed["seccomp_mode"] == "complain"
    assert listed["warnings"] == [f"{policy} complains only: what it denies is logged, and allowed"]
    initd.set("s", one={**table, "seccomp_mode": "enforce", "jail": JAIL})
    assert "(SIGSYS)" in initd.wait("s", state="stopped")["last_exit"]
    initd.set("s", one={**table, "seccomp_mode": "complian"})
    assert initd.instance("s")["errors"] == ['seccomp_mode: no mode complian: did you mean "complain"?']
    initd.stop()


def test_shim_by_hand_knows_the_mode_and_refuses_another(host: "Host", tmp_path: Path) -> None:
    import importlib.util

    found = importlib.util.find_spec("jail._native")
    assert found and found.origin
    shim = str(Path(found.origin).parent / "libpreload-seccomp.so")
    env = {"SECCOMP_FILE": str(host.policy()), "LD_PRELOAD": shim}
    for mode, expected in (("enforce", "EXFULL"), ("complain", "ok")):
        seen = host.run(host.probes["glibc"], *CALLS, "env", env={**env, "SECCOMP_MODE": mode})
        assert seen["call:getppid"] == expected and not seen.all("env")
    seen = host.run(host.probes["glibc"], *CALLS, env={**env, "SECCOMP_MODE": "lenient"})
    assert (seen.status, seen.out) == (127, "") and "SECCOMP_MODE: unknown" in seen.err
    assert json.loads(Path(env["SECCOMP_FILE"]).read_text())


def test_audit_names_what_could_be_held_better(host: "Host", initd: Supervised) -> None:
    policy = host.policy("read")
    command = [str(host.probes["glibc"]), "hold"]
    held = {"seccomp": str(policy), "seccomp_mode": "complain", "user": "nobody", "jail": JAIL}
    initd.set("s", plain={"command": command}, lax={"command": command, **held})
    for name in ("plain", "lax"):
        initd.wait_running("s", name)
    jailctl = Path(host.ujail).with_name("jailctl")
    seen = host.run(jailctl, "audit", env={**os.environ, "UBUS_SOCKET": initd.socket})
    lines = {line.split("\t")[0]: line.split("\t")[2] for line in seen.out.splitlines()}
    assert seen.status == 1, seen
    assert lines["s::lax"] == "its policy is in mode complain: nothing is denied"
    assert lines["s::plain"].startswith(
        "no filter: every system call is allowed; no namespaces of its own: mnt, pid"
    )
    initd.stop()
