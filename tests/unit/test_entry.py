# SPDX-License-Identifier: MIT
"""Entering a jail, as far as it is words and files: what holds the program that enters."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jail.capabilities import CapabilitySets
from jail.cgroup import Group
from jail.entry import _door, confined, shared
from jail.errors import ConfigError
from jail.ids import Identity
from jail.ports import ABI_WITH_PORTS, port_step
from jail.privilege import BIND, FILES, WRITE, rules_of
from jail.rootfs import Rootfs
from jail.running import Running
from jail.shown import Shown
from jail.spec import COMPLAIN, TRACE, JailSpec

PROGRAM = os.path.realpath("/bin/true")


@pytest.fixture
def jail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Running:
    """A jail that has the files of this process."""
    jail = Running.__new__(Running)
    jail.name, jail.pid, jail.started, jail.parent = "j", os.getpid(), 1, os.getppid()
    jail.rules = []
    monkeypatch.setattr(Running, "root", property(lambda self: "/"))
    monkeypatch.setattr(Running, "namespaces", lambda self: ["pid", "mnt"])
    return jail


def make_spec(tmp_path: Path) -> JailSpec:
    policy = tmp_path / "policy.json"
    policy.write_text('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}')
    spec = JailSpec("j", [PROGRAM])
    spec.seccomp = str(policy)
    return spec


def test_variable_of_the_service_does_not_choose_the_mode(jail: Running, tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    _, env = _door(spec, jail, PROGRAM, 0, {"SECCOMP_MODE": "complain", "A": "b"})
    assert "SECCOMP_MODE" not in env and env["A"] == "b"


def test_complaint_is_no_enforcement(jail: Running, tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    [enforced], _ = _door(spec, jail, PROGRAM, 0, {})
    spec.mode, spec.notify = COMPLAIN, True
    [complained], env = _door(spec, jail, PROGRAM, 0, {})
    assert complained.pack() != enforced.pack()
    assert env.get("SECCOMP_MODE", COMPLAIN) == COMPLAIN


def test_service_that_enters_cannot_be_traced(jail: Running, tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    spec.mode = TRACE
    with pytest.raises(ConfigError, match="who enters cannot be traced"):
        shared(jail, spec, Shown(spec, Rootfs()))


def test_oom_score_is_set_for_who_enters(jail: Running) -> None:
    spec = JailSpec("j", [PROGRAM])
    shown = Shown(spec, Rootfs())
    assert "oom_score_adj" not in shared(jail, spec, shown).explain()
    spec = JailSpec("j", [PROGRAM])
    spec.oom_score_adj = "500"
    assert "set oom_score_adj 500" in shared(jail, spec, shown).explain()


def test_umask_and_priorities_are_the_services(jail: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    privilege = (Identity(0, 0, (0,), "root"), CapabilitySets(0, 0, 0, 0))
    monkeypatch.setattr(Running, "privilege", lambda self: privilege)
    monkeypatch.setattr(Running, "group", lambda self: "")
    jail.service_pid, jail.door = os.getpid(), "none"
    lines = confined(jail, [PROGRAM], {}).explain()
    assert f"set nice value {os.getpriority(os.PRIO_PROCESS, 0)}" in lines
    assert f"set oom_score_adj {Path('/proc/self/oom_score_adj').read_text().strip()}" in lines
    before = os.umask(0o027)
    try:
        assert "set umask 0027" in confined(jail, [PROGRAM], {}).explain()
    finally:
        os.umask(before)


def test_rules_of_landlock_are_those_of_the_service(jail: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PID 1 of the jail names them: the ports, and all that may be written."""
    privilege = (Identity(0, 0, (0,), "root"), CapabilitySets(0, 0, 0, 0))
    monkeypatch.setattr(Running, "privilege", lambda self: privilege)
    monkeypatch.setattr(Running, "group", lambda self: "")
    monkeypatch.setattr("jail.ports.lib", SimpleNamespace(landlock_abi=lambda: ABI_WITH_PORTS))
    made = JailSpec("j", [PROGRAM])
    made.net_bind, made.net_connect = ["tcp:53"], ["tcp:80", "tcp:1000-1001"]
    jail.service_pid, jail.door, jail.rules = os.getpid(), "default", rules_of(made, ["/a b", "/c"])
    lines = confined(jail, [PROGRAM], {}).explain()
    assert "make Landlock rules: write to /a b, /c, read everything" in lines
    assert "put the Landlock rules on" in lines
    assert port_step(made).describe() in lines
    # no rules: a jail that may mount, or a kernel without them
    jail.rules = rules_of(JailSpec("j", [PROGRAM]), None)
    assert jail.rules == [] and "Landlock" not in confined(jail, [PROGRAM], {}).explain()
    assert "change directory to /" in confined(jail, [PROGRAM], {}).explain()
    jail.rules = rules_of(JailSpec("j", [PROGRAM]), [])
    assert "write to nothing, read everything" in confined(jail, [PROGRAM], {}).explain()


def test_second_service_is_under_the_rules_for_files_unless_it_may_mount(jail: Running) -> None:
    jail.rules = [FILES, f"{WRITE} /dev", f"{BIND} tcp:53"]
    spec = JailSpec("j", [PROGRAM])
    shown = Shown(spec, Rootfs())
    lines = shared(jail, spec, shown).explain()
    assert "write to /dev, read" in lines and "ports" not in lines  # these are each service's own
    spec = JailSpec("j", [PROGRAM])
    spec.allow_userns = True
    assert "Landlock" not in shared(jail, spec, shown).explain()


def test_second_service_gets_its_group_and_warnings_or_is_refused(
    jail: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = Shown(JailSpec("j", [PROGRAM]), Rootfs())
    spec = make_spec(tmp_path)
    spec.mode, spec.net_connect = COMPLAIN, ["tcp:80"]
    monkeypatch.setattr("jail.ports.lib", SimpleNamespace(landlock_abi=lambda: ABI_WITH_PORTS))
    monkeypatch.setattr(Shown, "check", lambda *words: None)
    assert shared(jail, spec, shown).all_warnings() == [
        f"{spec.seccomp} complains only: what it denies is logged, and allowed",
        "the network is the host's: of it only the TCP ports are closed",
    ]
    shown.binds["/b"] = ("/run/b", (0, 0), 0)
    spec = JailSpec("j", [PROGRAM])
    spec.ubus_socket = "/run/b/socket"  # the first one has asked for it
    [warning] = shared(jail, spec, shown).all_warnings()
    assert warning.startswith("it is root, and root on ubus may start anything")
    spec = JailSpec("j", [PROGRAM])
    spec.ubus_socket, spec.user = "/run/b/socket", "65534"
    assert shared(jail, spec, shown).all_warnings() == []
    spec = JailSpec("j", [PROGRAM])
    spec.console = True
    with pytest.raises(ConfigError, match="who enters can have no console"):
        shared(jail, spec, shown)
    group = Group("/c", "services/b", {}, vrf="red")
    monkeypatch.setattr("jail.cgroup.find_group", lambda *words: group)
    spec = JailSpec("j", [PROGRAM])
    spec.vrf = "red"
    assert shared(jail, spec, shown).group is group
    monkeypatch.setattr(Running, "namespaces", lambda self: ["net", "pid", "mnt"])
    with pytest.raises(ConfigError, match="a network of its own, and vrf is of the host's"):
        shared(jail, spec, shown)
