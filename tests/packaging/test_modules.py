# SPDX-License-Identifier: MIT
"""What the script that lists modules sees in a source, and what the image believes of its console."""

import ast

import pytest

from buildroot.image.boot import Booted
from buildroot.python_modules import named_in


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


def test_lines_of_the_check() -> None:
    booted = Booted()
    for words in (
        "good all services run",
        "number up-s 14.5",
        "number pss-kib 100",
        "said anything",
        "good end",
    ):
        booted.take(words)
    assert booted.good == ["all services run", "end"]
    assert booted.numbers == {"up-s": 14.5, "pss-kib": 100}
