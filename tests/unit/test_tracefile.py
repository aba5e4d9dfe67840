# SPDX-License-Identifier: MIT
"""Where a trace goes: nothing is followed, nothing is overwritten, nothing half-written is seen."""

import os
from pathlib import Path

import pytest

from jail.errors import JailError
from jail.tracefile import TraceFile, beside, default_path, read_earlier


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


def placed(tmp_path: Path, *programs: str, replace: bool = True) -> list[str]:
    """What of each program's policy comes to be: the name of its file."""
    taken: set[str] = set()
    files = [beside(f"{tmp_path}/t", program, taken, replace=replace) for program in programs]
    paths = [file.commit(program) for file, program in zip(files, programs, strict=True)]
    assert [Path(path).read_text() for path in paths] == list(programs)
    assert all(Path(path).parent == tmp_path for path in paths)
    return [Path(path).name for path in paths]


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/usr/bin/g++", "t.g++"),
        ("/usr/bin/[", "t._"),
        ("/memfd:a b (deleted)", "t.memfd:a_b__deleted_"),
        ("/a/../../etc/x", "t.x"),
        ("/a/..", "t..."),
        ("/a/.profile", "t..profile"),
        ("/a/\x1b]0;x\n$(rm)", "t.__0_x___rm_"),
        ("/a/\\xff\u00e9\u202e", "t._xff__"),
        ("/a/" + "l" * 255, "t." + "l" * 219),
        ("", "t."),
    ],
)
def test_name_of_a_traced_program_is_a_plain_one(tmp_path: Path, program: str, name: str) -> None:
    assert placed(tmp_path, program) == [name]


def test_equal_names_and_those_that_become_so_get_numbers(tmp_path: Path) -> None:
    assert placed(tmp_path, "/a/x", "/b/x", "/c/x.1", "/c/x y", "/c/x_y") == [
        *("t.x", "t.x.1", "t.x.1.1", "t.x_y", "t.x_y.1")
    ]


def test_what_a_traced_program_has_put_there_is_neither_opened_nor_replaced(tmp_path: Path) -> None:
    """An earlier run's file is: it is a plain one of ours."""
    (tmp_path / "t.link").symlink_to("/dev/null")
    (tmp_path / "t.precious").symlink_to("precious")
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "t.folder").mkdir()
    os.mkfifo(tmp_path / "t.pipe")  # without a reader: who opens it waits
    (tmp_path / "t.earlier").write_text("earlier")
    names = ("link", "precious", "folder", "pipe")
    assert placed(tmp_path, *names, "earlier") == [*(f"t.{name}.1" for name in names), "t.earlier"]
    assert (tmp_path / "precious").read_text() == "precious" and (tmp_path / "t.link").is_symlink()
    assert placed(tmp_path, "earlier", replace=False) == ["t.earlier.1"]


def test_other_users_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.x").write_text("another's")
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    assert placed(tmp_path, "/x") == ["t.x.1"]


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
