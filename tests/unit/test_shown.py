# SPDX-License-Identifier: MIT
"""What a service asks for that enters a jail of another one: it holds there as it was asked for, or is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jail.errors import ConfigError
from jail.plan import Plan, make_plan
from jail.shown import Shown
from jail.spec import JailSpec

PROGRAM = os.path.realpath("/bin/true")
Set = Callable[[JailSpec], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sub", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "file").write_text("x")
    (tmp_path / "file").write_text("x")
    return tmp_path


def spec_of(words: dict[str, object]) -> JailSpec:
    """`shares`: what -r and -w take, with "w " before the latter; the rest as JailSpec has it."""
    spec = JailSpec("j", [PROGRAM])
    for name, value in words.items():
        if name == "shares":
            assert isinstance(value, list)
            for word in value:
                spec.share(word.removeprefix("w "), writable=word.startswith("w "))
        else:
            setattr(spec, name, value)
    spec.validate()
    return spec


def made(**words: object) -> Shown:
    spec = spec_of(words)
    plan = make_plan(spec)
    assert plan.rootfs
    return Shown(spec, plan.rootfs)


def entered(shown: Shown, root: str = "/", **words: object) -> Plan:
    plan = Plan("j")
    shown.check(spec_of(words), plan, root)
    return plan


# what the first asks for, what the second does, and why that is refused; F is the folder
REFUSED: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "rw, asked ro": ({"shares": ["w F"]}, {"shares": ["F"]}, "F: the jail j shows it writable"),
    "ro, asked rw": ({"shares": ["F"]}, {"shares": ["w F"]}, "F: the jail j shows it read-only"),
    "file in rw": ({"shares": ["w F"]}, {"shares": ["F/file"]}, "F/file: the jail j shows it writable"),
    "rw in ro": (
        {"shares": ["F", "w F/sub"]},
        {"shares": ["F"]},
        "F: the jail j shows F/sub writable: ask for that too",
    ),
    "rw in ro in rw": (
        {"shares": ["w F", "F/sub", "w F/sub/deep"]},
        {"shares": ["w F", "F/sub"]},
        "F/sub: the jail j shows F/sub/deep writable",
    ),
    "tmpfs in ro": (
        {"shares": ["F"], "tmpfs": ["F/sub"]},
        {"shares": ["F"]},
        "F: the jail j shows F/sub writable",
    ),
    "not there": ({}, {"shares": ["F"]}, "F: not in the jail j"),
    "not live": ({"shares": ["F/file"]}, {"binds": ["F/file::live"]}, "does not show it live"),
    "another file": (
        {"binds": ["F/file:/x"]},
        {"binds": ["F/sub/file:/x"]},
        "/x: the jail j shows F/file there",
    ),
    "exec": ({"binds": ["F:/x"]}, {"binds": ["F:/x:noexec"]}, "/x: the jail j shows it exec"),
    "noexec": ({"binds": ["F:/x:noexec"]}, {"binds": ["F:/x"]}, "/x: the jail j shows it noexec"),
    "dev": ({"binds": ["F:/x:dev"]}, {"binds": ["F:/x"]}, "/x: the jail j shows it dev"),
    "no device": ({}, {"devices": ["kmsg"]}, "/dev/kmsg: not in the jail j"),
    "masked": ({"shares": ["F"], "masks": ["F/sub"]}, {"shares": ["F/sub/file"]}, "masks it"),
    "no tmpfs": ({}, {"tmpfs": ["/t"]}, "tmpfs: /t: the jail j has none there"),
    "larger tmpfs": (
        {"tmpfs": ["/t:8m"]},
        {"tmpfs": ["/t:4m"]},
        "tmpfs: /t: the jail j has mode=1777,size=8m",
    ),
    "tmpfs with programs": ({"tmpfs": ["/t:4m,exec"]}, {"tmpfs": ["/t:4m"]}, "tmpfs: /t"),
    "no mask": ({"shares": ["F"]}, {"masks": ["F/sub"]}, "mask: F/sub: the jail j shows it"),
    "no mask of a file": ({"shares": ["F/file"]}, {"masks": ["F/file"]}, "mask: F/file: the jail j shows it"),
    "mask of what could come": ({"shares": ["F"]}, {"masks": ["F/nothing"]}, "the jail j shows it"),
    "mask of a live file": (
        {"binds": ["F/file::live"]},
        {"masks": ["F/sub/file"]},
        "mask: F/sub/file: the jail j shows it",
    ),
    "network": ({}, {"netns": True}, "netns: the jail j has none"),
    "cgroups": ({}, {"cgroupns": True}, "cgroupsns: the jail j has none"),
    "proc": ({}, {"procfs": True}, "procfs: the jail j has none"),
    "less of proc": ({"procfs": True}, {"proc": "subset=pid"}, "proc: the jail j has none"),
    "name": ({"hostname": "a"}, {"hostname": "b"}, "hostname: the jail j has a"),
    "root": ({}, {"extroot": "F"}, "extroot: the jail j has none"),
    "writable root": ({"overlay_size": "1m"}, {}, "tmpoverlaysize: the jail j has 1m"),
    "joined": ({}, {"joins": [(1, ["net"])]}, "setns: the jail j has not joined net of 1"),
    "root in memory": (
        {"overlay_size": "1m"},
        {"overlay_size": "1m", "ronly": True},
        "ronly: the root of the jail j is not read-only",
    ),
}


def filled(value: object, folder: Path) -> object:
    """With the folder for F, where that is a word of its own or begins one."""
    if isinstance(value, dict):
        return {key: filled(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, folder) for each in value]
    if isinstance(value, str):
        words = [
            f"{folder}{word[1:]}" if word[:2] in ("F", "F/", "F:") else word for word in value.split(" ")
        ]
        return " ".join(words)
    return value


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_jail_has_otherwise_is_refused_and_alike_it_is_not(folder: Path, case: str) -> None:
    first, second, message = (filled(part, folder) for part in REFUSED[case])
    assert isinstance(first, dict) and isinstance(second, dict) and isinstance(message, str)
    (folder / "nothing").unlink(missing_ok=True)
    with pytest.raises(ConfigError) as raised:
        entered(made(**first), str(folder), **second)
    assert message in str(raised.value) and "\n" not in str(raised.value)
    # the twin: the jail was made by one that asks for the same
    if case not in ("joined", "mask of what could come", "root", "mask of a live file"):
        entered(made(**{**first, **second} if "masks" in second else second), "/", **second)


def test_what_holds_in_other_words_is_let_in(folder: Path) -> None:
    shown = made(shares=[str(folder), f"w {folder}/sub", "/etc"], procfs=True, tmpfs=["/t:1m"], netns=True)
    (folder / "link").symlink_to(folder / "file")
    entered(shown, shares=[f"{folder}/file", f"{folder}/link", "/etc/passwd"])  # in what is shown whole
    entered(shown, shares=[str(folder), f"w {folder}/sub"])
    entered(shown, shares=[f"w {folder}/sub/file"])
    entered(shown, tmpfs=["/t:1m"], netns=True, hostname="", procfs=True)
    live = made(binds=[f"{folder}/file::live"])
    entered(live, binds=[f"{folder}/file::live"])
    entered(live, shares=[f"{folder}/file"])
    # a link in it leads to what is not there
    (folder / "away").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="not in the jail j"):
        entered(made(shares=[str(folder)]), shares=[f"{folder}/away"])


def test_file_that_was_replaced_since_is_not_taken_for_the_new_one(folder: Path) -> None:
    shown = made(shares=[f"{folder}/file"])
    entered(shown, shares=[f"{folder}/file"])
    (folder / "new").write_text("y")
    (folder / "new").rename(folder / "file")
    with pytest.raises(ConfigError, match="was replaced since the jail j was made"):
        entered(shown, shares=[f"{folder}/file"])


def test_missing_share_and_mask_of_nothing_are_said(folder: Path) -> None:
    shown = made(shares=[f"{folder}/file"])
    plan = entered(shown, str(folder), shares=[f"{folder}/absent"], masks=["/no/such"])
    assert plan.all_warnings() == [
        f"{folder}/absent: No such file or directory, skipped",
        "mask: /no/such: nothing shows it, skipped",
    ]
    with pytest.raises(ConfigError, match="mask: /no/such: nothing shows it"):
        entered(shown, str(folder), masks=["/no/such"], required=True)
    hidden: dict[str, object] = {"shares": [f"{folder}/file"], "masks": [f"{folder}/file"]}
    entered(made(**hidden), str(folder), **hidden)
    # and what the first one hides is hidden for all
    entered(
        made(shares=[str(folder)], masks=[f"{folder}/sub"]), masks=[f"{folder}/sub", f"{folder}/sub/file"]
    )
