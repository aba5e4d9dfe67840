# SPDX-License-Identifier: MIT
"""A test that fails once has a second try and is named; one that fails twice has failed."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

# behind what is installed: the checkout's own `jail` has no native module
sys.path.append(str(Path(__file__).resolve().parents[2]))
everything: Any = importlib.import_module("tests.everything")

PROGRAM = """#!{python}
import sys
names = [word for word in sys.argv[1:] if "::" in word]
bad = {bad} if names else {names}
case = '<testcase classname="{{}}" name="{{}}">{{}}</testcase>'
with open(sys.argv[-1].partition("=")[2], "w") as file:
    file.write("<x>" + "".join(case.format("tests.unit.test_a.TestB", name, "<failure/>") for name in bad))
    file.write(case.format("tests.unit.test_a", "good", "") + "</x>")
sys.exit(bool(bad))
"""


def tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], bad: list[str]
) -> tuple[int, list[str]]:
    monkeypatch.setattr(everything, "RESULTS", folder)
    program, junit = folder / "pytest", folder / "here.xml"
    program.write_text(PROGRAM.format(python=sys.executable, names=names, bad=bad))
    program.chmod(0o755)
    part = everything.Part([str(program), f"--junitxml={junit}"], junit)
    again = everything.try_again(part, str(program), junit)
    return part.counts["failed"], again


def test_what_passes_then_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(tmp_path, monkeypatch, ["x[1]"], []) == (0, ["tests/unit/test_a.py::TestB::x[1]"])


def test_what_fails_again_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(tmp_path, monkeypatch, ["x", "y"], ["y"]) == (2, [])


def test_more_than_a_few_have_no_second_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(tmp_path, monkeypatch, ["a", "b", "c", "d"], []) == (4, [])


def test_nothing_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(tmp_path, monkeypatch, [], []) == (0, [])
