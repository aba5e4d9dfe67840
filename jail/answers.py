# SPDX-License-Identifier: MIT
"""How jailctl's commands answer: lines on standard output, lines on stderr, and the exit status."""

import posix

from jail.stdout import show
from jail.words import in_one_line

YES, NO = 0, 1  # what a question was answered with; NO is no failure


def say(line: str) -> None:
    """One line on stderr, in one write."""
    try:
        posix.write(2, f"jailctl: {in_one_line(line)}\n".encode())
    except OSError:
        return


def tell(lines: list[str]) -> None:
    for line in lines:
        say(line)


def print_lines(lines: list[str]) -> None:
    """A policy may be a stranger's: what it says of itself is not to look like what we say of it."""
    show("".join(f"{in_one_line(line)}\n" for line in lines))
