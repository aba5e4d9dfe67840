# SPDX-License-Identifier: MIT
"""paths.py says what os and os.path say, which it stands in for."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jail import paths

WORDS = st.lists(st.sampled_from(("", ".", "..", "a", "b c", "é")), max_size=6)


@given(WORDS)
def test_a_name_is_taken_apart_as_os_path_does(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert paths.basename(path) == os.path.basename(path)
    assert paths.dirname(path).rstrip("/") == os.path.dirname(path).rstrip("/")
    # two slashes in front mean one here, as they do to the kernel
    assert paths.normal(path) == "/" + os.path.normpath(path).lstrip("/")
    assert paths.absolute(path) == paths.normal(path)


def test_a_relative_name_counts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.absolute("a/../b") == f"{tmp_path}/b"
    assert paths.basename("b") == "b"
    assert paths.dirname("b") == ""


def test_names_that_are_no_text_come_and_go() -> None:
    assert paths.as_name(b"a\xff") == os.fsdecode(b"a\xff")
    assert paths.as_bytes(paths.as_name(b"a\xff")) == b"a\xff"
    assert paths.is_encodable("a\udcff")
    assert not paths.is_encodable("a\ud800")


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "nowhere").symlink_to("nothing")
    assert paths.is_directory(f"{tmp_path}/link")
    assert paths.exists(f"{tmp_path}/link")
    assert not paths.exists(f"{tmp_path}/nowhere")
    assert not paths.is_directory(f"{tmp_path}/nowhere")
    assert not paths.exists("/a\0b")
    assert not paths.is_directory("/a\0b")


@pytest.mark.parametrize("name", ["folder", "link", "link/x", "folder/../link", "folder/", "nowhere", "gone"])
def test_a_real_path_is_that_of_os_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "nowhere").symlink_to("nothing")
    assert paths.real(f"{tmp_path}/{name}") == os.path.realpath(f"{tmp_path}/{name}")


def test_a_strict_real_path_is_there(tmp_path: Path) -> None:
    assert paths.real(str(tmp_path), strict=True) == os.path.realpath(tmp_path)
    with pytest.raises(FileNotFoundError):
        paths.real(f"{tmp_path}/gone", strict=True)
