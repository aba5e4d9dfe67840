# SPDX-License-Identifier: MIT
"""Users and groups, by name and by number, against a passwd and a group that are made up here."""

import fcntl
import grp
import os
import posix
import pwd
import signal
from pathlib import Path

import pytest

from jail import ids
from jail.errors import ConfigError
from jail.ids import lookup

USERS = [("root", 0, 0), ("dnsmasq", 453, 454)]
GROUPS = [("root", 0), ("dnsmasq", 454), ("dialout", 20), ("audio", 29)]


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    users = [pwd.struct_passwd((name, "x", uid, gid, "", "/", "")) for name, uid, gid in USERS]
    groups = [grp.struct_group((name, "x", gid, [])) for name, gid in GROUPS]
    monkeypatch.setattr(pwd, "getpwnam", {user.pw_name: user for user in users}.__getitem__)
    monkeypatch.setattr(pwd, "getpwuid", {user.pw_uid: user for user in users}.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(grp, "getgrnam", {group.gr_name: group for group in groups}.__getitem__)
    monkeypatch.setattr(grp, "getgrall", lambda: groups)
    members = {"dnsmasq": [29, 20]}
    monkeypatch.setattr(posix, "getgrouplist", lambda name, gid: [gid, *members.get(name, [])])


def test_user_name_gives_ids_and_groups() -> None:
    found = lookup("dnsmasq", None)
    assert (found.uid, found.gid, found.groups) == (453, 454, (454, 20, 29))
    assert found.name == "dnsmasq"


def test_group_replaces_the_users_own() -> None:
    found = lookup("dnsmasq", "dialout")
    assert (found.gid, found.groups) == (20, (20, 29))


def test_number_of_a_known_user_is_that_user() -> None:
    assert repr(lookup("453", None)) == repr(lookup("dnsmasq", None))


def test_number_without_an_entry_is_its_own_group() -> None:
    found = lookup("1234", None)
    assert (found.uid, found.gid, found.groups, found.name) == (1234, 1234, (1234,), "1234")


def test_number_without_an_entry_takes_the_group_given() -> None:
    assert lookup("1234", "5678").groups == (5678,)
    assert lookup("1234", "audio").groups == (29,)


def test_nobody_named_is_root_without_further_groups() -> None:
    found = lookup(None, None)
    assert (found.uid, found.gid, found.groups, found.name) == (0, 0, (0,), "root")


def test_group_alone_leaves_root_the_user() -> None:
    found = lookup(None, "audio")
    assert (found.uid, found.gid, found.groups) == (0, 29, (29,))


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ("dnsmsaq", 'unknown user "dnsmsaq": did you mean "dnsmasq"?'),
        ("postgres", 'unknown user "postgres"'),
        ("", 'unknown user ""'),
        ("a\nb", 'unknown user "a\\nb"'),
        ("+5", 'unknown user "+5"'),
        ("1e3", 'unknown user "1e3"'),
        ("٣", 'unknown user "٣"'),
    ],
)
def test_unknown_user_is_refused(user: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lookup(user, None)
    assert str(caught.value) == told


def test_unknown_group_is_refused_with_a_near_match() -> None:
    with pytest.raises(ConfigError, match=r'^unknown group "dailout": did you mean "dialout"\?$'):
        lookup("dnsmasq", "dailout")


@pytest.mark.parametrize("number", ["-1", "4294967295", "4294967296", "99999999999", "0" * 11])
def test_number_that_is_no_id_is_refused(number: str) -> None:
    for user, group in ((number, None), ("root", number)):
        with pytest.raises(ConfigError, match=r"not an id, which are 0 to 4294967294$"):
            lookup(user, group)


def test_highest_id_is_accepted() -> None:
    assert lookup("4294967294", None).uid == 4294967294


def test_entry_with_an_id_that_means_unchanged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.struct_passwd(("bad", "x", 0xFFFFFFFF, 1, "", "/", ""))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: entry)
    with pytest.raises(ConfigError, match=r'user "bad": its id 4294967295 means "unchanged"'):
        lookup("bad", None)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_name_that_no_file_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"^unknown user"):
        lookup(name, None)
    with pytest.raises(ConfigError, match=r"^unknown group"):
        lookup("0", name)


def test_lease_on_what_is_read_is_an_error_and_no_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service of root's that is shown the file may take one; the C library waits 45 seconds for it."""
    file = tmp_path / "passwd"
    file.write_text("")
    monkeypatch.setattr(ids, "DATABASES", (str(tmp_path / "none"), str(file)))
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    fd = os.open(file, os.O_RDONLY)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(ConfigError, match="passwd: a process holds a lease on it"):
            lookup("dnsmasq", None)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        assert lookup("dnsmasq", None).uid == 453
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, before)


def test_nobody_gets_a_lease_while_names_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passwd"
    file.write_text("")
    monkeypatch.setattr(ids, "DATABASES", (str(file),))
    [held] = ids._hold()
    fd = os.open(file, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        os.close(held)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    finally:
        os.close(fd)
