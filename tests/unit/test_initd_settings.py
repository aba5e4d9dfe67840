# SPDX-License-Identifier: MIT
"""The command line of `initd`: what it understands, what it refuses, and what its manual says."""

import os
import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from initd.main import refuse_second
from initd.settings import OPTIONS, read_settings, usage
from initd.ubus import wire
from initd.ubus.wire import UbusError
from jail.errors import JailError, UsageError

ROOT = Path(__file__).resolve().parents[2]
ROWS = [row for row in OPTIONS if len(row) > 1]


@pytest.fixture(autouse=True)
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UBUS_SOCKET", raising=False)


def test_defaults_are_those_of_openwrt() -> None:
    made = read_settings([])
    assert (made.socket, made.acl_dir) == ("/var/run/ubus/ubus.sock", "/usr/share/acl.d")
    assert (made.init_dir, made.rc_dir, made.log_socket) == ("/etc/init.d", "/etc/rc.d", "/dev/log")
    assert (made.has_boot, made.to_stderr, made.debug) == (False, False, 0)


def test_procds_short_options_are_understood() -> None:
    made = read_settings(["-s", "/s", "-I", "/i", "-R", "/r", "-S", "-d", "2"])
    assert (made.socket, made.init_dir, made.rc_dir, made.to_stderr, made.debug) == (
        "/s",
        "/i",
        "/r",
        True,
        2,
    )


def test_a_prefix_moves_defaults_and_nothing_else() -> None:
    made = read_settings(["--root", "/p/", "--init-dir=/i"])
    assert (made.socket, made.rc_dir, made.log_socket) == (
        "/p/var/run/ubus/ubus.sock",
        "/p/etc/rc.d",
        "/p/dev/log",
    )
    assert made.init_dir == "/i"


def test_the_environments_socket_is_used_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UBUS_SOCKET", "/env")
    assert read_settings(["--root", "/p"]).socket == "/env"
    assert read_settings(["-s", "/s"]).socket == "/s"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["start"], "'start' is no option"),
        (["-x"], "unknown option -x"),
        (["--sokcet", "x"], 'did you mean "--socket"'),
        (["-s"], "-s needs PATH"),
        (["-d", "much"], "takes a number"),
        (["--boot=yes"], "--boot takes no argument"),
        (["--root", "here"], "needs an absolute path"),
    ],
)
def test_a_wrong_command_line_is_refused(args: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_settings(args)
    assert message in str(error.value)


def test_usage_and_manual_name_every_option() -> None:
    manual = (ROOT / "man/initd.8").read_text()
    for short, long, metavar, _ in ROWS:
        letter = f"{short} , " if short else ""
        assert re.search(rf"\.It Fl {letter}-{long}\b", manual), long
        assert f"{f'-{short}, ' if short else ''}--{long}" in usage() and metavar in usage()


def test_process_1_is_not_stopped_by_words_for_others() -> None:
    assert read_settings(["-S", "single", "-x"], is_first=True).to_stderr


def test_a_bus_of_our_own_wants_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would take no object of an ordinary user's: initd would stay, and serve nobody."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refuse_second(str(tmp_path / "none"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(JailError, match="must be run as root"):
        refuse_second(str(tmp_path / "none"))


def test_so_does_anothers_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which shows an ordinary user no object, so that a second initd would not know of the first."""
    session = MagicMock()
    session.return_value.__enter__.return_value.lookup_id.side_effect = UbusError(wire.NOT_FOUND)
    monkeypatch.setattr("initd.main.Session", session)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refuse_second("/bus")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(JailError, match="must be run as root"):
        refuse_second("/bus")
