# SPDX-License-Identifier: MIT
"""-j: which namespaces of which process, and what is refused with a reason."""

import os

import pytest

from jail._native import lib
from jail.errors import ConfigError, UsageError
from jail.joins import Join, make_joins, parse


def test_words_are_read() -> None:
    assert parse("12:net,ipc") == (12, ["net", "ipc"])
    join = Join(12, ["network", "uts", "ipc", "cgroup"])
    assert join.files == ["net", "uts", "ipc", "cgroup"]
    assert join.flags == lib.CLONE_NEWNET | lib.CLONE_NEWUTS | lib.CLONE_NEWIPC | lib.CLONE_NEWCGROUP


def test_what_is_no_pid_is_the_name_of_a_jail() -> None:
    for text, target in (
        ("12:net", 12),
        ("x:net", "x"),
        ("a:b:net", "a:b"),
        ("1234567890:net", "1234567890"),
    ):
        assert parse(text) == (target, ["net"])
    assert parse("12") == (12, [])


@pytest.mark.parametrize("text", ["", ":net", "x", "x:"])
def test_name_without_a_namespace_or_the_other_way_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"no name of a jail|which namespaces"):
        Join(*parse(text))


@pytest.mark.parametrize(
    ("pid", "names", "message"),
    [
        (0, ["net"], "is no pid"),
        (1 << 30, ["net"], "is no pid"),
        (1, [], "which namespaces"),
        (1, ["nte"], 'unknown namespace "nte": did you mean "net"'),
        (1, ["net", "network"], "is there twice"),
        (1, ["mount"], "mount cannot be joined: "),
        (1, ["pid"], "pid cannot be joined: "),
        (1, ["user"], "user cannot be joined: "),
        (1, ["time"], "time cannot be joined: "),
    ],
)
def test_what_cannot_be_joined_is_refused_in_words(pid: int, names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Join(pid, names)


def test_one_kind_comes_from_one_process_and_a_host_name_is_not_set_for_others() -> None:
    with pytest.raises(UsageError, match="of two processes"):
        make_joins([(1, ["net"]), (2, ["ipc", "net"])], "")
    with pytest.raises(UsageError, match="host name"):
        make_joins([(1, ["uts"])], "name")
    with pytest.raises(UsageError, match="and the jail's own"):
        make_joins([(1, ["net"])], "", True)
    assert len(make_joins([(1, ["net"]), (2, ["ipc"])], "name")) == 2
    assert len(make_joins([(1, ["ipc"])], "", True)) == 1


def test_process_that_is_not_there_is_said() -> None:
    assert Join(os.getpid(), ["net"]).started() > 0
    with pytest.raises(ConfigError, match=r"join: process 4194304: No such file"):
        Join(1 << 22, ["net"]).started()
