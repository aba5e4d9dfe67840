# SPDX-License-Identifier: MIT
"""The start-up sets: real programs get to main behind door 1 with a policy that allows nothing itself.

Each program is killed at the first call of its main, so that none of them does anything here. That it got
there is seen from the shim, which prints door 2 right before it closes it.
"""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

# a jail each, which takes an emulated machine up to a second
SAMPLE = 6 if "STOCKADE_GUEST" in os.environ else 120
LOADERS = (b"/ld-linux", b"/lib/ld.so.1\0")  # mips has the second
# Their constructors do what no set should allow: execute themselves again, start threads, place memory
# (libnuma). A policy for them has a `startup` of its own
ODD = ("crun", "memusagestat", "perf", "qemu-")
DOOR2 = "0: code "


def is_dynamic_glibc(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(4096)
    return (
        head.startswith(b"\x7fELF")
        and any(name in head for name in LOADERS)
        and not path.stat().st_mode & 0o6000
    )


def programs() -> list[Path]:
    """Dynamic programs of the machine, spread over all names."""
    files = {path.resolve() for path in Path("/usr/bin").iterdir() if path.is_file()}
    every = sorted(path for path in files if is_dynamic_glibc(path) and not path.name.startswith(ODD))
    return every[:: max(1, len(every) // SAMPLE)]


@pytest.fixture
def nothing(host: "Host") -> Path:
    """A policy that allows no call at all."""
    policy = host.folder / "nothing.json"
    policy.write_text('{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": []}')
    policy.chmod(0o644)
    return policy


def test_programs_get_to_main_with_the_start_up_set_alone(host: "Host", nothing: Path) -> None:
    short = {}
    sample = programs()
    assert sample
    for program in sample:
        result = host.jail("-n", "t", "-p", "-S", nothing, "-e", "SECCOMP_DEBUG=1", "--", program)
        if DOOR2 not in result.err or result.status != 128 + signal.SIGSYS:
            short[program.name] = result
    assert not short


@pytest.mark.parametrize("kind", ["glibc", "musl"])
def test_dynamic_program_gets_to_main_with_the_start_up_set_alone(
    host: "Host", nothing: Path, kind: str
) -> None:
    options = ("-S", nothing, "-e", "SECCOMP_DEBUG=1")
    assert DOOR2 in host.probe("show", options=options, kind=kind).err


@pytest.mark.parametrize("kind", ["static-glibc", "static-musl"])
def test_static_program_gets_to_main_with_the_start_up_set_alone(host: "Host", kind: str) -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    result = host.probe("script", "x", options=("-S", policy), kind=kind)
    assert result.status == 0, result
