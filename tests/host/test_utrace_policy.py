# SPDX-License-Identifier: MIT
"""What utrace writes of arguments and files, and whether its policy holds the program in a jail."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from utraced import DYNAMIC, STATIC, Traced, trace

if TYPE_CHECKING:
    from jails import Host
    from probes import Probes


def rules(traced: Traced, call: str) -> list[tuple[int, int]]:
    """(index, value) of the rules for one call."""
    arguments = [rule["args"] for rule in traced.policy["syscalls"] if rule["names"] == [call]]
    return [(each["index"], each["value"]) for (each,) in arguments]


@pytest.mark.parametrize("way", [(), ("--registers",)])
@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
def test_arguments_become_rules(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str, way: tuple[str, ...]
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "arguments", 1, options=("--args", *way))
    # glibc on i386 has one call for all of socket's
    assert "socketcall" in traced.counts or rules(traced, "socket") == [(0, 1)]
    assert (1, 0x80001201) in [(index, value & 0xFFFFFFFF) for index, value in rules(traced, "ioctl")]
    assert (0, 3) in rules(traced, "prctl")
    assert not {"ioctl", "prctl"} & set(traced.policy["syscalls"][0]["names"])


def test_registers_of_an_i386_program(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    for way in ((), ("--registers",)):
        traced = trace(host, tmp_path / "t", busy["i386"], "arguments", 10, options=("--args", *way))
        assert rules(traced, "prctl") == [(0, 3)]


def test_too_many_values_fall_back_to_the_name(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "ioctls", 50, options=("--args",))
    assert rules(traced, "ioctl") == []
    assert "ioctl" in traced.policy["syscalls"][0]["names"]
    assert "ioctl: more than 32 values" in traced.err


@pytest.mark.parametrize("way", [(), ("--registers",)])
def test_paths_become_options(host: "Host", busy: "Probes", tmp_path: Path, way: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / name).write_text(name)
    verbs = (
        "read",
        folder / "one",
        "write",
        folder / "two",
        "read-at",
        folder,
        "three",
        "read",
        folder / "none",
    )
    child = ("spawn", "/bin/true")
    traced = trace(host, tmp_path / "t", busy["glibc"], *verbs, *child, options=("--paths", *way))
    lines = [line.strip() for line in traced.err.splitlines()]
    assert f"-r {folder}/one  # root:root 0644, read" in lines
    assert any(line.startswith(f"-w {folder}/two  # root:root 0644, written") for line in lines)
    assert f"-r {folder}/three  # root:root 0644, read" in lines
    assert any(line.startswith("-r /bin/true  #") and line.endswith("executed") for line in lines)
    assert f"{folder}/none" in lines[lines.index("looked for, not there now:") :]
    assert not any("libc" in line for line in lines)


def test_paths_in_a_jail_are_said_to_be_looked_up_outside(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    (tmp_path / "one").touch(mode=0o644)
    jail = (host.ujail, "-n", "t", "-r", tmp_path, "-r", f"{tmp_path}:/there", "--")
    verbs = (busy["glibc"], "read", tmp_path / "one", "read", "/there/one")
    traced = trace(host, tmp_path / "t", *jail, *verbs, options=("--paths", "--jail"))
    lines = traced.err.splitlines()
    at = lines.index("proposed options of ujail:")
    assert lines[at - 1].startswith("paths are as the jail had them, and were looked up on the host: ")
    assert any(line.startswith(f"  -r {tmp_path}/one  # ") for line in lines[at:])
    assert "  /there/one" in lines[lines.index("looked for, not there now:") :]
    twin = trace(host, tmp_path / "t", busy["glibc"], "read", tmp_path / "one", options=("--paths",))
    assert "looked up on the host" not in twin.err


def test_sockets_become_options(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    if os.uname().machine == "i686":
        pytest.skip("connect is a socketcall, whose arguments utrace does not follow")
    verbs = ("connect", "/dev/log", "connect", tmp_path / "none")
    traced = trace(host, tmp_path / "t", busy["glibc"], *verbs, options=("--paths",))
    assert "  -l\n" in traced.err
    assert f"  {tmp_path}/none\n" in traced.err


# ---- the round: trace, enforce ----

# with the jail's environment: a locale brings files, and calls, of its own
CLEAN = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=ujail")


@pytest.mark.parametrize("kind", [*DYNAMIC, *STATIC])
@pytest.mark.parametrize("options", [(), ("--args",)])
def test_policy_of_a_trace_holds_the_program(
    host: "Host", busy: "Probes", kind: str, options: tuple[str, ...]
) -> None:
    file = host.folder / f"round-{kind}.json"
    verbs = ("calls", 3, "threads", 2, 3, "forks", 2, 2, "signals", 2, "arguments", 1)
    trace(host, file, busy[kind], *verbs, options=options)
    jail = ("-n", "t", "-S", file, "--", busy[kind], *verbs)
    assert host.jail(*jail).status == 0
    assert host.jail(*jail, "read", "/").status == 128 + signal.SIGSYS


# whether the child has ended when the shell asks for it is a matter of chance; here it is not
WAITS = (
    "sleep $1 & [ $1 != 0 ] || while read -r _ _ state _ </proc/$!/stat && [ $state != Z ]; do :; done 2>/dev/null; "
    "wait; echo waited"
)


def test_policy_of_a_trace_holds_a_shell_that_has_to_wait(host: "Host") -> None:
    sleep = shutil.which("sleep")
    file = host.folder / "round-waits.json"
    traced = Traced(host.run(*CLEAN, host.utrace, "-f", file, "--", "/bin/sh", "-c", WAITS, "sh", "0"), file)
    assert traced.status == 0, traced.err
    jail = ("-p", "-r", sleep, "-S", file, "--", "/bin/sh", "-c", WAITS, "sh", "0.3")
    held = host.jail("-n", "t", *jail)
    assert held.out == "waited\n", held
    assert "rt_sigsuspend" in traced.counts or "allowed unseen, by chance: a shell waits" in traced.err


def test_argument_that_was_not_seen_is_denied(host: "Host", busy: "Probes") -> None:
    file = host.folder / "round-args.json"
    trace(host, file, busy["glibc"], "arguments", 1, options=("--args",))
    assert host.jail("-n", "t", "-S", file, "--", busy["glibc"], "arguments", 1).status == 0
    denied = host.jail("-n", "t", "-S", file, "--", busy["glibc"], "arguments", 2)
    assert denied.status == 128 + signal.SIGSYS


def test_own_start_up_list_lets_odd_constructors_through(host: "Host", busy: "Probes") -> None:
    file = host.folder / "round-early.json"
    host.run("env", "BUSY_EARLY=2", host.utrace, "-f", file, busy["glibc"], "calls", 1)
    jail = ("-n", "t", "-e", "BUSY_EARLY=2", "-S", file, "--", busy["glibc"], "calls", 1)
    assert host.jail(*jail).status == 0
    policy = json.loads(file.read_text())
    del policy["startup"]
    file.write_text(json.dumps(policy))
    assert host.jail(*jail).status == 128 + signal.SIGSYS


REAL = {
    "sort": ("sort", "/etc/passwd"),
    "sed": ("sed", "-n", "s/root/x/p", "/etc/passwd"),
    "ls": ("ls", "-l", "/etc/passwd"),
    "sha256sum": ("sha256sum", "/etc/passwd"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_program_passes_under_its_trace(host: "Host", name: str) -> None:
    command = REAL[name]
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    file = host.folder / f"real-{name}.json"
    outside = host.run(*CLEAN, host.utrace, "-f", file, *command)
    options = ("-n", "t", "-S", file, "-r", "/etc/passwd", "-r", "/etc/group")
    inside = host.jail(*options, "--", *command)
    assert (inside.status, inside.out) == (0, outside.out), inside.err
    policy = json.loads(file.read_text())
    policy["syscalls"][0]["names"].remove("write")
    file.write_text(json.dumps(policy))
    assert host.jail(*options, "--", *command).status == 128 + signal.SIGSYS
