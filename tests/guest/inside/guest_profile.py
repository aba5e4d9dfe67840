# SPDX-License-Identifier: MIT
"""A plugin for pytest in a guest, which is slow: properties get fewer examples and no deadline.

The slowest, mips, leave the unit tests of other targets' filters to the other machines. What the
compiler makes there for other targets is still compared, byte for byte (test_filters.py).

With STOCKADE_ONCE, each test that guest/once.txt names runs in one guest only.
STOCKADE_FAILED names the file that the tests that failed are written to, STOCKADE_AGAIN such a file of which
only those tests are run.
"""

import gc
import os
import sys
import zlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

TARGETS = {"x86_64", "i386", "mips", "mipsel", "arm", "aarch64", "riscv64"}
TAKERS = ("x86_64", "i386")  # the quick ones
ARCH = os.environ["STOCKADE_GUEST"]
ONCE = Path(__file__).resolve().parents[1] / "once.txt"
IS_SLOW = ARCH.startswith("mips")
EXAMPLES = 5 if IS_SLOW else 10


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Import hypothesis only for a file that does: it takes mips as long as a dozen tests."""
    if "hypothesis" not in sys.modules and b"hypothesis" in module_path.read_bytes():
        from hypothesis import settings

        settings.register_profile(
            "guest", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None
        )
        settings.load_profile("guest")


def fewer_examples(item: pytest.Item) -> None:
    """Also where a test says how many: hypothesis keeps that on the test function."""
    from hypothesis import settings

    function: Any = getattr(item, "obj", None)
    own = getattr(function, "_hypothesis_internal_use_settings", None)
    if own is not None and own.max_examples > EXAMPLES:
        target = getattr(function, "__func__", function)
        target._hypothesis_internal_use_settings = settings(own, max_examples=EXAMPLES)


def is_of_another_target(item: pytest.Item) -> bool:
    words = item.name.partition("[")[2].rstrip("]").split("-")
    return "unit" in item.path.parts and bool((TARGETS - {ARCH}) & set(words))


def once() -> list[str]:
    """The patterns of tests that run in one guest only."""
    lines = ONCE.read_text().splitlines() if "STOCKADE_ONCE" in os.environ else []
    return [line for line in lines if line and not line.startswith("#")]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import a file of which nothing runs here."""
    if ARCH in TAKERS or collection_path.suffix != ".py":
        return None
    name = f"{collection_path.relative_to(config.rootpath)}::"
    return any(line.endswith("::*") and fnmatchcase(name, line) for line in once()) or None


def is_left_to_another(name: str, patterns: list[str]) -> bool:
    if TAKERS[zlib.crc32(name.encode()) % len(TAKERS)] == ARCH:
        return False
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "hypothesis" in sys.modules:
        for item in items:
            fewer_examples(item)
    patterns = once()
    left_out = [
        item for item in items if is_of_another_target(item) or is_left_to_another(item.nodeid, patterns)
    ]
    if again := os.environ.get("STOCKADE_AGAIN"):
        wanted = set(Path(again).read_text().splitlines())
        left_out = [item for item in items if item.nodeid not in wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]


def pytest_collection_finish() -> None:
    """What was collected lives as long as the process: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if "STOCKADE_FAILED" in os.environ:
        found = [report for key in ("failed", "error") for report in terminalreporter.stats.get(key, [])]
        lines = sorted({f"{report.nodeid}\n" for report in found})
        Path(os.environ["STOCKADE_FAILED"]).write_text("".join(lines))
