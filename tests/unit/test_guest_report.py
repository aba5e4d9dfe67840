# SPDX-License-Identifier: MIT
"""What a run of the guests is told from: skips that nobody allowed, allowed ones that hide nothing, second tries."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PLACE = Path(__file__).resolve().parents[1] / "guest/report.py"
CASE = '<testcase classname="tests.host.test_x" name="test_{name}">{verdict}</testcase>'
SKIPPED = '<skipped message="no {what}"/>'
FAILED = "<failure/>"


def suite(**verdicts: str) -> str:
    return "".join(CASE.format(name=name, verdict=verdict) for name, verdict in verdicts.items())


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with two allowed skips."""
    spec = importlib.util.spec_from_file_location("guest_report", PLACE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    allowed = tmp_path / "allowed"
    allowed.write_text("# why\n* | tests/host/test_x.py::test_a | no gcc\nmips | *::test_b | no *\n")
    monkeypatch.setattr(module, "ALLOWED", allowed)
    return module


def write(folder: Path, **suites: str) -> Path:
    folder.mkdir()
    for name, text in suites.items():
        (folder / f"{name.replace('_', '-')}.xml").write_text(
            f"<testsuites><testsuite>{text}</testsuite></testsuites>"
        )
    return folder


def test_skip_that_is_not_in_the_list_is_told(report: ModuleType, tmp_path: Path) -> None:
    text = suite(a=SKIPPED.format(what="gcc"), b=SKIPPED.format(what="strace"), c="")
    i386 = report.Outcome("i386", write(tmp_path / "i386", junit_host=text))
    mips = report.Outcome("mips", write(tmp_path / "mips", junit_host=text))
    assert (i386.passed, len(i386.skipped)) == (1, 2)
    assert i386.not_allowed == [("tests/host/test_x.py::test_b", "no strace")]
    assert mips.not_allowed == []


def test_line_that_nothing_was_skipped_by_is_told(report: ModuleType, tmp_path: Path) -> None:
    both = suite(a=SKIPPED.format(what="gcc"), b=SKIPPED.format(what="strace"))
    mips = report.Outcome("mips", write(tmp_path / "mips", junit_host=both))
    assert report.unused_rules([mips]) == []
    i386 = report.Outcome("i386", write(tmp_path / "i386", junit_host=both))
    assert report.unused_rules([i386]) == [("mips", "*::test_b", "no *")]
    none = report.Outcome("x86_64", write(tmp_path / "x86_64", junit_host=suite(a="", b="")))
    assert len(report.unused_rules([none])) == 2


def test_second_try_counts_if_every_case_of_it_passed(report: ModuleType, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "mips",
        junit_host=suite(once=FAILED, twice=FAILED, good=""),
        again_host=suite(once="", twice=FAILED),
    )
    seen = report.Outcome("mips", folder)
    assert seen.again == ["tests/host/test_x.py::test_once"]
    assert seen.failed == ["tests/host/test_x.py::test_twice"]
    assert seen.passed == 2
