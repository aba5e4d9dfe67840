# SPDX-License-Identifier: MIT
"""System calls that it takes to set up a jail, by strace, and mounts in it, by /proc/PID/mountinfo."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from contenders import floor, numbered, others, ujail
from crowd import descendants
from report import Row, Section
from timing import Command
from workshop import HERE, Layout, Workshop

MAX_MOUNTS = 8
MAX_CALLS = 200
TRUE = ["/bin/true"]
SLEEP = ["/bin/sleep", "1000"]
CALL = re.compile(r"(\d+) +(\w+)\((.*)")
RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
MARK = "umask(04321)"


def measure(shop: Workshop, rounds: int) -> list[Section]:
    return [_calls(shop), _mounts(shop)]


# --- system calls ---


def trace(shop: Workshop, argv: list[str]) -> list[str]:
    log = shop.root / "strace"
    line = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), "--", *argv]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    return log.read_text(errors="replace").splitlines()


def count(lines: list[str], program: str = "", parent_only_between_marks: bool = False) -> Counter[str]:
    """Count calls by name. A process counts until it has executed `program` or, of ours, the stub.

    `parent_only_between_marks`: of the first process only what lies between the two marks.
    """
    found: Counter[str] = Counter()
    first = lines[0].split()[0]
    done: set[str] = set()
    executing: dict[str, str] = {}
    marks = 0
    for line in lines:
        resumed = RESUMED.match(line)
        if resumed:
            pid, name, rest = resumed[1], resumed[2], resumed[3]
            if (
                name.startswith("execve")
                and rest.endswith("= 0")
                and _is_end(executing.get(pid, ""), program)
            ):
                done.add(pid)
            continue
        call = CALL.match(line)
        if not call:
            continue
        pid, name, rest = call[1], call[2], call[3]
        if parent_only_between_marks and pid == first:
            if MARK in line:
                marks += 1
                continue
            if marks != 1:
                continue
        if pid in done:
            continue
        found[name] += 1
        if name.startswith("execve"):
            executing[pid] = rest
            if rest.endswith("= 0") and _is_end(rest, program):
                done.add(pid)
    return found


def _is_end(arguments: str, program: str) -> bool:
    return arguments.startswith(f'"{program}"') or ', "", ["ujail-init", "init"' in arguments


def _calls(shop: Workshop) -> Section:
    section = Section(
        "System calls to set up a minimal jail around /bin/true",
        "strace -f. launch: the parent's calls in it, both children's up to and with their exec; interpreter"
        " and plan left out. Others: whole run without the service's own",
        ratio_to="to the floor",
    )
    if not shutil.which("strace"):
        section.say("strace is not installed: not measured")
        return section
    layout = Layout(shop.spec(TRUE))
    base = count(trace(shop, floor(shop, layout, TRUE).argv), TRUE[0]).total()
    section.add(Row("floor, its own start included", base, "", ratio=1))
    for policy, what in (("", "launch"), (shop.policy, "launch, policy")):
        line = [sys.executable, "-I", str(HERE / "traced.py"), policy, *TRUE]
        lines = trace(shop, line)
        ours = count(lines, TRUE[0], parent_only_between_marks=True)
        total = ours.total()
        section.add(Row(what, total, "", None, total / base, f"<= {MAX_CALLS}", total <= MAX_CALLS))
    most = ", ".join(f"{name} {times}" for name, times in ours.most_common(12))
    section.say(f"the most frequent of the last: {most}")
    for command in [ujail(shop, TRUE), *others(shop, layout, TRUE)]:
        if command.name == "firejail":
            continue  # setuid helpers of its own that do not start under strace's eyes
        lines = trace(shop, numbered(command, "traced").argv)
        total = count(lines, TRUE[0]).total()
        note = "whole command, interpreter and plan included" if command.name == "ujail" else "whole run"
        section.add(Row(command.name, total, "", ratio=total / base, note=note))
    return section


# --- mounts ---


def _mounts(shop: Workshop) -> Section:
    section = Section("Mounts in a minimal jail around sleep", "lines of the service's /proc/PID/mountinfo")
    layout = Layout(shop.spec(SLEEP))
    commands = [floor(shop, layout, SLEEP), ujail(shop, SLEEP), ujail(shop, SLEEP, policy=True)]
    commands[2].name = "ujail, policy"
    commands += [numbered(command, "mounts") for command in others(shop, layout, SLEEP)]
    for command in commands:
        mounts = count_mounts(command)
        judged = command.name == "ujail"
        verdict = mounts <= MAX_MOUNTS if judged and mounts else None
        section.add(Row(command.name, mounts, "", budget=f"<= {MAX_MOUNTS}" if judged else "", ok=verdict))
    return section


def count_mounts(command: Command) -> int | None:
    """Start it, look into the service's mount namespace, end it."""
    pid = command.spawn(quiet=True)
    end = time.monotonic() + 10
    services: list[int] = []
    while not services and time.monotonic() < end:
        time.sleep(0.02)
        services = [each for each, name in descendants().items() if name == "sleep"]
    mounts = None
    for service in services:
        mounts = len(Path(f"/proc/{service}/mountinfo").read_text().splitlines())
        os.kill(service, signal.SIGKILL)
    if not services:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return mounts
