# SPDX-License-Identifier: MIT
"""Processes that a test starts: each is waited for, with a limit, and known to the leak check afterwards."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import pytest
from result import Result

# an emulated machine is ten times as slow, and two of them share this one
SLOWER = 5 if "STOCKADE_GUEST" in os.environ else 1
# the one limit of every process that a test starts: many times what the longest takes, for the machine may be busy
TIMEOUT_S = 120 if SLOWER == 1 else 300
SETTLE_S = 5 * SLOWER  # the kernel ends a PID namespace by itself, and tells nobody when it has

Process: TypeAlias = "subprocess.Popen[str]"


def until(
    is_done: Callable[[], object],
    what: str,
    limit_s: float = TIMEOUT_S,
    found: Callable[[], object] = lambda: "",
) -> None:
    """Poll for something that no descriptor reports. Fails the test when the time is up, with what is `found` then."""
    end = time.monotonic() + limit_s
    while True:
        start = time.monotonic()
        if is_done():
            return
        now = time.monotonic()
        if now > end:
            pytest.fail(f"{what}: not within {limit_s} s {found()}".rstrip())
        # what is waited for has one processor with this: at least four fifths of it
        time.sleep(min(max(0.002, 4 * (now - start)), 0.5))


def finish(process: Process, text: str | None = None) -> Result:
    """Wait for a process, at most TIMEOUT_S, and return what it said."""
    try:
        out, err = process.communicate(text, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        process.kill()
        process.wait()  # no more: what it has started may hold the pipes for ever
        said = "".join((part or b"").decode(errors="replace") for part in (late.stdout, late.stderr))
        raise AssertionError(f"{process.args!r}: no end within {TIMEOUT_S} s; it said\n{said}") from None
    code = process.returncode
    return Result(code if code >= 0 else 128 - code, out or "", err or "")


started: list[Process] = []  # by the test that runs


def start(*command: object, **options: object) -> Process:
    """Start a command with pipes for what it says; close its stdin to end a probe that stays."""
    pipe = subprocess.PIPE
    settings = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "text": True, **options}
    process: Process = subprocess.Popen([str(word) for word in command], **settings)  # type: ignore[call-overload]
    started.append(process)
    return process


def run(*command: object, **options: object) -> Result:
    return finish(start(*command, **{"stdin": subprocess.DEVNULL, **options}))


def first_line(process: Process, limit_s: float = TIMEOUT_S) -> str:
    """The next line that it says. Fails the test when the time is up, with what else it has said."""
    assert process.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()  # all that it has started dies with it, and nobody has the pipe open any more

    timer = threading.Timer(limit_s, end)
    timer.start()
    try:
        line = process.stdout.readline().strip()
    finally:
        timer.cancel()
    if late.is_set():
        raise AssertionError(f"no line within {limit_s} s, {line!r} and then: {finish(process)!r}")
    return line


def wait_ready(process: Process) -> None:
    """Read up to the probe's "ready"."""
    lines: list[str] = []
    while (line := first_line(process)) != "ready":
        if not line:
            raise AssertionError(f"not ready: {lines} {finish(process)!r}")
        lines.append(line)
