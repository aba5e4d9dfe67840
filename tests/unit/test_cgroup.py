# SPDX-License-Identifier: MIT
"""Which limits a spec takes, and what a system without their controller is told."""

import os
from pathlib import Path

import pytest

from jail import procfs
from jail.cgroup import Group, describe_missing, find_group, hierarchy, is_limit
from jail.errors import ConfigError, SetupError, UsageError
from jail.spec import JailSpec


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in place of a hierarchy, with a blank in its name; it has memory and pids."""
    root = tmp_path / "a b"
    root.mkdir()
    (root / "cgroup.controllers").write_text("memory pids\n")
    mounts = tmp_path / "mountinfo"
    escaped = str(root).replace(" ", "\\040")
    mounts.write_text(
        "1 2 0:3 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        f"1 2 0:4 / {escaped} rw shared:1 - cgroup2 cgroup2 rw\n"
    )
    monkeypatch.setattr(procfs, "MOUNTINFO", str(mounts))
    return root


def test_hierarchy_is_where_version_2_is_mounted(mounted: Path) -> None:
    assert hierarchy() == str(mounted)
    group = find_group("services/a/b", {"memory.max": "16M", "cgroup.max.depth": "1"})
    assert group.path == f"{mounted}/services/a/b"
    assert group.describe() == "memory.max 16M, cgroup.max.depth 1"


def test_a_device_needs_a_group_alone(mounted: Path) -> None:
    group = find_group("services/a", {}, vrf="red")
    assert (group.describe(), group.vrf) == ("vrf red", "red")
    assert find_group("a", {"memory.max": "1"}, vrf="red").describe() == "memory.max 1, vrf red"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"vrf": "a/b"}, "vrf: 'a/b' cannot be the name of a device"),
        ({"vrf": "x" * 16}, "cannot be the name"),
        ({"vrf": "red", "netns": True}, "the jail is in another"),
        ({"vrf": "red", "net": ["netns:x"]}, "the jail is in another"),
        ({"vrf": "red", "joins": [(1, ["network"])]}, "the jail is in another"),
    ],
)
def test_devices_that_are_refused(settings: dict[str, object], reason: str) -> None:
    spec = JailSpec("x", ["/bin/true"])
    spec.cgroup = "services/x"
    for name, value in settings.items():
        setattr(spec, name, value)
    with pytest.raises(UsageError, match=reason):
        spec.validate()


def test_missing_controller_is_named(mounted: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"cpu\.max cannot be set: .* no controller cpu \(it has memory, pids\)"
    ):
        find_group("x", {"memory.max": "1", "cpu.max": "1"})


def test_group_that_cannot_be_made_whole_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("")
    group = Group(str(tmp_path), "services/a/b", {"cgroup.max.depth": "1"})
    with pytest.raises(SetupError, match=r"cgroup\.max\.depth"):  # no file of that name in a plain directory
        group.make()
    assert os.listdir(tmp_path) == ["cgroup.subtree_control"]


def test_directory_above_that_the_end_of_another_jail_takes_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there for the first look, and empty; ours is made in it a moment later."""
    (tmp_path / "services").mkdir()
    mkdir, ends = os.mkdir, iter([True])

    def ended(path: str, mode: int) -> None:
        try:
            mkdir(path, mode)
        except FileExistsError:
            if next(ends, False):
                assert Group(str(tmp_path), "services/a", {}).remove()
                os.rmdir(path)
            raise

    monkeypatch.setattr(os, "mkdir", ended)
    assert Group(str(tmp_path), "services/b", {}).make()
    assert os.listdir(tmp_path / "services") == ["b"]


def test_kills_for_want_of_memory_are_counted(tmp_path: Path) -> None:
    group = Group(str(tmp_path), "services/a", {})
    assert (group.oom_kills(), group.describe_oom()) == (0, "")
    (tmp_path / "services/a").mkdir(parents=True)
    (tmp_path / "services/a/memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "services/a/memory.max").write_text("8388608\n")
    assert (
        group.describe_oom() == "out of memory: the kernel killed 2 of its processes, memory.max is 8388608"
    )


def test_what_a_system_lacks_is_said_in_a_line(mounted: Path) -> None:
    assert describe_missing().startswith("cgroup: version 2 has no controller cpu, io: ")
    (mounted / "cgroup.controllers").write_text("cpu io memory pids rdma\n")
    assert describe_missing() == ""


def test_missing_hierarchy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text("")
    monkeypatch.setattr(procfs, "MOUNTINFO", str(tmp_path / "mountinfo"))
    with pytest.raises(ConfigError, match=r"memory\.max cannot be set: no version 2"):
        find_group("x", {"memory.max": "1"})


@pytest.mark.parametrize(
    "name", ["memory.max", "hugetlb.2MB.max", "cgroup.max.depth", "cgroup.max.descendants", "io.max"]
)
def test_limit_is_any_file_of_a_controller(name: str) -> None:
    assert is_limit(name)


@pytest.mark.parametrize(
    "name",
    ["", "memory", "memory.", ".max", "memory/max", "../memory.max", "cgroup.procs", "cgroup.kill", "cgroup.type",
     "cgroup.subtree_control", "cgroup.freeze", "memory.\nmax"],
)  # fmt: skip
def test_other_names_are_no_limits(name: str) -> None:
    assert not is_limit(name)
    spec = JailSpec("x", ["p"])
    spec.cgroup, spec.cgroup_files = "services/x", {name: "1"}
    with pytest.raises(UsageError, match="is no limit"):
        spec.validate()


@pytest.mark.parametrize("path", ["", "/x", "a/../b", "a//b", "."])
def test_bad_path_of_a_group_is_refused(path: str) -> None:
    spec = JailSpec("x", ["p"])
    spec.cgroup, spec.cgroup_files = path, {"memory.max": "1"}
    with pytest.raises(UsageError, match="bad cgroup"):
        spec.validate()
