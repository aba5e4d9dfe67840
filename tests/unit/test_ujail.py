# SPDX-License-Identifier: MIT
"""The command line of `ujail`: what it understands, what it refuses, and what its manual says."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jail.errors import UsageError
from jail.pidfile import write_pid
from jail.spec import JailSpec
from jail.ujail import NOT_YET, OPTIONS, make_spec, parse_options
from jail.ujail_help import usage

ROOT = Path(__file__).resolve().parents[2]
ROWS = [row for row in OPTIONS if len(row) > 1]


def spec(*args: str) -> JailSpec:
    return make_spec(parse_options(list(args)))


def refused(*args: str) -> str:
    with pytest.raises(UsageError) as error:
        spec(*args)
    return str(error.value)


def test_options_of_the_program_are_left_alone() -> None:
    assert spec("-n", "x", "/bin/ls", "-r", "--", "-x").argv == ["/bin/ls", "-r", "--", "-x"]
    assert spec("-n", "x", "--", "-odd", "-r").argv == ["-odd", "-r"]


def test_short_options_are_joined_and_take_arguments_either_way() -> None:
    made = spec("-psn", "x", "-r/a", "-w", "/b:/c", "--", "p")
    assert (made.name, made.procfs, made.sysfs) == ("x", True, True)
    assert [(share.source, share.target, share.writable) for share in made.shares] == [
        ("/a", "/a", False),
        ("/b", "/c", True),
    ]


def test_long_options_take_arguments_either_way() -> None:
    made = spec("--name=x", "--ro", "/a", "--procfs", "--term-timeout=7", "p")
    assert (made.name, made.procfs, made.grace_s) == ("x", True, 7)


def test_name_is_the_programs_own_by_default() -> None:
    assert spec("/usr/sbin/dnsmasq", "-k").name == "dnsmasq"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "no program given"),
        (("-n",), "-n needs NAME"),
        (("-z", "p"), "unknown option -z"),
        (("--sesccomp", "f", "p"), 'did you mean "--seccomp"'),
        (("--procfs=yes", "p"), "--procfs takes no argument"),
        (("-t", "soon", "p"), "takes a number"),
        (("-r", "relative", "p"), "relative is not an absolute path"),
        (("-r", "", "p"), "'' is not an absolute path"),
        (("-r", "/a:/", "p"), "the root itself"),
        (("-r", "/a:/b/../c", "p"), '".." in a target'),
        (("-w", "/etc:" + "/a" * 2048, "p"), "/a/a…: longer than a path can be: 4095 bytes"),
        (("-r", "/" + "ä" * 128, "p"), "255 between two slashes"),
        (("-n", "a/b", "p"), "bad jail name"),
        (("-n", "a\nb", "p"), "bad jail name"),
        (("-h", "x" * 65, "p"), "longer than 64"),
        (("-e", "=x", "p"), "bad variable name"),
    ],
)
def test_a_wrong_command_line_is_refused(args: tuple[str, ...], message: str) -> None:
    assert message in refused(*args)


@pytest.mark.parametrize("letter", NOT_YET)
def test_an_option_that_is_not_yet_there_says_so(letter: str) -> None:
    assert "not yet" in refused(f"-{letter}", "x", "p")


def test_nothing_but_a_program_makes_the_full_jail() -> None:
    made = spec("-n", "x", "--", "p")
    assert made.isolate and not made.staged_etc and not made.shares


@pytest.mark.parametrize(
    "args", [("-C", "none"), ("-c",), ("-c", "-U", "nobody"), ("-C", "all", "-S", "/p.json")]
)
def test_capabilities_without_files_make_procds_wrapper(args: tuple[str, ...]) -> None:
    assert not spec(*args, "p").isolate


@pytest.mark.parametrize("option", ["-p", "-s", "-l", "-u", "-D", "-o", "-r/x", "-w/x", "-hx"])
def test_any_option_for_files_or_namespaces_makes_the_full_jail(option: str) -> None:
    assert spec("-c", option, "p").isolate
    assert spec("-C", "none", option, "p").isolate


def test_seccomp_or_user_alone_make_the_full_jail() -> None:
    assert spec("-S", "/p.json", "p").isolate
    assert spec("-U", "nobody", "p").isolate


@pytest.mark.parametrize(("option", "word"), [(("-M", "/log"), "-M"), (("--notify",), "--notify")])
def test_denials_of_no_policy_are_not_waited_for(option: tuple[str, ...], word: str) -> None:
    with pytest.raises(UsageError, match=f"{word} is about what a policy denies"):
        spec(*option, "p")
    with pytest.raises(UsageError, match=f"{word} and -m trace do not go together"):
        spec(*option, "-m", "trace", "-S", "/p.json", "p")
    assert spec(*option, "-S", "/p.json", "p").seccomp == "/p.json"


def test_env_is_set_or_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "1")
    monkeypatch.delenv("GONE", raising=False)
    assert spec("-e", "HERE", "-e", "GONE", "-e", "SET=a=b", "-e", "EMPTY=", "p").env == {
        "HERE": "1",
        "SET": "a=b",
        "EMPTY": "",
    }


def test_usage_and_manual_name_every_option() -> None:
    text, manual = usage(), (ROOT / "man" / "ujail.8").read_text()
    for short, long, metavar, _ in ROWS:
        assert f"--{long}" in text and f"-{long}" in manual
        if short:
            assert f"-{short}, --{long}" in text
            assert re.search(rf"\.(It )?Fl {short} , -{long}\b", manual), long
        assert metavar in text


def test_no_option_is_listed_twice() -> None:
    shorts = [row[0] for row in ROWS if row[0]]
    longs = [row[1] for row in ROWS]
    assert len(set(shorts)) == len(shorts) and len(set(longs)) == len(longs)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_pidfile_is_no_other_file(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    path, other = tmp_path / "pid", tmp_path / "other"
    path.write_text("1000000\n")
    write_pid(str(path), 7)
    assert path.read_text() == "7\n"
    path.unlink()
    other.write_text("root's")
    link(other, path)
    with pytest.raises(OSError, match="Too many") as caught:
        write_pid(str(path), 8)
    assert caught.value.filename == str(path) and other.read_text() == "root's"
