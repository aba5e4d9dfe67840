# SPDX-License-Identifier: MIT
"""Services of a real initd, with real processes: their whole life over ubus, and the ways in which it goes wrong."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from supervised import SLOWER, Supervised, status_of_call, wait_until

from initd.ubus import wire

if TYPE_CHECKING:
    from jails import Host

JAIL = {"procfs": True, "sysfs": True}
RESPAWN = ["3600", "0", "5"]


def probe(host: "Host", *verbs: object) -> list[str]:
    return [str(host.probes["glibc"]), *map(str, verbs)]


def is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("jail", [None, JAIL], ids=["plain", "jail"])
def test_the_whole_life_of_a_service(host: "Host", initd: Supervised, folder: Path, jail: Any) -> None:
    notes: list[tuple[str, dict[str, Any]]] = []
    initd.session.subscribe(["service"], lambda name, data: notes.append((name, dict(data))))
    pidfile = folder / "d.pid"
    table: dict[str, Any] = {"command": probe(host, "hold"), "respawn": RESPAWN, "pidfile": str(pidfile)}
    table |= {"stdout": True} | ({"jail": jail} if jail else {})
    initd.set("s", one=table)
    first = initd.wait_running("s")
    assert pidfile.read_text() == f"{first['pid']}\n"
    assert ("service_pid" in first) == bool(jail)
    initd.wait_log(f"probe-glibc[{first.get('service_pid', first['pid'])}]: ready")

    initd.set("s", one=table)
    assert initd.instance("s")["pid"] == first["pid"]

    os.kill(first.get("service_pid", first["pid"]), signal.SIGKILL)
    second = initd.wait_running("s", other_than=first["pid"])
    assert second["crashes"] == 1 and second["last_exit"] == "signal 9 (SIGKILL)"
    initd.wait_log("s::one: ended after ")

    initd.set("s", one={**table, "env": {"A": "1"}})
    third = initd.wait_running("s", other_than=second["pid"])
    assert third["env"] == {"A": "1"} and pidfile.read_text() == f"{third['pid']}\n"
    service_pid = third.get("service_pid", third["pid"])
    assert b"A=1" in Path(f"/proc/{service_pid}/environ").read_bytes().split(b"\0")

    initd.call("delete", name="s")
    wait_until(lambda: initd.call("list") == {}, initd.log)
    assert not any(is_alive(one["pid"]) for one in (first, second, third)) and not pidfile.exists()
    initd.session.work_until(lambda: len(notes) >= 9)
    both = {"service": "s", "instance": "one"}
    crash = {**both, "pid": first["pid"], "exit_code": 137, "respawn_count": 1, "command": table["command"]}
    assert notes == [
        ("instance.start", both),
        ("service.start", {"service": "s"}),
        ("instance.stop", both),
        ("instance.respawn", crash),
        ("instance.start", both),
        ("instance.stop", both),
        ("instance.start", both),
        ("instance.stop", both),
        ("service.stop", {"service": "s"}),
    ]
    initd.stop()


def test_a_crash_loop_ends_and_says_why(host: "Host", initd: Supervised) -> None:
    initd.set("s", one={"command": probe(host, "exit", 3), "respawn": ["3600", "0", "1"]})
    listed = initd.wait("s", state="failed")
    assert listed["failed"].startswith("crash loop: 2 crashes, 0 seconds since the last: ended after")
    assert (listed["exit_code"], listed["last_exit"]) == (3, "exit status 3")
    assert listed["respawn"] == {"threshold": 3600, "timeout": 0, "retry": 1}
    initd.wait_log("s::one: given up: crash loop: 2 crashes")
    initd.stop()


def test_what_cannot_be_started(host: "Host", initd: Supervised, folder: Path) -> None:
    bad_policy = folder / "bad.json"
    bad_policy.write_text("{")
    good = probe(host, "hold")
    wrong: dict[str, dict[str, Any]] = {
        "program": {"command": ["/no/such/program"]},
        "policy": {"command": good, "seccomp": str(folder / "none.json")},
        "text": {"command": good, "seccomp": str(bad_policy), "jail": JAIL},
        "capabilities": {"command": good, "capabilities": str(folder / "none.json")},
    }
    faulty: dict[str, dict[str, Any]] = {
        "user": {"command": good, "user": "no-such-user"},
        "bundle": {"command": good, "bundle": "/b"},
        "type": {"command": good, "seccomp": ["x"]},
    }
    initd.set("s", **wrong, **faulty, fine={"command": good})
    initd.wait_running("s", "fine")
    for name in wrong:
        listed = initd.instance("s", name)
        assert (listed["state"], listed["running"]) == ("failed", False)
        assert listed["failed"].startswith("cannot start: ")
    for name in faulty:
        listed = initd.instance("s", name)
        assert (listed["state"], listed["running"]) == ("stopped", False) and listed["errors"]
        assert f"s::{name}: not started: {listed['errors'][0]}" in initd.log()
    initd.stop()


def test_a_death_by_the_policy_is_explained(host: "Host", initd: Supervised) -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    initd.set("s", one={"command": probe(host, "hold"), "seccomp": str(policy)})
    listed = initd.wait("s", state="stopped")
    assert "(SIGSYS)" in listed["last_exit"]
    initd.wait_log(f"{policy} does not allow")  # whether the kernel has a record of the call or not
    initd.stop()


def test_what_does_not_obey_is_killed(host: "Host", initd: Supervised) -> None:
    initd.set("s", one={"command": probe(host, "ignore", 15, "hold"), "term_timeout": 1, "stdout": True})
    pid = initd.wait_running("s")["pid"]
    initd.wait_log("ready")
    initd.call("state", name="s", spawn=False)
    assert initd.wait("s", state="stopped")["exit_code"] == 137 and not is_alive(pid)
    initd.wait_log("s::one: still there 1 s after TERM: killed")
    initd.stop()


@pytest.mark.parametrize("jail", [None, JAIL], ids=["plain", "jail"])
def test_signals_arrive(host: "Host", initd: Supervised, folder: Path, jail: Any) -> None:
    conf = folder / "conf"
    conf.write_text("one")
    table: dict[str, Any] = {"command": probe(host, "name-signals"), "stdout": True, "file": [str(conf)]}
    table |= {"reload_signal": signal.SIGUSR1} | ({"jail": jail} if jail else {})
    initd.set("s", one=table)
    pid = initd.wait_running("s")["pid"]
    initd.wait_log("ready")
    assert status_of_call(initd, "signal", name="s") == wire.OK
    initd.wait_log(f"signal {signal.SIGHUP.value}\n")
    conf.write_text("two")
    initd.set("s", one=table)
    initd.wait_log(f"signal {signal.SIGUSR1.value}\n")
    assert initd.instance("s")["pid"] == pid
    initd.call("delete", name="s")
    initd.wait_log(f"signal {signal.SIGTERM.value}\n")
    initd.stop()


def test_a_missing_mount_is_one_line(host: "Host", initd: Supervised) -> None:
    jail = {**JAIL, "mount": {"/no/such/file": "0"}}
    initd.set("s", one={"command": probe(host, "hold"), "jail": jail})
    listed = initd.wait_running("s")
    assert listed["warnings"] == ["/no/such/file: No such file or directory, skipped"]
    assert initd.log().count("/no/such/file") == 1
    initd.stop()


def test_a_trigger_runs_its_command(host: "Host", initd: Supervised, folder: Path) -> None:
    made = folder / "made by %package%"
    script = ["if", ["eq", "package", "p"], ["run_script", "/bin/mkdir", str(made)]]
    initd.call("set", name="s", triggers=[["config.change", script]])
    initd.call("event", type="config.change", data={"package": "q"})
    initd.call("event", type="config.change", data={"package": "p"})
    wait_until((folder / "made by p").is_dir, initd.log)
    assert not (folder / "made by q").exists()
    initd.stop()


def test_the_script_hears_that_its_service_runs(host: "Host", initd: Supervised, folder: Path) -> None:
    scripts = folder / "etc/init.d"
    scripts.mkdir(parents=True, exist_ok=True)
    heard = folder / "heard"
    (scripts / "s").write_text(f'#!/bin/sh\necho "$1" >>{heard}\n')
    (scripts / "s").chmod(0o755)
    initd.set("s", one={"command": probe(host, "hold")})
    wait_until(lambda: heard.exists() and heard.read_text(), initd.log)
    assert set(heard.read_text().split()) == {"running"}
    initd.stop()


def test_term_stops_all(host: "Host", initd: Supervised) -> None:
    names = [f"i{number}" for number in range(6)]
    jails: list[dict[str, Any]] = [{"jail": JAIL} if number % 2 else {} for number in range(6)]
    initd.set(
        "s",
        **{name: {"command": probe(host, "hold"), **jail} for name, jail in zip(names, jails, strict=True)},
    )
    pids = [initd.wait_running("s", name)["pid"] for name in names]
    initd.stop()
    assert not any(is_alive(pid) for pid in pids)


def test_what_is_killed_takes_all_with_it(host: "Host", initd: Supervised) -> None:
    initd.set("s", one={"command": probe(host, "hold")}, two={"command": probe(host, "hold"), "jail": JAIL})
    listed = [initd.wait_running("s", name) for name in ("one", "two")]
    initd.close()
    for one in listed:
        host.until(lambda one=one: host.is_gone(one["pid"]), "the services of a killed initd", 5 * SLOWER)  # type: ignore[misc]
