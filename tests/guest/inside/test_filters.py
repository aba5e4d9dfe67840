# SPDX-License-Identifier: MIT
"""The guest's own compiler makes the filters that the host's made, and the guest's kernel gives the verdicts
that they stand for."""

import errno
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bpf import Program
from naive import TARGETS, verdict

from jail.errors import ConfigError
from jail.policy import compile_filter

ARCH = os.environ.get("STOCKADE_GUEST", "")
EXPECTED = os.environ.get("STOCKADE_EXPECTED", "")
KERNEL = 6 << 16 | 1
CASES: list[dict[str, Any]] = json.loads(Path(EXPECTED).read_text()) if EXPECTED else []
TRIED = [case for case in CASES if case["calls"] and case["code"]]
KILL_PROCESS, TRAP, ERRNO, LOG, ALLOW = 0x80000000, 0x30000, 0x50000, 0x7FFC0000, 0x7FFF0000

pytestmark = pytest.mark.skipif(not ARCH, reason="only in a guest")


def made(case: dict[str, Any]) -> tuple[str, str]:
    """The code in hex, or the error."""
    startup = case["startup"]
    try:
        code = compile_filter(
            case["policy"].encode(),
            case["arch"],
            path=case["name"],
            startup=startup.encode() if startup else None,
            door1=startup is not None,
            exec_pin=(0x1122334455667788, 0x7FFF0000, 0x10) if startup else (0, 0, 0),
            kernel=KERNEL,
        ).code
    except ConfigError as refused:
        return "", str(refused)
    return code.hex(), ""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_filter_made_here_is_the_one_made_on_the_host(case: dict[str, Any]) -> None:
    assert made(case) == (case["code"], case["error"])


def is_as_said(value: int, result: int, error: int, killer: int) -> bool:
    """Whether what a call did is what a filter's value means."""
    action = value & 0xFFFF0000
    if action == ERRNO:
        # errno 0 means that the call is left out and returns 0
        return (result, error, killer) == ((-1, value & 0xFFFF, 0) if value & 0xFFFF else (0, 0, 0))
    if action in (KILL_PROCESS, TRAP, 0):
        return killer == signal.SIGSYS
    assert action in (LOG, ALLOW)
    return (result >= 0 or error == errno.EINVAL) and killer == 0


def verdicts(tmp_path: Path, case: dict[str, Any], kind: str) -> list[str]:
    """What the kernel said to each call of a case, one line each."""
    code = tmp_path / "filter"
    code.write_bytes(bytes.fromhex(case["code"]))
    lines = "".join(" ".join(map(str, call)) + "\n" for call in case["calls"])
    program = Path(os.environ["STOCKADE_PREBUILT"]) / f"verdicts-{kind}"
    done = subprocess.run([program, code], input=lines, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.root
@pytest.mark.parametrize("kind", ["glibc", "musl"])
@pytest.mark.parametrize("case", TRIED, ids=[case["name"] for case in TRIED])
def test_kernel_gives_the_verdict_that_the_policy_asks_for(
    tmp_path: Path, case: dict[str, Any], kind: str
) -> None:
    program = Program(bytes.fromhex(case["code"]), big_endian=ARCH == "mips")
    target = next(target for target in TARGETS if target.name == ARCH)
    policy = json.loads(case["policy"])
    answers = verdicts(tmp_path, case, kind)
    assert len(answers) == len(case["calls"])
    wrong = []
    for call, answer in zip(case["calls"], answers, strict=True):
        words = (target.audit, call[0], tuple(call[1:]))
        value = verdict(policy, target, *words)
        if program.run(*words)[0] != value:
            wrong.append(f"{call}: the policy says {value:#x}, the filter {program.run(*words)[0]:#x}")
        result, error, killer = map(int, answer.split())
        if not is_as_said(value, result, error, killer):
            wrong.append(f"{call}: the policy says {value:#x}, the kernel {answer}")
    assert not wrong, "\n".join(wrong)
