# SPDX-License-Identifier: MIT
"""The policies in json-filters: each compiles for each architecture and door, and looks as it should."""

import json
from pathlib import Path
from typing import Any

import pytest

from jail._native import lib
from jail.bpf import Program
from jail.policy import ARCHES, compile_filter
from jail.policy_lint import lint
from jail.policyfile import load

FOLDER = Path(__file__).resolve().parents[2] / "json-filters"
STARTUP = sorted(FOLDER.glob("startup-*.json"))
DEFAULT = FOLDER / "default.json"  # of jails that name no policy
PORTS = FOLDER / "tcp-ports.json"  # of services with rules for ports
POLICIES = sorted(set(FOLDER.glob("*.json")) - set(STARTUP) - {FOLDER / "schema.json", DEFAULT, PORTS})


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("path", [*POLICIES, *STARTUP, DEFAULT, PORTS], ids=lambda path: path.stem)
def test_policy_compiles_for_every_architecture(path: Path, arch: str) -> None:
    # not lenient: a name that no architecture has is an error
    assert compile_filter(path.read_bytes(), arch, path=str(path)).code


@pytest.mark.parametrize("startup", STARTUP, ids=lambda path: path.stem)
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_policy_compiles_with_every_start_up_set(path: Path, startup: Path) -> None:
    pin = (1, 2, 3)
    for arch in ARCHES:
        text = path.read_bytes()
        assert compile_filter(
            text, arch, path=str(path), startup=startup.read_bytes(), door1=True, exec_pin=pin
        )


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_policy_has_each_name_once_and_the_watched_ones_by_frequency(path: Path) -> None:
    policy = read(path)
    names = [name for rule in policy["syscalls"] for name in rule["names"]]
    assert len(names) == len(set(names))
    watched = policy["syscalls"][0]
    assert watched["comment"] == "watched"
    assert watched["names"] == list(policy["counts"])
    counts = list(policy["counts"].values())
    assert counts == sorted(counts, reverse=True)
    assert all(rule.get("comment") for rule in policy["syscalls"]), "a rule without its reason"


@pytest.mark.parametrize("path", [*POLICIES, *STARTUP, DEFAULT, PORTS], ids=lambda path: path.stem)
def test_policy_follows_the_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")  # not of Python alone: guests go without
    jsonschema.Draft202012Validator(read(FOLDER / "schema.json")).validate(read(path))


@pytest.mark.parametrize("arch", ["x86_64", "mips"])
@pytest.mark.parametrize("path", [*POLICIES, DEFAULT], ids=lambda path: path.stem)
def test_lint_has_nothing_to_say(path: Path, arch: str) -> None:
    assert lint(load(str(path)), arch) == []


@pytest.mark.parametrize("call", ["mount", "ptrace", "bpf", "init_module", "reboot", "setns", "keyctl"])
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_policy_allows_no_call_that_administers_the_machine(path: Path, call: str) -> None:
    for rule in read(path)["syscalls"]:
        assert rule["action"] != "SCMP_ACT_ALLOW" or call not in rule["names"]


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", ["httpd", "ntpd", "telnetd", "udhcpc"])
def test_policy_of_an_applet_allows_what_busybox_itself_asks(name: str, arch: str) -> None:
    code = compile_filter((FOLDER / f"{name}.json").read_bytes(), arch, path=name).code
    program = Program(code, big_endian=bool(lib.arch_kind(arch.encode()) & lib.ARCH_BIG))
    for call in (b"getuid", b"getuid32"):
        number = lib.call_number(arch.encode(), call)
        verdict = program.run(lib.arch_audit(arch.encode()), number, ()).value
        assert number < 0 or verdict == lib.SECCOMP_RET_ALLOW, call


def default_verdict(arch: str, call: str, *args: int, capabilities: int = 0) -> int:
    code = compile_filter(DEFAULT.read_bytes(), arch, path="default", capabilities=capabilities).code
    program = Program(code, big_endian=bool(lib.arch_kind(arch.encode()) & lib.ARCH_BIG))
    number = lib.call_number(arch.encode(), call.encode())
    assert number >= 0
    return program.run(lib.arch_audit(arch.encode()), number, args).value


@pytest.mark.parametrize("arch", ARCHES)
def test_default_filter_has_the_numbers_of_each_architecture(arch: str) -> None:
    is_mips = arch.startswith("mips")
    push, other = (0x5472, 0x5412) if is_mips else (0x5412, 0x5472)  # TIOCSTI
    denied, enosys, no_family = (
        lib.SECCOMP_RET_ERRNO | number for number in (1, 89 if is_mips else 38, 124 if is_mips else 97)
    )
    allowed = lib.SECCOMP_RET_ALLOW
    assert default_verdict(arch, "ioctl", 0, push) == denied
    assert default_verdict(arch, "ioctl", 0, other) == allowed
    assert [default_verdict(arch, name) for name in ("clone3", "io_uring_setup")] == [enosys] * 2
    assert [default_verdict(arch, "socket", family) for family in (1, 38, 40)] == [
        allowed,
        no_family,
        no_family,
    ]
    assert [default_verdict(arch, "clone", flags) for flags in (0x3D0F00, 0x11, 0x10000011)] == [
        *[allowed] * 2,
        denied,
    ]


def test_default_filter_denies_a_call_unless_its_capability_was_given() -> None:
    sys_admin, sys_time = 1 << 21, 1 << 25
    for call, capability in (("mount", sys_admin), ("clone3", sys_admin), ("adjtimex", sys_time)):
        assert default_verdict("x86_64", call) != lib.SECCOMP_RET_ALLOW
        assert default_verdict("x86_64", call, capabilities=capability) == lib.SECCOMP_RET_ALLOW
    everything = (1 << 41) - 1
    for call in ("keyctl", "io_uring_setup", "move_pages"):
        assert default_verdict("x86_64", call, capabilities=everything) != lib.SECCOMP_RET_ALLOW
