# SPDX-License-Identifier: MIT
"""What tracing adds to a program, by utrace and by `strace -f -c`: time beyond that of the program alone."""

import os
import shutil
from functools import partial
from pathlib import Path

from report import Row, Section
from timing import Command, median, spread, take_turns
from workshop import Workshop

MAX_OF_STRACE = 0.5
UTRACE, ARGUMENTS, STRACE = "utrace", "utrace --args --paths", "strace -f -c"
# heading → the words for tests/host/busy.c, or a command
WORK: dict[str, tuple[str, ...]] = {
    "300,000 calls of getppid": ("calls", "300000"),
    "four threads, 50,000 calls each": ("threads", "4", "50000"),
    "2,000 children of 50 calls": ("forks", "2000", "50"),
    "find /usr": ("find", "/usr", "-name", "nothing"),
}


def measure(shop: Workshop, rounds: int) -> list[Section]:
    # Under SCHED_RR tracer and tracee are put on different processors, and each stop wakes two of them up,
    # which costs ten times as much and which no user has
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    busy = shop.compile(Path(__file__).resolve().parents[1] / "host" / "busy.c")
    return [_measure(shop, rounds, title, words, busy) for title, words in WORK.items()]


def _measure(shop: Workshop, rounds: int, title: str, words: tuple[str, ...], busy: str) -> Section:
    section = Section(
        f"Tracing: {title}", f"posix_spawn to waitpid, {rounds} turns each", ratio_to="to untraced"
    )
    found = shutil.which(words[0])
    command = [found, *words[1:]] if found else [busy, *words]
    utrace = str(Path(shop.ujail).with_name("utrace"))
    contenders = {
        "untraced": command,
        UTRACE: [utrace, "-f", f"{shop.root}/trace.json", *command],
        ARGUMENTS: [utrace, "-f", f"{shop.root}/trace.json", "--args", "--paths", *command],
    }
    if strace := shutil.which("strace"):
        contenders[STRACE] = [strace, "-f", "-c", "-o", f"{shop.root}/strace", *command]
    else:
        section.say("strace is not installed")
    commands = {name: Command(name, argv) for name, argv in contenders.items()}
    samples = take_turns(
        {name: partial(command.time_ns, quiet=True) for name, command in commands.items()}, rounds
    )
    middle = {name: median(times) for name, times in samples.items()}
    for name, times in samples.items():
        section.add(
            Row(name, middle[name] / 1e6, "ms", spread(times, 1e6), middle[name] / middle["untraced"])
        )
    if STRACE in middle:
        _judge(section, middle, {name: spread(times)[0] for name, times in samples.items()})
    return section


def _judge(section: Section, middle: dict[str, float], quick: dict[str, float]) -> None:
    """What utrace adds to what strace adds; utrace's start, an interpreter's, is in it."""

    def ratio(times: dict[str, float]) -> float:
        return (times[UTRACE] - times["untraced"]) / (times[STRACE] - times["untraced"])

    row = Row(
        "utrace / strace, of what each adds", ratio(middle), "x", note=f"of the p10: {ratio(quick):.2f}"
    )
    row.budget, row.ok = f"<= {MAX_OF_STRACE} x", ratio(middle) <= MAX_OF_STRACE
    section.add(row)
