# SPDX-License-Identifier: MIT
"""The start-up sets: real programs get to main behind door 1 with a policy that allows nothing itself.

Each program is killed at the first call of its main, so that none of them does anything here. Which door is on is
read from a trace: the launcher's seccomp() is the first, the shim's the second.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Host

SAMPLE = 110
# their constructors do what no set should allow: start threads, execute themselves again
ODD = {"qemu-system-x86_64-microvm", "crun"}


def is_dynamic_glibc(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(4096)
    return head.startswith(b"\x7fELF") and b"/ld-linux" in head and not path.stat().st_mode & 0o6000


def programs() -> list[Path]:
    """Dynamic programs of the machine, spread over all names."""
    files = {path.resolve() for path in Path("/usr/bin").iterdir() if path.is_file() and path.name not in ODD}
    every = sorted(path for path in files if is_dynamic_glibc(path))
    return every[:: max(1, len(every) // SAMPLE)]


def doors(host: "Host", program: Path, policy: Path) -> tuple[int, str]:
    """How many filters the program got, and what was said."""
    trace = host.folder / "trace"
    result = host.run(
        *("strace", "-f", "-qq", "-s", "0", "-e", "trace=seccomp", "-e", "signal=none", "-o", trace),
        *(host.ujail, "-n", "t", "-d", "1", "-p", "-S", policy, "--", program),
    )
    lines = [line for line in trace.read_text().splitlines() if " seccomp(SECCOMP_SET_MODE_FILTER" in line]
    return len([line for line in lines if "= -1" not in line]), result.err


def test_programs_get_to_main_with_the_start_up_set_alone(host: "Host") -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    policy = host.folder / "nothing.json"
    policy.write_text('{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": []}')
    os.chmod(policy, 0o644)
    short = {}
    for program in programs():
        number, said = doors(host, program, policy)
        if number != 2:
            short[program.name] = said
    assert not short
