# SPDX-License-Identifier: MIT
"""Services that initd traces: in their jails, and with a file at the end, however that comes."""

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from supervised import Supervised, wait_until
from utraced import DYNAMIC

from jail.cgroup import hierarchy

if TYPE_CHECKING:
    from jails import Host
    from probes import Probes

JAIL = {"procfs": True, "hostname": "traced"}
WORK = ("threads", 3, 40, "forks", 4, 5)


def command(program: Path, *verbs: object) -> list[str]:
    return [str(program), *map(str, verbs)]


def start(initd: Supervised, program: Path, *verbs: object, **table: Any) -> dict[str, Any]:
    """A traced instance that has said "ready", as it is listed."""
    initd.set("s", one={"command": command(program, *verbs), "trace": True, "stdout": True, **table})
    listed = initd.wait_running("s")
    initd.wait_log(f"{program.name}[{listed['pid']}]: ready")
    return initd.wait_running("s")


def stop(initd: Supervised) -> None:
    initd.call("delete", name="s")
    wait_until(lambda: initd.call("list") == {}, initd.log)


def read(listed: dict[str, Any]) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(Path(listed["trace_file"]).read_text())
    assert policy["syscalls"][0]["names"]
    return policy


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("kind", ["glibc", "musl", "static-musl"])
def test_traced_service_is_in_its_jail(host: "Host", busy: "Probes", initd: Supervised, kind: str) -> None:
    listed = start(initd, busy[kind], *WORK, "stay", jail=JAIL, user="nobody")
    seen = status(listed["service_pid"])
    assert len(seen["NSpid"]) == 2 and seen["NSpid"][1] == "2"  # behind the stub, as ever
    assert seen["Uid"] == ["65534"] * 4 and seen["CapEff"] == ["0" * 16]
    assert seen["TracerPid"] == [str(listed["pid"])]
    assert os.stat(f"/proc/{listed['service_pid']}/ns/mnt") != os.stat("/proc/self/ns/mnt")
    assert listed["seccomp_mode"] == "trace" and listed["trace"]
    stop(initd)
    policy = read(listed)
    assert policy["counts"]["getppid"] == 3 * 40 + 4 * 5
    [program] = policy["programs"].values()
    assert program["from"] == ("main" if kind in DYNAMIC else "entry")
    initd.wait_log(f"s::one: the trace is in {listed['trace_file']}")
    initd.stop()


def test_traced_service_is_root_of_its_user_namespace(
    host: "Host", busy: "Probes", initd: Supervised
) -> None:
    listed = start(initd, busy["glibc"], *WORK, "stay", jail={**JAIL, "userns": True}, user="nobody")
    seen = status(listed["service_pid"])
    assert seen["Uid"] == ["65534"] * 4 and seen["TracerPid"] == [str(listed["pid"])]
    assert os.stat(f"/proc/{listed['service_pid']}/ns/user") != os.stat("/proc/self/ns/user")
    assert Path(f"/proc/{listed['service_pid']}/uid_map").read_text().split() == ["0", "65534", "1"]
    stop(initd)
    assert read(listed)["counts"]["getppid"] == 3 * 40 + 4 * 5
    initd.stop()


def test_trace_becomes_the_policy(host: "Host", busy: "Probes", initd: Supervised) -> None:
    """Recorded in the jail, enforced in the jail; and what was not seen is denied."""
    listed = start(initd, busy["glibc"], *WORK, "stay", jail=JAIL)
    policy = listed["trace_file"]
    stop(initd)
    table = {
        "command": command(busy["glibc"], *WORK, "stay"),
        "jail": JAIL,
        "seccomp": policy,
        "stdout": True,
    }
    initd.set("s", one=table)
    held = initd.wait_running("s")
    initd.wait_log(f"{busy['glibc'].name}[{held['service_pid']}]: ready")
    assert held["seccomp_mode"] == "enforce" and "trace_file" not in held
    initd.set("s", one={**table, "command": command(busy["glibc"], "connect", "/none", "stay")})
    assert "(SIGSYS)" in initd.wait("s", state="stopped")["last_exit"]
    initd.stop()


def test_policy_is_not_in_force_and_that_is_said(host: "Host", busy: "Probes", initd: Supervised) -> None:
    listed = start(initd, busy["glibc"], *WORK, "stay", jail=JAIL, seccomp="/no/such/policy.json")
    assert listed["warnings"] == ["/no/such/policy.json is not in force while everything is recorded"]
    stop(initd)
    assert read(listed)["counts"]["getppid"]
    initd.stop()


@pytest.mark.parametrize("jail", [JAIL, None], ids=["jail", "plain"])
def test_service_that_does_not_heed_term(host: "Host", busy: "Probes", initd: Supervised, jail: Any) -> None:
    extra = {"jail": jail} if jail else {}
    program = host.probes["glibc"]
    listed = start(initd, program, "ignore", signal.SIGTERM, "hold", term_timeout=1, **extra)
    os.kill(listed["service_pid"], signal.SIGSTOP)
    stop(initd)
    assert read(listed)["counts"]["write"]
    initd.wait_log("s::one: still there 1 s after TERM: killed")
    initd.stop()


def test_crashes_leave_a_file_each(host: "Host", busy: "Probes", initd: Supervised) -> None:
    table = {"jail": JAIL, "respawn": ["3600", "0", "5"]}
    first = start(initd, busy["glibc"], "calls", 7, "stay", **table)
    os.kill(first["service_pid"], signal.SIGSEGV)
    second = initd.wait_running("s", other_than=first["pid"])
    initd.wait_log(f"{busy['glibc'].name}[{second['pid']}]: ready")
    assert second["last_exit"] == "signal 11 (SIGSEGV)"
    text = Path(first["trace_file"]).read_text()
    stop(initd)
    assert second["trace_file"] != first["trace_file"] and Path(first["trace_file"]).read_text() == text
    assert read(first)["counts"]["getppid"] == read(second)["counts"]["getppid"] == 7
    initd.stop()


def test_end_of_initd_leaves_the_file(host: "Host", busy: "Probes", initd: Supervised) -> None:
    listed = start(initd, busy["static-musl"], "calls", 7, "stay")
    initd.stop()
    assert read(listed)["counts"]["getppid"] == 7


@pytest.mark.parametrize("victim", ["tracer", "initd"])
def test_killed_tracer_takes_the_jail_along(
    host: "Host", busy: "Probes", initd: Supervised, victim: str
) -> None:
    listed = start(initd, busy["glibc"], "stay", jail=JAIL)
    if victim == "tracer":
        os.kill(listed["pid"], signal.SIGKILL)
        initd.wait_log("s::one: there is no trace: the tracer was killed")
        wait_until(lambda: not Path(listed["trace_file"]).exists(), lambda: "the empty file is there")
    else:
        initd.process.kill()
        initd.process.wait()
    for pid in (listed["pid"], listed["service_pid"]):
        wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), lambda: "it lives")  # type: ignore[misc]


def test_signals_and_pidfile_are_the_services(host: "Host", initd: Supervised, run_folder: Path) -> None:
    pidfile = run_folder / "traced.pid"
    program = host.probes["glibc"]
    listed = start(
        initd, program, "name-signals", jail={**JAIL, "pidfile": str(pidfile)}, reload_signal=signal.SIGWINCH
    )
    assert pidfile.read_text() == f"{listed['service_pid']}\n"
    for number in (signal.SIGHUP, signal.SIGWINCH):
        initd.call("signal", name="s", signal=int(number))
        initd.wait_log(f"]: signal {int(number)}")
    stop(initd)
    assert not pidfile.exists()
    initd.stop()


def test_what_cannot_start_says_so_and_leaves_nothing(
    host: "Host", busy: "Probes", initd: Supervised, run_folder: Path
) -> None:
    script = run_folder / "script"
    script.write_bytes(b"\x7fELF but not quite")
    script.chmod(0o755)
    initd.set("s", one={"command": [str(script)], "trace": True}, two={"command": ["/none"], "trace": True})
    assert initd.wait("s", state="stopped")["last_exit"] == "exit status 126"
    initd.wait_log("s::one: cannot start: execute ")
    assert initd.instance("s", "two")["failed"] == "cannot start: /none: no such program"
    assert not list((initd.folder / "tmp").iterdir())
    initd.stop()


def test_several_instances_and_back_to_normal(host: "Host", busy: "Probes", initd: Supervised) -> None:
    one = {"command": command(busy["glibc"], "calls", 3, "stay"), "stdout": True, "jail": JAIL}
    two = {"command": command(busy["static-musl"], "calls", 4, "stay"), "stdout": True}
    initd.set("s", one=one, two=two)
    before = {name: initd.wait_running("s", name)["pid"] for name in ("one", "two")}
    # one that is ended before it says so would be waited for below
    wait_until(lambda: initd.log().count(": ready") == 2, initd.log)
    initd.set("s", one={**one, "trace": True}, two={**two, "seccomp_mode": "trace"})
    traced = [initd.wait_running("s", name, other_than=pid) for name, pid in before.items()]
    wait_until(lambda: initd.log().count(": ready") >= 4, initd.log)
    initd.set("s", one=one, two=two)
    after = initd.wait_running("s", other_than=traced[0]["pid"])
    assert status(after["service_pid"])["TracerPid"] == ["0"]
    initd.wait_running("s", "two", other_than=traced[1]["pid"])
    assert [read(listed)["counts"]["getppid"] for listed in traced] == [3, 4]
    initd.stop()


def test_trace_without_a_file_leaves_no_group(busy: "Probes", initd: Supervised, tmp_path: Path) -> None:
    """/tmp/NAME.json.PID is longer than a name can be."""
    if not hierarchy():
        pytest.skip("no version 2 hierarchy is mounted")
    program = tmp_path / ("x" * 250)
    program.symlink_to(busy["glibc"])
    group = Path(hierarchy(), "services", "s")
    limits = {"cgroup.max.depth": "1"}
    initd.set("s", one={"command": [str(program)], "trace": True, "cgroup": limits})
    initd.wait_log("File name too long")
    wait_until(lambda: initd.instance("s")["state"] == "failed", initd.log)
    assert not group.exists()
    initd.set("t", one={"command": command(busy["glibc"], "stay"), "trace": True, "cgroup": limits})
    initd.wait_running("t")
    assert (group.parent / "t/one").exists()
    for name in "st":
        initd.call("delete", name=name)
    wait_until(lambda: initd.call("list") == {}, initd.log)
    assert not group.parent.exists()
