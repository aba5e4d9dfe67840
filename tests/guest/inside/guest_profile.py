# SPDX-License-Identifier: MIT
"""A plugin for pytest in a guest, which is slow: properties get fewer examples and no deadline.

The slowest, mips, leave the unit tests of other targets' filters to the other machines. What the
compiler makes there for other targets is still compared, byte for byte (test_filters.py).

STOCKADE_FAILED names the file that the tests that failed are written to, STOCKADE_AGAIN such a file of which
only those tests are run.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

TARGETS = {"x86_64", "i386", "mips", "mipsel", "arm", "aarch64", "riscv64"}
ARCH = os.environ["STOCKADE_GUEST"]
IS_SLOW = ARCH.startswith("mips")
EXAMPLES = 5 if IS_SLOW else 10

settings.register_profile("guest", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
settings.load_profile("guest")


def fewer_examples(item: pytest.Item) -> None:
    """Also where a test says how many: hypothesis keeps that on the test function."""
    function: Any = getattr(item, "obj", None)
    own = getattr(function, "_hypothesis_internal_use_settings", None)
    if own is not None and own.max_examples > EXAMPLES:
        target = getattr(function, "__func__", function)
        target._hypothesis_internal_use_settings = settings(own, max_examples=EXAMPLES)


def is_of_another_target(item: pytest.Item) -> bool:
    words = item.name.partition("[")[2].rstrip("]").split("-")
    return "unit" in item.path.parts and bool((TARGETS - {ARCH}) & set(words))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        fewer_examples(item)
    left_out = [item for item in items if is_of_another_target(item)]
    if again := os.environ.get("STOCKADE_AGAIN"):
        wanted = set(Path(again).read_text().splitlines())
        left_out = [item for item in items if item.nodeid not in wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if "STOCKADE_FAILED" in os.environ:
        found = [report for key in ("failed", "error") for report in terminalreporter.stats.get(key, [])]
        lines = sorted({f"{report.nodeid}\n" for report in found})
        Path(os.environ["STOCKADE_FAILED"]).write_text("".join(lines))
