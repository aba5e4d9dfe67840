# SPDX-License-Identifier: MIT
"""Where a trace goes: nothing is followed, nothing is overwritten, nothing half-written is seen."""

import os
from pathlib import Path

import pytest

from jail.errors import JailError
from jail.tracefile import TraceFile, default_path, read_earlier


def test_file_appears_at_once_and_alone(tmp_path: Path) -> None:
    file = TraceFile(f"{tmp_path}/t", replace=False)
    assert not (tmp_path / "t").exists()
    assert file.commit("text") == f"{tmp_path}/t"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    assert (tmp_path / "t").read_text() == "text"


def test_dropped_file_leaves_nothing(tmp_path: Path) -> None:
    file = TraceFile(f"{tmp_path}/t", replace=True)
    file.drop()
    file.drop()
    assert list(tmp_path.iterdir()) == []


def test_written_file_stays_when_it_is_dropped(tmp_path: Path) -> None:
    file = TraceFile(f"{tmp_path}/t", replace=True)
    file.commit("text")
    file.drop()
    assert (tmp_path / "t").read_text() == "text"


def test_second_trace_of_the_same_name_stands_beside_the_first(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        TraceFile(f"{tmp_path}/t", replace=False).commit(text)
    assert [(tmp_path / name).read_text() for name in ("t", "t.1", "t.2")] == ["one", "two", "three"]


def test_named_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("old")
    TraceFile(f"{tmp_path}/t", replace=True).commit("new")
    assert (tmp_path / "t").read_text() == "new"


@pytest.mark.parametrize("replace", [True, False])
def test_link_is_not_followed(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "t").symlink_to(tmp_path / "precious")
    path = TraceFile(f"{tmp_path}/t", replace=replace).commit("new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert Path(path).read_text() == "new" and not Path(path).is_symlink()


def test_link_to_a_device_is_not_followed_where_anybody_can_put_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "t").symlink_to("/dev/null")
    TraceFile(f"{tmp_path}/t", replace=True).commit("text")
    assert not (tmp_path / "t").is_symlink()
    assert (tmp_path / "t").read_text() == "text"


def test_link_to_a_device_is_followed_where_not(tmp_path: Path) -> None:
    (tmp_path / "t").symlink_to("/dev/null")
    TraceFile(f"{tmp_path}/t", replace=True).commit("text")
    assert (tmp_path / "t").is_symlink()


def test_hidden_name_that_is_taken_is_not_followed_either(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".t.{os.getpid()}.0").symlink_to(tmp_path / "precious")
    TraceFile(f"{tmp_path}/t", replace=True).commit("new")
    assert (tmp_path / "precious").read_text() == "precious"


def test_pipe_is_written_in_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t")
    reader = os.open(tmp_path / "t", os.O_RDONLY | os.O_NONBLOCK)
    TraceFile(f"{tmp_path}/t", replace=True).commit("text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)


@pytest.mark.parametrize("place", ["missing/t", ""])
def test_place_that_cannot_be_written_is_an_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(JailError, match=str(tmp_path)):
        TraceFile(f"{tmp_path}/{place}", replace=True)


def test_default_place() -> None:
    assert default_path("/usr/sbin/dnsmasq", 12) == "/tmp/dnsmasq.json.12"


def test_earlier_trace_is_read_and_no_link_where_anybody_can_put_one(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("old")
    (tmp_path / "link").symlink_to("t")
    assert read_earlier(f"{tmp_path}/none") is None
    assert [read_earlier(f"{tmp_path}/{name}") for name in ("t", "link")] == [b"old", b"old"]
    tmp_path.chmod(0o1777)
    assert read_earlier(f"{tmp_path}/t") == b"old"
    with pytest.raises(OSError):
        read_earlier(f"{tmp_path}/link")
