# SPDX-License-Identifier: MIT
"""The whole command, from the start of the process to its end, around /bin/true."""

from contenders import NOTES, floor, numbered, others, ujail
from report import Row, Section
from timing import Command, median, spread, take_turns
from workshop import Layout, Workshop

TRUE = ["/bin/true"]
MAX_OF_PYTHON = 1.6
MAX_OF_FIREJAIL = 0.5


def measure(shop: Workshop, rounds: int) -> list[Section]:
    return [_measure(shop, rounds, policy) for policy in (False, True)]


def _measure(shop: Workshop, rounds: int, policy: bool) -> Section:
    section = Section(
        f"Whole command around /bin/true, {'with' if policy else 'without'} a seccomp policy",
        f"posix_spawn to waitpid, {rounds} turns each after one to warm up",
        ratio_to="to the floor",
    )
    layout = Layout(shop.spec(TRUE))
    commands = [
        floor(shop, layout, TRUE, policy),
        Command("python3 -I -S -c pass", [shop.python, "-I", "-S", "-c", "pass"]),
        ujail(shop, TRUE, policy),
        *(numbered(command, 0) for command in others(shop, layout, TRUE, policy)),
    ]
    works = []
    for command in commands:
        status = command.status(quiet=True)
        if status:
            section.say(f"{command.name}: left out, status {status}")
        else:
            works.append(command)
    samples = take_turns({command.name: command.time_ns for command in works}, rounds)
    middle = {name: median(times) for name, times in samples.items()}
    for name, times in samples.items():
        note = NOTES.get(name, "")
        if policy and name == "firejail":
            note = "its default filter"
        ratio = middle[name] / middle["floor"]
        section.add(Row(name, middle[name] / 1e6, "ms", spread(times, 1e6), ratio, note=note))
    quick = {name: spread(times)[0] for name, times in samples.items()}
    for other, limit in (("python3 -I -S -c pass", MAX_OF_PYTHON), ("firejail", MAX_OF_FIREJAIL)):
        _judge(section, middle, quick, other, None if policy else limit)
    return section


def _judge(
    section: Section, middle: dict[str, float], quick: dict[str, float], other: str, limit: float | None
) -> None:
    """Our ratio to another; the ratio of the 10th percentiles stands beside it, for a busy machine."""
    if other not in middle or "ujail" not in middle:
        section.say(f"ujail / {other}: not measured")
        return
    ratio = middle["ujail"] / middle[other]
    row = Row(f"ujail / {other}", ratio, "x", note=f"of the p10: {quick['ujail'] / quick[other]:.2f}")
    if limit:
        row.budget, row.ok = f"<= {limit} x", ratio <= limit
    section.add(row)
