# SPDX-License-Identifier: MIT
"""Denied calls that a supervisor answers: what it says of each, what comes of it, and what does without it."""

import errno
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from byhand import NATIVE, ByHand
from supervised import Supervised

from jail._native import lib
from jail.notifier import Notifier

if TYPE_CHECKING:
    from jails import Host

CALLS = ("call", "getppid", "-", "call", "sched_yield", "-")
KILLED = 128 + signal.SIGSYS
NOTIFY = ("--notify",)
# what loads no shim has the listener at door 1
STATIC = ("static-glibc", "static-musl")
KINDS = ("glibc", "musl", "script", *STATIC, "i386")

pytestmark = pytest.mark.skipif(
    not lib.notify_works(), reason="this kernel has no notifier (before Linux 5.6)"
)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_refused_call_gets_the_errno_of_the_policy(host: "Host", kind: str, tmp_path: Path) -> None:
    policy, log = host.policy("prctl"), tmp_path / "events"
    seen = host.probe("modes", *CALLS, kind=kind, options=[*NOTIFY, "-M", log, "-S", policy])
    assert (seen.status, seen["seccomp"]) == (0, "2"), seen
    assert (seen["call:getppid"], seen["call:sched_yield"]) == ("EXFULL", "EXFULL")
    told = [one for one in events(log) if one["syscall"] in ("getppid", "sched_yield")]
    assert [(one["syscall"], one["errno"]) for one in told] == [
        ("getppid", errno.EXFULL),
        ("sched_yield", errno.EXFULL),
    ]
    abi = "i386" if kind == "i386" else NATIVE
    assert {(one["source"], one["abi"], one["policy"]) for one in told} == {("notifier", abi, str(policy))}
    assert host.probe(*CALLS, kind=kind, options=["--no-default-filter"])["call:getppid"] == "ok"


@pytest.mark.parametrize("kind", ["glibc", *STATIC])
def test_listener_is_gone_before_main_though_the_policy_forbids_its_end(host: "Host", kind: str) -> None:
    """close is not in the policy, and the shim closes its copy all the same: the supervisor lets that one pass."""
    policy = host.policy(
        *("openat", "open", "read", "getdents64", "fstat", "fstat64", "newfstatat", "statx"),
        "readlinkat",
        "readlink",
    )
    close = lib.call_number(NATIVE.encode(), b"close")
    seen = host.probe("fds", "call", close, "9", kind=kind, options=[*NOTIFY, "-p", "-S", policy])
    assert seen.all("fd") and seen[f"call:{close}"] == "EXFULL"
    assert not any("seccomp" in line for line in seen.all("fd")), seen


@pytest.mark.parametrize("kind", ["glibc", *STATIC])
def test_forbidden_call_kills_by_sigsys_and_is_explained(host: "Host", kind: str) -> None:
    policy = host.policy("prctl", default="SCMP_ACT_KILL_PROCESS")
    seen = host.probe("modes", *CALLS, kind=kind, options=[*NOTIFY, "-S", policy])
    assert seen.status == KILLED and seen["seccomp"] == "2" and not seen.all("call:getppid")
    assert "was killed for getppid" in seen.err and str(policy) in seen.err


def test_who_ignores_sigsys_is_killed_nevertheless(host: "Host") -> None:
    policy = host.policy("rt_sigaction", default="SCMP_ACT_KILL_PROCESS")
    seen = host.probe("ignore", signal.SIGSYS, *CALLS, options=[*NOTIFY, "-S", policy])
    assert seen.status == 128 + signal.SIGKILL and not seen.all("call:getppid"), seen


@pytest.mark.parametrize("startup", [None, ["brk"]])
def test_exec_that_fails_is_told_where_door_1_listens(host: "Host", startup: list[str] | None) -> None:
    """Also where its end is a call that the policy refuses, which nobody answers."""
    policy, program, other = host.policy("read"), host.folder / "replaced", host.folder / "damaged"
    policy.write_text(json.dumps(json.loads(policy.read_text()) | ({"startup": startup} if startup else {})))
    shutil.copyfile(host.probes["static-musl"], program)
    program.chmod(0o755)
    other.write_text("no program any more")
    other.chmod(0o755)
    request = {
        "argv": [*NOTIFY, "-S", str(policy), "--", str(program)],
        "spec": {"isolate": False, "stub": False},
        "replace": [str(program), str(other)],
    }
    seen = host.run(sys.executable, "-I", Path(__file__).with_name("driver.py"), json.dumps(request))
    report = json.loads(seen.err)
    assert report["launches"] == [{"failed": f"execute {program}", "errno": errno.ENOEXEC, "status": 126}]
    assert report["unchanged"]


def test_second_listener_is_refused_at_door_1(host: "Host") -> None:
    """All filters of a process have one: under somebody else's the start is refused."""
    policy = host.folder / "nothing.json"
    rule = {"names": ["sched_yield"], "action": "SCMP_ACT_ERRNO"}
    policy.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    words = ("-n", "t", *NOTIFY, "-S", host.policy("read"), "--", host.probes["static-musl"])
    made = ByHand(host, policy, *words, program=host.ujail)
    made.serve_until(lambda: made.process.poll() is not None)
    made.notifier.close()
    out = made.finish()
    assert made.process.returncode == 125 and "the filter of door 1, with a listener" in out, out
    assert out.endswith("Device or resource busy\n")


def test_process_that_did_not_ask_is_not_killed(host: "Host") -> None:
    """Its pid was that of one which did: the call that waited is gone with it."""
    stranger = host.start("stay")
    host.wait_ready(stranger)
    assert lib.notify_kill(-1, 1, stranger.pid, signal.SIGKILL) == -errno.ENOENT
    assert host.finish(stranger).status == 0
    assert lib.notify_kill(-1, 1, stranger.pid, signal.SIGKILL) == -errno.ESRCH


def test_whole_process_is_killed_for_the_call_of_a_thread(host: "Host") -> None:
    if not (python := shutil.which("python3", path="/usr/bin:/bin")):
        pytest.skip("no python3 of the system")
    code = (
        "import os, threading; t = threading.Thread(target=os.getppid); t.start(); t.join(); print('alive')"
    )
    policy = host.folder / "no-getppid.json"
    for action, status in (("SCMP_ACT_KILL_PROCESS", KILLED), ("SCMP_ACT_ERRNO", 0)):
        rule = {"names": ["getppid"], "action": action}
        policy.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
        words = ("-n", "t", *NOTIFY, "-p", "-r", "/usr/lib", "-S", policy, "--", python, "-ISc", code)
        seen = host.jail(*words)
        assert (seen.status, seen.out) == (status, "" if status else "alive\n"), seen


@pytest.mark.parametrize("kind", ["glibc", *STATIC, "i386"])
def test_complaining_supervisor_lets_all_pass_and_tells(host: "Host", tmp_path: Path, kind: str) -> None:
    policy, log = host.policy(default="SCMP_ACT_KILL_PROCESS"), tmp_path / "events"
    seen = host.probe(*CALLS, kind=kind, options=[*NOTIFY, "-m", "complain", "-M", log, "-S", policy])
    assert (seen.status, seen["call:getppid"], seen["call:sched_yield"]) == (0, "ok", "ok"), seen
    assert {"getppid", "sched_yield"} <= {one["syscall"] for one in events(log) if one["action"] == "log"}


@pytest.mark.parametrize("mode", ["enforce", "complain"])
def test_log_of_events_from_whatever_source_there_is(host: "Host", tmp_path: Path, mode: str) -> None:
    """Records where the kernel writes them, the notifier where not. A flood of others' may hide a record."""
    policy, log = host.policy(), tmp_path / "events"
    for _ in range(5):
        seen = host.probe(*CALLS, options=["-m", mode, "-M", log, "-S", policy])
        assert seen["call:getppid"] == ("ok" if mode == "complain" else "EXFULL")
        if "getppid" in log.read_text():
            break
    told = next(one for one in events(log) if one["syscall"] == "getppid")
    assert told["action"] == ("log" if mode == "complain" else "errno")
    assert log.stat().st_mode & 0o777 == 0o600


def test_log_of_events_is_no_other_file(host: "Host", tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("kept\n")
    link.symlink_to(target)
    seen = host.probe("ids", options=["-M", link, "-S", host.policy()])
    assert seen.status == 125 and str(link) in seen.err and not seen.out
    assert target.read_text() == "kept\n"


def test_ujail_that_listens_is_as_ujail_that_waits(host: "Host") -> None:
    """Statuses, signals, and its death is the jail's."""
    options = [
        *NOTIFY,
        "-S",
        host.policy("rt_sigaction", "rt_sigprocmask", "rt_sigtimedwait", "rt_sigtimedwait_time64"),
    ]
    assert host.probe("exit", 7, options=options).status == 7
    process = host.spawn(host.ujail, "-n", "x", *options, "--", host.probes["glibc"], "name-signals")
    host.wait_ready(process)
    for number in (signal.SIGHUP, signal.SIGWINCH, signal.SIGTERM):
        process.send_signal(number)
        assert process.stdout is not None and process.stdout.readline() == f"signal {int(number)}\n"
    assert host.finish(process).status == 0


def test_without_the_supervisor_denied_calls_fail(host: "Host") -> None:
    made = ByHand(host, host.policy("read"), *CALLS, "stay", *CALLS)
    made.serve_until(lambda: [one.call for one in made.told][-2:] == ["getppid", "sched_yield"])
    made.notifier.close()
    out = made.finish().splitlines()
    assert out[:2] == [f"call:getppid errno {errno.EXFULL}", f"call:sched_yield errno {errno.EXFULL}"]
    assert out[-2:] == [f"call:getppid errno {errno.ENOSYS}", f"call:sched_yield errno {errno.ENOSYS}"]
    assert made.process.returncode == 0


def test_errors_that_are_none_and_policies_that_changed(host: "Host") -> None:
    """ERRNO 0 is success without the deed. A file that allows by now changes nothing of what is in force."""
    policy = host.policy("read")
    text = json.loads(policy.read_text())
    text["syscalls"].append({"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0})
    policy.write_text(json.dumps(text))
    made = ByHand(host, policy, *CALLS)
    made.serve_until(lambda: made.told and made.told[-1].call == "sched_yield")
    made.notifier.close()
    assert made.finish().splitlines()[:2] == ["call:getppid ok", f"call:sched_yield errno {errno.EXFULL}"]
    made = ByHand(host, host.policy("read"), *CALLS)
    other = Notifier(
        os.dup(made.fd),
        str(host.policy("read", "getppid")),
        NATIVE,
        made.process.pid,
        complains=False,
        tell=made.told.append,
    )
    other.close()
    made.notifier._judge = other._judge
    made.serve_until(lambda: made.told and made.told[-1].call == "sched_yield")
    made.notifier.close()
    assert made.finish().splitlines()[0] == f"call:getppid errno {errno.EPERM}"


@pytest.mark.parametrize("jail", [None, {"procfs": True}], ids=["plain", "jail"])
@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
def test_initd_answers_for_its_services(
    host: "Host", initd: Supervised, tmp_path: Path, kind: str, jail: Any
) -> None:
    policy, log = host.policy("read", "pause"), tmp_path / "events"
    table: dict[str, Any] = {
        "command": [str(host.probes[kind]), *CALLS, "hold"],
        "stdout": True,
        "seccomp": str(policy),
        "seccomp_notify": True,
        "seccomp_log": str(log),
    } | ({"jail": jail} if jail else {})
    initd.set("s", one=table)
    initd.wait_log("]: ready")
    assert f"call:getppid errno {errno.EXFULL}" in initd.log()
    initd.wait_log("was refused getppid")
    assert [one["syscall"] for one in events(log) if one["source"] == "notifier"][-2:] == [
        "getppid",
        "sched_yield",
    ]
    initd.set("s", one={**table, "seccomp_mode": "complain"})
    initd.wait_log("call:getppid ok")
    initd.wait_log("called getppid")
    deadly = host.policy("read", "pause", default="SCMP_ACT_KILL_PROCESS")
    initd.set("s", one={**table, "seccomp": str(deadly)})
    assert "(SIGSYS)" in initd.wait("s", state="stopped")["last_exit"]
    killed = events(log)[-1]
    assert (killed["syscall"], killed["action"], killed["source"]) == ("getppid", "kill_process", "notifier")
    initd.stop()


@pytest.mark.parametrize("jail", [None, {"procfs": True}], ids=["plain", "jail"])
@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
def test_initd_hears_each_service_by_its_own_listener(
    host: "Host", initd: Supervised, kind: str, jail: Any
) -> None:
    """What is to become the second service begins with a copy of the first one's."""
    for name, call in (("first", "getppid"), ("second", "sched_yield"), ("third", "getppid")):
        policy = host.policy("read", "pause", *({"getppid", "sched_yield"} - {call}))
        table: dict[str, Any] = {
            "command": [str(host.probes[kind]), *CALLS, "hold"],
            "seccomp": str(policy),
            "seccomp_notify": True,
        } | ({"jail": jail} if jail else {})
        initd.set(name, one=table)
        initd.wait_log(f"{name}::one: ")
        initd.wait_log(f"was refused {call}")
        assert f"{name}::one" in next(
            line for line in reversed(initd.log().splitlines()) if f"was refused {call}" in line
        )
    initd.stop()


def test_service_that_asks_without_end_does_not_hold_up_initd(host: "Host", initd: Supervised) -> None:
    # no shell: that of the guests is static, and nobody is asked for it
    script = "import os, contextlib\nwhile True:\n with contextlib.suppress(OSError): os.umask(18)"
    policy = host.folder / "no-umask.json"
    policy.write_text(
        json.dumps(
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
            }
        )
    )
    initd.set(
        "s", one={"command": [sys.executable, "-Ic", script], "seccomp": str(policy), "seccomp_notify": True}
    )
    initd.wait_log("was refused umask")
    began_s = time.monotonic()
    for _ in range(100):
        initd.call("list", name="s")
    assert time.monotonic() - began_s < (20 if "STOCKADE_GUEST" in os.environ else 4)
    assert initd.instance("s")["running"]
    initd.stop()


def test_module_is_not_needed_by_who_does_not_listen(host: "Host") -> None:
    code = "import sys, jail.ujail, jail.plan, jail.launch; print('jail.notifier' in sys.modules)"
    assert host.run(sys.executable, "-I", "-c", code).out == "False\n"
