# SPDX-License-Identifier: MIT
"""Who the ids of a user namespace are outside: words, ranges of files, and what cannot be."""

import os
from pathlib import Path

import pytest

from jail import idmap
from jail.errors import ConfigError, UsageError
from jail.ids import Identity
from jail.spec import JailSpec

OUTSIDE = Identity(65534, 65534, (65534,), "nobody")


def spec(**attributes: object) -> JailSpec:
    made = JailSpec("x", ["/bin/true"])
    made.userns = True
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    "text", ["", "1", "1:2", "1:2:3:4", "a:1:1", "1:-1:1", "0:0:0", "5:4294967290:9", "1:²:1"]
)
def test_words_that_are_no_range(text: str) -> None:
    with pytest.raises(UsageError):
        idmap.parse("uidmap", text)


def test_root_is_added_unless_it_is_given(tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    assert idmap._lines("uidmap", 9, [], none, OUTSIDE) == [(0, 9, 1)]
    assert idmap._lines("uidmap", 9, ["1:100:5"], none, OUTSIDE) == [(0, 9, 1), (1, 100, 5)]
    assert idmap._lines("uidmap", 9, ["0:100:5"], none, OUTSIDE) == [(0, 100, 5)]


def test_files_give_ranges_to_names_and_numbers(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("# comment\nnobody:1000:10\nelse:5:5\n65534:3000:2\nbroken\n")
    assert idmap._lines("uidmap", 9, [], str(file), OUTSIDE) == [(0, 9, 1), (1, 1000, 10), (11, 3000, 2)]


@pytest.mark.parametrize("row", ["nobody:5:10", "nobody:x:1", "nobody:1000:2\nnobody:1001:2"])
def test_file_that_gives_ids_twice_is_refused(tmp_path: Path, row: str) -> None:
    file = tmp_path / "subuid"
    file.write_text(row + "\n")
    with pytest.raises(ConfigError):
        idmap._lines("uidmap", 9, [], str(file), OUTSIDE)


def test_groups_of_the_user_are_the_same_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    user = Identity(500, 500, (500, 0, 27, 44), "user")
    monkeypatch.setattr(idmap, "lookup", lambda *names: user)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    maps = idmap.make_maps(spec(user="user", uidmap=["1:9000:1"], gidmap=["27:9000:1"]))
    assert maps.uids == [(0, 500, 1), (1, 9000, 1)]
    assert (maps.gids, maps.groups) == ([(0, 500, 1), (27, 9000, 1), (44, 44, 1)], (44,))
    assert maps.root().groups == (0, 44)


def test_ordinary_user_has_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 77)
    monkeypatch.setattr(os, "getegid", lambda: 88)
    maps = idmap.make_maps(spec())
    assert (maps.uids, maps.gids, maps.is_own, maps.root().groups) == ([(0, 77, 1)], [(0, 88, 1)], True, ())
    for asked in ({"user": "root"}, {"uidmap": ["1:1:1"]}):
        with pytest.raises(UsageError):
            idmap.make_maps(spec(**asked))


def test_terminals_have_their_group_where_it_is_mapped() -> None:
    assert idmap.IdMaps([(0, 1, 1)], [(0, 1, 1)]).terminals() == 0
    assert idmap.IdMaps([(0, 1, 1)], [(0, 1, 1), (1, 1000, 9)]).terminals() == 5
