# SPDX-License-Identifier: MIT
"""What an init script asked for → what the jail library is asked for, and which plans are kept."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from initd.definition import Definition
from initd.jailspec import NOT_YET, make_spec
from initd.model import Model
from initd.spawn import Plans, spawn
from jail.errors import ConfigError, UsageError
from jail.launch import Jail
from jail.spec import SOCKETS, JailSpec

POLICY = '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ALLOW"}]}'


def define(instance: str = "one", **table: Any) -> Definition:
    definition = Definition.read("svc", instance, {"command": ["/bin/true", "-x"], **table})
    assert not definition.faults, definition.faults
    return definition


def spec(**table: Any) -> JailSpec:
    return make_spec(define(**table))


def shares(made: JailSpec) -> dict[str, tuple[str, bool, bool]]:
    return {share.target: (share.source, share.writable, share.required) for share in made.shares}


def test_plain_service_keeps_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_INITD", "1")
    monkeypatch.setenv("BOTH", "initd")
    made = spec(env={"BOTH": "script", "MINE": "2"}, nice=20, limits={"core": "unlimited"}, user="root")
    assert (made.plain, made.isolate, made.stub, made.no_new_privs) == (True, False, False, False)
    assert made.env == {**os.environ, "BOTH": "script", "MINE": "2"}
    assert (made.nice, made.limits, made.user, made.argv) == (
        19,
        {"core": "unlimited"},
        "root",
        ["/bin/true", "-x"],
    )
    assert made.capabilities is None


def test_protection_without_a_jail_takes_what_it_names(tmp_path: Path) -> None:
    made = spec(seccomp="/etc/p.json", capabilities="/etc/c.json", no_new_privs=True)
    assert (made.plain, made.isolate, made.stub) == (True, False, False)
    assert (made.seccomp, made.capabilities, made.no_new_privs) == ("/etc/p.json", "/etc/c.json", True)


@pytest.mark.parametrize("jail", [{"name": "x"}, {"name": "x", "procfs": False, "mount": {}}])
def test_jail_without_a_flag_is_the_wrapper(jail: dict[str, Any]) -> None:
    made = spec(jail=jail, capabilities="/c.json", env={"A": "b"})
    assert (made.plain, made.isolate, made.stub, made.no_new_privs) == (False, False, False, True)
    assert (made.name, made.env) == ("x", {"A": "b"})


def test_required_jail_that_would_be_none_is_refused() -> None:
    with pytest.raises(UsageError, match="requirejail: the jail names no file"):
        spec(jail={"name": "x", "requirejail": True}, capabilities="/c.json")
    assert spec(jail={"name": "x", "requirejail": True, "procfs": True}).isolate


@pytest.mark.parametrize(
    "jail",
    [{"procfs": True}, {"ronly": True}, {"log": True}, {"mount": {"/etc/hosts": "0"}}, {"hostname": "h"}],
)
def test_jail_with_files_or_namespaces_is_isolated(jail: dict[str, Any]) -> None:
    made = spec(jail={"name": "x", **jail}, term_timeout=7)
    assert made.isolate and made.stub and not made.plain and made.no_new_privs and made.staged_etc
    assert made.grace_s == 7


def test_jail_flags_and_mounts_are_shares() -> None:
    jail = {
        "log": True, "ubus": True, "udebug": True, "requirejail": True, "procfs": True, "sysfs": True,
        "hostname": "inside", "mount": {"/ro": "0", "/rw": "1", "/here:/there": "1"},
    }  # fmt: skip
    made = make_spec(define(jail=jail, user="root", seccomp="/p.json"), "/elsewhere/ubus.sock")
    assert shares(made) == {
        "/dev/log": ("/dev/log", True, False),
        "/var/run/ubus/ubus.sock": ("/elsewhere/ubus.sock", True, True),
        "/var/run/udebug.sock": ("/var/run/udebug.sock", True, False),
        "/ro": ("/ro", False, False),
        "/rw": ("/rw", True, False),
        "/there": ("/here", True, False),
        "/etc/passwd": ("/etc/passwd", False, True),
        "/etc/group": ("/etc/group", False, True),
        "/p.json": ("/p.json", False, True),
    }
    assert (made.required, made.procfs, made.sysfs, made.hostname) == (True, True, True, "inside")


def test_limits_of_a_group_and_namespaces_to_join_are_passed_on() -> None:
    joined = [{"pid": 7, "namespaces": ["net", "ipc"]}]
    made = spec(cgroup={"memory.max": "16M"}, jail={"name": "x", "setns": joined})
    assert (made.cgroup, made.cgroup_files) == ("services/svc/one", {"memory.max": "16M"})
    assert (made.joins, made.isolate) == ([(7, ["net", "ipc"])], False)


def test_instances_of_both_trees_have_groups_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory")
    monkeypatch.setattr("jail.cgroup.hierarchy", lambda: str(tmp_path))
    rest: Any = MagicMock()
    model = Model(rest, rest, rest, rest, rest, "", "", "")
    definition = define(cgroup={"memory.max": "16M"})
    groups = [plans.make(definition).group for plans in model._plans]
    assert [group and group.name for group in groups] == ["services/svc/one", "containers/svc/one"]


def test_join_of_another_process_under_the_same_pid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = Plans()
    definition = define(jail={"name": "x", "setns": [{"pid": os.getpid(), "namespaces": ["net"]}]})
    plans.make(definition)
    kept = plans.make(definition)
    monkeypatch.setattr("jail.joins.Join.started", lambda self: 1)
    for _ in range(2):  # not once only: what is known about the process stays
        with pytest.raises(ConfigError, match="is another one by now"):
            plans.make(definition)
    assert plans.find(definition) is kept
    plans.forget(definition)
    assert plans.make(definition).joins == ((os.getpid(), 1),)


@pytest.mark.parametrize(
    "table",
    [
        {"bundle": "/b"},
    ],
)
def test_what_is_not_yet_there_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is not yet there: "):
        spec(**table)


def test_list_of_what_is_not_yet_there_names_attributes() -> None:
    definition = define(jail={"name": "x"})
    for key in NOT_YET:
        assert not getattr(definition, key)
    assert make_spec(define(seccomp_mode="enforce")).plain


def test_a_device_for_all_sockets() -> None:
    for table in ({}, {"jail": {"name": "x", "procfs": True}}):
        assert spec(vrf="red", **table).vrf == "red"
    with pytest.raises(UsageError, match="vrf"):
        spec(vrf="red", jail={"name": "x", "netns": True})


def test_a_console_makes_a_jail_and_takes_the_output() -> None:
    asked = define(jail={"name": "x", "console": True}, stdout=True)
    assert asked.warnings == ["stdout, stderr: the console of the jail has them"]
    made = make_spec(asked)
    assert made.console and made.isolate
    traced = define(jail={"name": "x", "console": True}, trace=True)
    assert traced.warnings == ["jail console: not there while its calls are recorded"]
    assert not make_spec(traced).console and make_spec(traced).isolate
    shared = Definition.read(
        "s", "i", {"command": ["/x"], "jail": {"name": "x", "console": True, "shared": True}}
    )
    assert shared.faults == ["jail console: a jail that is shared has none"]


def test_plan_is_kept_while_the_definition_is_the_same(tmp_path: Path) -> None:
    plans = Plans()
    policy = tmp_path / "policy.json"
    policy.write_text(POLICY)
    first = define(seccomp=str(policy))
    assert plans.find(first) is None
    made = plans.make(first)
    assert plans.find(define(seccomp=str(policy))) is made
    assert plans.find(define(seccomp=str(policy), nice=1)) is None
    assert plans.find(define("two", seccomp=str(policy))) is None
    policy.write_text(POLICY + " ")
    assert plans.find(first) is None
    again = plans.make(first)
    assert plans.find(first) is again
    plans.forget(first)
    assert plans.find(first) is None


def test_plan_is_made_anew_when_a_missing_mount_has_come(tmp_path: Path) -> None:
    plans = Plans()
    late = tmp_path / "late"
    definition = define(jail={"name": "x", "mount": {str(late): "0", str(tmp_path / "never"): "0"}})
    packed = plans.make(definition)
    assert packed.warnings == (f"{late}, {tmp_path}/never: No such file or directory, skipped",)
    assert plans.find(definition) is packed
    late.touch()
    assert plans.find(definition) is None
    assert plans.make(definition).warnings == (f"{tmp_path}/never: No such file or directory, skipped",)


def test_a_log_daemon_may_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = Plans()
    log = str(tmp_path / "log")
    monkeypatch.setitem(SOCKETS, "log", (log, True))
    definition = define(jail={"name": "x", "log": True})
    assert plans.make(definition).warnings == (f"{log}: No such file or directory, skipped",)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(log)
        assert plans.find(definition) is None
        assert plans.make(definition).warnings == ()
    with pytest.raises(ConfigError, match=f"{log}: No such file"):
        Path(log).unlink()
        plans.make(define(jail={"name": "x", "log": True, "requirejail": True}))


def test_plan_is_made_anew_when_the_program_was_written_to(tmp_path: Path) -> None:
    """The same file by its inode, and perhaps with other libraries: the launcher would not notice."""
    plans = Plans()
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    definition = define(command=[str(program)], jail={"name": "x", "procfs": True})
    packed = plans.make(definition)
    assert plans.find(definition) is packed
    with program.open("a") as file:
        file.write("exit 0\n")
    assert plans.find(definition) is None


def test_plan_is_made_anew_when_a_pattern_matches_something_else(tmp_path: Path) -> None:
    plans = Plans()
    definition = define(jail={"name": "x", "mount": {f"{tmp_path}/*.conf": "0"}})
    packed = plans.make(definition)
    assert plans.find(definition) is packed
    (tmp_path / "a.conf").touch()
    assert plans.find(definition) is None


def test_plans_with_the_same_policy_share_its_filter(tmp_path: Path) -> None:
    plans = Plans()
    policy = tmp_path / "policy.json"
    policy.write_text(POLICY)
    one, two = (plans.make(define(name, seccomp=str(policy), nice=1)) for name in ("one", "two"))
    assert one.filters[-1] is two.filters[-1]
    assert one.join() == two.join()
    bare = plans.make(define("three"))
    assert bare.filters == () and bare.join()


def test_filters_go_with_the_last_plan_that_has_them(tmp_path: Path) -> None:
    plans = Plans()
    policies = [tmp_path / "one.json", tmp_path / "two.json"]
    for policy in policies:
        policy.write_text(POLICY)
    one, two = (define(policy.stem, seccomp=str(policy)) for policy in policies)
    shared = plans.make(one).filters[-1]
    plans.make(two)
    policies[0].write_text(POLICY.replace("write", "sync"))
    changed = plans.make(one).filters[-1]
    assert changed != shared and set(plans._filters) == {changed, shared}
    policies[1].write_text(POLICY.replace("write", "sync") + " ")
    assert plans.make(two).filters[-1] is changed
    policies[0].write_text(POLICY.replace("write", "mount"))
    third = plans.make(one).filters[-1]
    assert set(plans._filters) == {changed, third}
    plans.forget(one)
    assert set(plans._filters) == {changed}
    plans.forget(two)
    assert not plans._filters


def test_plan_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    plans = Plans()
    definition = define(seccomp=str(tmp_path / "absent.json"))
    with pytest.raises(ConfigError, match=r"absent\.json"):
        plans.make(definition)
    assert plans.find(definition) is None


def test_a_plan_is_not_kept_for_a_definition_that_only_hashes_alike() -> None:
    plans = Plans()
    plans.make(define(nice=-1))
    assert hash(-1) == hash(-2)
    assert plans.find(define(nice=-2)) is None and plans.find(define(nice=-1)) is not None


@pytest.mark.parametrize("leave", [os.mkfifo, lambda path: path.symlink_to("root's")])
def test_pidfile_of_a_jail_replaces_what_its_service_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("initd.spawn.launch", lambda packed, **named: Jail(1000, 1001))
    (tmp_path / "root's").write_text("of root")
    leave(tmp_path / "pid")  # a FIFO that nobody reads would hold up initd
    started = spawn(define(jail={"name": "x", "pidfile": f"{tmp_path}/pid"}), Plans())
    assert not any("pidfile" in text for text in started.warnings)
    assert (tmp_path / "pid").read_text() == "1001\n"
    assert (tmp_path / "root's").read_text() == "of root"
