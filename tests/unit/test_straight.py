# SPDX-License-Identifier: MIT
"""Paths without links, as C tells them; whatever is not sure to be one is followed component by component."""

import os
from pathlib import Path

import pytest

from jail._native import lib


@pytest.fixture
def place(tmp_path: Path) -> str:
    real = tmp_path.resolve()
    (real / "a/b").mkdir(parents=True)
    (real / "a/file").write_text("")
    (real / "a/link").symlink_to("b")
    (real / "way").symlink_to("a")
    return str(real)


@pytest.mark.parametrize("path", ["", "/a", "/a/b", "/a/file"])
def test_what_leads_through_directories_alone_is_straight(place: str, path: str) -> None:
    assert lib.is_straight(os.fsencode(place + path))


@pytest.mark.parametrize(
    "path",
    ["/a/link", "/way/b", "/way", "/a/../a", "/a/.", "/a//b", "/a/", "/none", "/a/none/b", "/a/file/b"]
)  # fmt: skip
def test_links_dots_and_what_is_not_there_are_not(place: str, path: str) -> None:
    assert not lib.is_straight(os.fsencode(place + path))


def test_neither_are_the_root_relative_paths_and_those_that_are_too_long() -> None:
    assert lib.is_straight(b"/proc")
    for path in (b"", b"/", b"proc", b".", b"//proc", b"/" + b"x/" * 4096):
        assert not lib.is_straight(path)
