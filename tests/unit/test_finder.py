# SPDX-License-Identifier: MIT
"""finder.py loads what the interpreter would load, and leaves all else to it."""

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from jail import finder
from jail.finder import Finder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "some.py"
    path.write_text("WHERE = __file__\ndef fail():\n    raise ValueError\n")
    py_compile.compile(str(path))
    return path


def find(source: Path) -> ModuleType | None:
    spec = Finder.find_spec("jail.some", [str(source.parent)])
    if spec is None:
        return None
    module = importlib.util.module_from_spec(spec)
    Finder.exec_module(module)
    return module


def test_a_compiled_module_is_as_python_would_have_it(source: Path) -> None:
    module = find(source)
    usual_spec = importlib.util.spec_from_file_location("jail.some", source)
    assert module and usual_spec and usual_spec.loader
    usual = importlib.util.module_from_spec(usual_spec)
    usual_spec.loader.exec_module(usual)
    for name in ("__name__", "__package__", "__file__", "__cached__", "WHERE"):
        assert getattr(module, name) == getattr(usual, name)
    assert module.fail.__code__ == usual.fail.__code__


def test_it_names_its_place_in_a_traceback(source: Path, tmp_path: Path) -> None:
    py_compile.compile(str(source), dfile="/elsewhere/some.py")
    module = find(source)
    assert module and module.fail.__code__.co_filename == str(source)


def test_a_source_that_was_changed_is_left_to_the_interpreter(source: Path) -> None:
    info = source.stat()
    os.utime(source, (info.st_atime, info.st_mtime + 2))
    assert find(source) is None
    os.utime(source, (info.st_atime, info.st_mtime))
    assert find(source)
    source.write_text(source.read_text() + "\n")
    os.utime(source, (info.st_atime, info.st_mtime))
    assert find(source) is None


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\0" * 64])
def test_a_damaged_file_is_left_to_the_interpreter(source: Path, data: bytes) -> None:
    Path(importlib.util.cache_from_source(str(source))).write_bytes(data)
    assert find(source) is None


def test_what_is_checked_by_its_contents_is_left_to_the_interpreter(source: Path) -> None:
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    assert find(source) is None


def test_what_is_not_to_be_checked_is_taken_whatever_the_source(source: Path) -> None:
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    os.utime(source, (0, 0))
    assert find(source)


def test_without_a_compiled_form_it_is_left_to_the_interpreter(source: Path) -> None:
    Path(importlib.util.cache_from_source(str(source))).unlink()
    assert find(source) is None


@pytest.mark.parametrize("mode", py_compile.PycInvalidationMode)
def test_without_a_source_what_lies_in_its_place_is_taken(
    source: Path, mode: py_compile.PycInvalidationMode
) -> None:
    beside = source.with_suffix(".pyc")
    py_compile.compile(str(source), str(beside), invalidation_mode=mode)
    Path(importlib.util.cache_from_source(str(source))).unlink()
    assert find(source) is None  # the source comes first
    source.unlink()
    module = find(source)
    if mode is py_compile.PycInvalidationMode.CHECKED_HASH:
        assert module is None
        return
    usual_spec = importlib.util.spec_from_file_location("jail.some", beside)
    assert module and usual_spec and usual_spec.loader
    usual = importlib.util.module_from_spec(usual_spec)
    usual_spec.loader.exec_module(usual)
    for name in ("__name__", "__package__", "__file__", "__cached__", "WHERE"):
        assert getattr(module, name) == getattr(usual, name)
    beside.write_bytes(beside.read_bytes()[:12])
    assert find(source) is None


def test_modules_of_others_are_not_looked_for(source: Path) -> None:
    assert Finder.find_spec("some", [str(source.parent)]) is None
    assert Finder.find_spec("other.some", [str(source.parent)]) is None
    assert Finder.find_spec("jail", None) is None


def test_packages_and_extensions_are_found_as_ever() -> None:
    folder = Path(finder.__file__).parent
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from jail import finder; finder.install();"
        "import jail.plan, jail._native, initd.ubus.wire;"
        "print(jail.plan.__spec__.loader is finder.Finder, jail._native.__spec__.loader is finder.Finder)"
    )
    command = [sys.executable, "-IS", "-c", code, str(folder.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout == "True False\n", done.stderr
