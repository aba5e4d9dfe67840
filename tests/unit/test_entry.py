# SPDX-License-Identifier: MIT
"""Entering a jail, as far as it is words and files: what holds the program that enters."""

import os
from pathlib import Path

import pytest

from jail.capabilities import CapabilitySets
from jail.entry import _door, confined, shared
from jail.errors import ConfigError
from jail.ids import Identity
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


def test_umask_is_the_services(jail: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    privilege = (Identity(0, 0, (0,), "root", "/"), CapabilitySets(0, 0, 0, 0))
    monkeypatch.setattr(Running, "privilege", lambda self: privilege)
    monkeypatch.setattr(Running, "group", lambda self: "")
    jail.service_pid, jail.door = os.getpid(), "none"
    before = os.umask(0o027)
    try:
        assert "set umask 0027" in confined(jail, [PROGRAM], {}).explain()
    finally:
        os.umask(before)
