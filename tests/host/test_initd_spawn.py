# SPDX-License-Identifier: MIT
"""Instances as init scripts ask for them, started by initd's own code: plain, with a policy, in jails."""

import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jails import Host
    from processes import Process

SPAWNER = Path(__file__).with_name("spawner.py")


def spawner(host: "Host", *tables: dict[str, Any], **request: Any) -> "Process":
    words = [sys.executable, "-I", SPAWNER, json.dumps({"tables": tables, **request})]
    return host.spawn(*words, stderr=None)


def spawn(host: "Host", *tables: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    seen = host.finish(spawner(host, *tables, **request))
    assert seen.status == 0, seen
    report: list[dict[str, Any]] = json.loads(seen.out.splitlines()[-1])
    assert all(entry.get("unchanged", True) for entry in report), report
    return report


def one(host: "Host", *verbs: object, **table: Any) -> dict[str, Any]:
    """What came of one start of the probe with its output read; "seen" has its lines."""
    command = [str(host.probes[table.pop("kind", "glibc")]), *map(str, verbs)]
    [entry] = spawn(host, {"command": command, "stdout": True, "stderr": True, **table})
    assert "failed" not in entry, entry
    return entry


def values(entry: dict[str, Any], name: str) -> list[str]:
    pairs = [line.partition(" ") for line in entry["out"].splitlines()]
    return [value for key, _, value in pairs if key == name]


def test_plain_service_is_our_child_with_all_that_root_has(host: "Host") -> None:
    entry = one(host, "process", "ids", "modes", "env", "signals", env={"MINE": "1"})
    assert (entry["status"], entry["err"], entry["warnings"], entry["has_stub"]) == (0, "", [], False)
    assert values(entry, "pid") == [str(entry["pid"])] == [str(entry["service_pid"])]
    assert values(entry, "no_new_privs") == ["0"] and values(entry, "uid") == ["0 0 0"]
    env = values(entry, "env")
    assert "MINE=1" in env and f"PATH={os.environ['PATH']}" in env
    assert not values(entry, "not_default") and not values(entry, "blocked")
    assert not entry["blocking"]


def test_plain_service_as_a_user_with_limits(host: "Host") -> None:
    entry = one(
        host, "ids", "nice", "cat", "/proc/self/limits", user="nobody", nice=-4, limits={"nofile": "99 99"}
    )
    assert values(entry, "uid") == ["65534 65534 65534"] and values(entry, "nice") == ["-4"]
    assert any(line.split()[3:5] == ["99", "99"] for line in values(entry, "line") if "open files" in line)


def test_stdio_is_dev_null_unless_it_is_asked_for(host: "Host") -> None:
    jail = {"name": "x", "procfs": True, "mount": {}}
    for table in ({}, {"jail": jail}):
        entry = one(host, "fds", stderr=False, **table)
        lines = values(entry, "fd")
        assert [line.split()[0] for line in lines] == ["0", "1", "2"]
        assert [line.split(" ", 1)[1].split(":")[0].lstrip("/") for line in lines] == [
            "dev/null",
            "pipe",
            "dev/null",
        ]
        silent = one(host, "fds", stdout=False, stderr=False, **table)
        assert (silent["out"], silent["status"]) == ("", 0)


def test_policy_without_a_jail_holds_in_dynamic_and_static_programs(host: "Host") -> None:
    policy = str(host.policy("prctl"))
    for kind in ("glibc", "static-glibc"):
        entry = one(host, "modes", "call", "getppid", "-", kind=kind, seccomp=policy)
        assert values(entry, "seccomp") == ["2"] and values(entry, "call:getppid") == [
            f"errno {errno.EXFULL}"
        ], entry
        assert not entry["has_stub"]
    assert values(one(host, "call", "getppid", "-"), "call:getppid") == ["ok"]


def test_policy_without_a_jail_shows_a_death_by_its_signal(host: "Host") -> None:
    policy = str(host.policy(default="SCMP_ACT_KILL_PROCESS"))
    assert one(host, "call", "getppid", "-", seccomp=policy)["status"] == -signal.SIGSYS


def test_capabilities_and_no_new_privs_without_a_jail(host: "Host", tmp_path: Path) -> None:
    file = tmp_path / "caps.json"
    names = ["CAP_NET_RAW"]
    file.write_text(
        json.dumps(dict.fromkeys(("bounding", "permitted", "effective", "inheritable", "ambient"), names))
    )
    entry = one(host, "caps", "modes", capabilities=str(file), no_new_privs=True, user="nobody")
    assert {
        int(values(entry, name)[0], 16) for name in ("bounding", "permitted", "effective", "ambient")
    } == {1 << 13}
    assert values(entry, "no_new_privs") == ["1"]


def test_jail_holds_what_is_named_and_nothing_else(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    shown, hidden = tmp_path / "shown", tmp_path / "hidden"
    shown.write_text("")
    hidden.write_text("")
    shown.chmod(0o666)
    jail = {"name": "x", "procfs": True, "mount": {str(shown): "0", str(tmp_path / "absent"): "0"}}
    verbs = ["read", shown, "read", hidden, "write", shown, "pids", "env"]
    entry = one(host, *verbs, jail=jail, user="nobody", env={"MINE": "1"})
    assert values(entry, f"read:{shown}") == ["ok"] and values(entry, f"read:{hidden}") == ["errno 2"]
    assert values(entry, f"write:{shown}") == ["errno 30"]
    assert values(entry, "pids") == ["1 2"] and entry["has_stub"]
    assert sorted(values(entry, "env")) == [
        "MINE=1",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "container=ujail",
    ]
    assert entry["warnings"] == [f"{tmp_path}/absent: No such file or directory, skipped"]
    assert values(one(host, "read", hidden), f"read:{hidden}") == ["ok"]


def test_jail_that_is_required_does_without_no_mount(host: "Host", tmp_path: Path) -> None:
    jail = {"name": "x", "requirejail": True, "mount": {str(tmp_path / "absent"): "0"}}
    [entry] = spawn(host, {"command": ["/bin/true"], "jail": jail})
    assert entry["failed"] == f"{tmp_path}/absent: No such file or directory"


def test_jail_without_flags_is_a_wrapper_and_says_so(host: "Host") -> None:
    entry = one(
        host, "caps", "modes", "env", "read", host.probes.marker, jail={"name": "x"}, no_new_privs=True
    )
    assert values(entry, "no_new_privs") == ["1"] and not entry["has_stub"]
    assert values(entry, f"read:{host.probes.marker}") == ["ok"]
    assert "OLDPWD" not in entry["out"] and "container=ujail" in values(entry, "env")
    [warning] = entry["warnings"]
    assert "the file system and processes are not isolated" in warning


@pytest.mark.parametrize("jail", [None, {"name": "x", "procfs": True}])
def test_replaced_program_is_planned_again(host: "Host", tmp_path: Path, jail: dict[str, Any] | None) -> None:
    """As a package upgrade does it: the new file gets the old one's name."""
    tmp_path.chmod(0o755)
    program, new = tmp_path / "program", tmp_path / "new"
    program.write_bytes(host.probes["static-glibc"].read_bytes())
    new.write_bytes(host.probes["glibc"].read_bytes())
    for path in (program, new):
        path.chmod(0o755)
    table = {"command": [str(program), "exit", "3"], **({"jail": jail} if jail else {})}
    report = spawn(host, table, dict(table), dict(table), replace=[str(program), str(new)])
    assert [entry["status"] for entry in report] == [3, 3, 3]


def test_failed_start_leaves_nothing_and_the_next_one_works(host: "Host", tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("neither ELF nor #!")
    bad.chmod(0o755)
    tables: list[dict[str, Any]] = [
        {"command": [str(bad)], "stdout": True},
        {"command": ["/no/such/program"], "stdout": True},
        {"command": ["/bin/true"], "limits": {"nofile": "unlimited"}, "stdout": True, "stderr": True},
        {"command": ["/bin/true"], "bundle": "/b"},
        {"command": [str(host.probes["glibc"]), "exit", "4"]},
    ]
    report = spawn(host, *tables)
    assert [entry.get("failed", entry.get("status")) for entry in report] == [
        f"execute {bad}: Exec format error",
        "/no/such/program: no such program",
        "set limit nofile to 18446744073709551615, at most 18446744073709551615: Operation not permitted",
        "bundle is not yet there: say what its config.json does with extroot, command, user and the like",
        4,
    ]


def test_netns_flag_gives_a_network_with_loopback_alone(host: "Host") -> None:
    words = ["listen", "127.0.0.1", 40002, "connect", "127.0.0.1", 40002, "link", "/proc/self/ns/net"]
    own = one(host, *words, jail={"name": "x", "procfs": True, "netns": True})
    shared = one(host, *words[-2:], jail={"name": "x", "procfs": True})
    assert "connect:127.0.0.1 ok" in own["out"]
    here = os.readlink("/proc/self/ns/net")
    assert here in shared["out"] and here not in own["out"]


def test_pidfile_of_a_jail_has_the_services_pid(host: "Host", tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    entry = one(host, "exit", 0, jail={"name": "x", "procfs": True, "pidfile": str(pidfile)})
    assert pidfile.read_text() == f"{entry['service_pid']}\n"
    entry = one(host, "exit", 0, jail={"name": "x", "pidfile": str(tmp_path / "no" / "pid")})
    assert entry["warnings"][-1] == f"pidfile {tmp_path}/no/pid: No such file or directory"


def test_instances_of_every_kind_die_with_initd(host: "Host") -> None:
    command = [str(host.probes["glibc"]), "hold"]
    kinds: list[dict[str, Any]] = [{}, {"jail": {"name": "x"}}, {"jail": {"name": "x", "procfs": True}}]
    tables = [
        {"instance": str(number), "command": command, "user": "nobody", **kind}
        for number, kind in enumerate(kinds)
    ]
    process = spawner(host, *tables, hold=True)
    host.wait_ready(process)
    children = host.children_of(process.pid)
    assert len(children) == 3
    process.kill()
    host.finish(process)
    host.until(lambda: all(host.is_gone(child) for child in children), "their end")


def test_term_ends_each_kind_with_its_own_status(host: "Host") -> None:
    command = [str(host.probes["glibc"]), "hold"]
    tables: list[dict[str, Any]] = [
        {"instance": "plain", "command": command},
        {"instance": "jail", "command": command, "jail": {"name": "x", "procfs": True}},
    ]
    process = spawner(host, *tables, hold=True)
    host.wait_ready(process)
    seen = host.finish(process)
    # a direct child dies of the signal, PID 1 of a jail reports it
    assert [entry["status"] for entry in json.loads(seen.out)] == [-15, 128 + 15]


def test_userns_flag_makes_root_inside_somebody_else(host: "Host") -> None:
    jail = {"name": "x", "userns": True, "procfs": True, "uidmap": ["1:100000:5"]}
    entry = one(host, "ids", "cat", "/proc/self/uid_map", jail=jail, user="nobody", nice=-4)
    assert values(entry, "uid") == ["0 0 0"], entry
    assert [line.split() for line in values(entry, "line")] == [["0", "65534", "1"], ["1", "100000", "5"]]
    twin = one(host, "cat", "/proc/self/uid_map", jail={"name": "x", "procfs": True})
    assert [line.split() for line in values(twin, "line")] == [["0", "0", "4294967295"]]
