# SPDX-License-Identifier: MIT
"""What the script that lists modules sees in a source, and what the image believes of its console."""

import ast
import io
import os
from typing import Any

import pytest

from buildroot.image.boot import ISSUE, Booted, follow
from buildroot.python_modules import named_in
from tests.guest.shell import GuestError


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os, json.decoder", {"os", "json.decoder"}),
        ("from os import path", {"os", "os.path"}),
        ("def work():\n    import re", {"re"}),
        ("if TYPE_CHECKING:\n    import typing", set()),
        ("if TYPE_CHECKING:\n    import heapq\nelse:\n    import _heapq as heapq", {"_heapq"}),
        ("try:\n    import _blake2\nexcept ImportError:\n    import hashlib", {"_blake2"}),
        ("try:\n    pass\nexcept OSError:\n    import traceback", {"traceback"}),
        ("from . import near", set()),
    ],
)
def test_modules_that_a_source_names(source: str, names: set[str]) -> None:
    assert named_in(ast.parse(source)) == names


class Console:
    """Lines, as a machine says them."""

    def __init__(self, *lines: str) -> None:
        self.lines = [*lines]
        self.stdin = io.BytesIO()  # the machine's keyboard
        self.pid = os.getpid()

    def next_line(self) -> str | None:
        return self.lines.pop(0) if self.lines else None

    def tail(self) -> str:
        return ""


def followed(*lines: str) -> tuple[Booted, str]:
    machine: Any = Console(*lines)
    return follow(machine, machine, "@1 ", "off now"), machine.stdin.getvalue().decode()


def test_lines_of_the_check() -> None:
    lines = ["@1 good all services run", "@1 number up-s 14.5", "@2 good of another run", "@1 said anything"]
    booted, typed = followed(*lines, "@1 number pss-kib 100", "@1 failed this", "@1 good end", "x: off now")
    assert booted.good == ["all services run", "end"] and booted.failed == ["this"] and booted.is_off
    assert booted.numbers.pop("processor-s") >= 0
    assert booted.numbers == {"up-s": 14.5, "pss-kib": 100} and not typed


def test_a_login_is_typed_when_it_is_asked_for_and_not_before() -> None:
    booted, typed = followed(ISSUE, "@1 login ", f"> {ISSUE}", "@1 type tty >x; exit", ISSUE, "login: ")
    assert typed == "root\ntty >x; exit\n" and not booted.is_off


def test_a_panic_is_the_end() -> None:
    with pytest.raises(GuestError, match="Kernel panic"):
        followed("@1 good a", "[ 1.0] Kernel panic - not syncing")
