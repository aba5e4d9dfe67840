# SPDX-License-Identifier: MIT
"""The model of a jail's root: what is staged where, in which order, and what is left out."""

from pathlib import Path

import pytest

from jail.assemble import assemble
from jail.errors import ConfigError
from jail.rootfs import Rootfs


def lines(rootfs: Rootfs) -> list[str]:
    return [step.describe() for step in assemble(rootfs)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """real/file, real/sub/inner, link -> real, chain -> link/file, away -> /etc/hosts, loop -> loop"""
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "real" / "sub" / "inner").write_text("y")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "chain").symlink_to("link/file")
    (tmp_path / "away").symlink_to("../../../../../../../../../../etc/hosts")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


def test_file_is_bound_at_its_place_below_its_directories(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/real/file")
    out = lines(rootfs)
    assert out[-1] == f"bind {tree}/real/file read-only"
    assert out[-2] == f"make empty file {tree}/real/file"
    assert out[-3] == f"make directory {tree}/real"
    assert out[0] == f"make directory /{tree.parts[1]}"


def test_links_on_the_way_become_links(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/chain")
    out = lines(rootfs)
    assert f"make link {tree}/chain -> link/file" in out
    assert f"make link {tree}/link -> real" in out
    assert out[-1] == f"bind {tree}/real/file read-only"
    assert not [line for line in out if line.startswith("bind") and "chain" in line]


def test_links_that_climb_above_the_root_stay_below_it(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/away")
    assert lines(rootfs)[-1] == "bind /etc/hosts read-only"


def test_endless_link_is_refused(tree: Path) -> None:
    with pytest.raises(ConfigError, match="too many levels"):
        Rootfs().stage(f"{tree}/loop")


def test_hosts_root_is_refused() -> None:
    for path in ("/", "/etc/..", "//."):
        with pytest.raises(ConfigError, match="cannot be shared whole"):
            Rootfs().stage(path)


def test_first_registration_of_a_target_counts(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/real/file", 0)
    rootfs.stage(f"{tree}/real/file")
    rootfs.stage_at("/etc/hosts", f"{tree}/real/file")
    binds = [line for line in lines(rootfs) if line.startswith("bind")]
    assert binds == [f"bind {tree}/real/file"]


def test_target_follows_links_that_are_staged(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/chain")
    rootfs.stage_at("/etc/hosts", f"{tree}/link/hosts")
    assert f"bind /etc/hosts on {tree}/real/hosts read-only" in lines(rootfs)


def test_entries_of_a_bound_directory_are_not_made_or_bound_again(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/real")
    rootfs.stage(f"{tree}/real/sub/inner")
    out = lines(rootfs)
    assert [line for line in out if "inner" in line or "sub" in line] == []
    assert out[-1] == f"bind {tree}/real read-only"


def test_nested_bind_with_other_rights_stays(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/real/sub")
    rootfs.stage(f"{tree}/real", 0)
    binds = [line for line in lines(rootfs) if line.startswith("bind")]
    assert binds == [f"bind {tree}/real", f"bind {tree}/real/sub read-only"]


def test_place_that_a_bound_directory_does_not_have_is_refused(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage("/etc/hosts")
    rootfs.stage_at(f"{tree}/real", "/etc")
    with pytest.raises(ConfigError, match=f"/etc/hosts: /etc is {tree}/real in the jail"):
        assemble(rootfs)


def test_parents_come_before_children_and_binds_last(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage_at("/etc/hosts", "/dev/shm/x")
    rootfs.stage_at("/etc/hosts", "/a-b")
    rootfs.stage_at("/etc/hosts", "/a/b")
    rootfs.stage(f"{tree}/chain")
    rootfs.add_dev()
    rootfs.add_proc()
    rootfs.add_sys()
    made: set[str] = {""}
    mounted: set[str] = set()
    bound = False
    for line in lines(rootfs):
        word, *_ = line.split()
        if line.startswith(("make directory", "make empty file", "make device", "make link")):
            path = line.removeprefix("make empty file ").removeprefix("make ").split(" -> ")[0].split()[-1]
            assert path.rpartition("/")[0] in made, line
            made.add(path)
        if word == "mount":
            path = line.split()[3]
            assert path in made or path.startswith(("/proc/", "/sys/")), line
            mounted.add(path)
        assert not (bound and word != "bind"), line
        bound = bound or word == "bind"
    assert {"/dev", "/dev/shm", "/dev/pts", "/proc", "/sys"} <= mounted


def test_own_dev_gives_way_to_one_that_is_asked_for() -> None:
    rootfs = Rootfs()
    rootfs.stage("/dev", 0)
    rootfs.add_dev()
    out = lines(rootfs)
    assert not rootfs.has_own_dev()
    assert not [line for line in out if line.startswith("mount tmpfs") or "make device" in line]
    assert "bind /dev" in out


def test_dev_of_one_root_is_not_anothers_and_the_same_beside_what_is_asked_for_in_it() -> None:
    first, second, third = Rootfs(), Rootfs(), Rootfs()
    first.add_dev()
    first.add_console()
    second.add_dev()
    assert "make empty file /dev/console" in lines(first)
    assert "make empty file /dev/console" not in lines(second)
    third.stage_directory("/dev/of-mine")
    third.add_dev()
    assert sorted(lines(third)) == sorted([*lines(second), "make directory /dev/of-mine"])
    assert (third.links, third.mounts) == (second.links, second.mounts)


def test_targets_in_proc_are_the_kernels_own() -> None:
    rootfs = Rootfs()
    rootfs.stage_at("/etc/hosts", "/proc/cpuinfo")
    rootfs.add_proc()
    out = lines(rootfs)
    assert "make empty file /proc/cpuinfo" not in out
    assert out[-1] == "bind /etc/hosts on /proc/cpuinfo read-only"


def test_proc_is_masked_before_anything_foreign_is_mounted() -> None:
    rootfs = Rootfs()
    rootfs.stage("/etc/hosts")
    rootfs.add_proc()
    out = lines(rootfs)
    first_bind = out.index("bind /etc/hosts read-only")
    masks = [number for number, line in enumerate(out) if line.startswith("mask ")]
    assert masks and max(masks) < first_bind
    assert "make /proc/sys read-only" in out[: min(masks)]
    assert "remove /.mask" in out[:first_bind]


def test_what_is_in_a_directory_comes_after_it_and_before_its_neighbours(tmp_path: Path) -> None:
    for name in ("a/b", "a-c/b", "a.d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rootfs = Rootfs()
    for name in ("a.d", "a-c/b", "a/b"):
        rootfs.stage(f"{tmp_path}/{name}")
    made = [line.partition(f"{tmp_path}/")[2] for line in lines(rootfs) if line.startswith("make ")]
    assert [name for name in made if name] == ["a", "a/b", "a-c", "a-c/b", "a.d"]


@pytest.mark.parametrize(
    "name", ["link/file", "link/./file", "link/sub/../file", "real/../chain", "real//file"]
)
def test_every_way_to_a_file_shows_it_at_its_real_place(tree: Path, name: str) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/{name}")
    out = lines(rootfs)
    assert [line for line in out if line.startswith("bind")] == [f"bind {tree}/real/file read-only"]
    assert (f"make link {tree}/link -> real" in out) == ("link" in name or "chain" in name)


@pytest.mark.parametrize("name", ["link/sub", "link/sub/", "link/sub/.", "real/sub/../sub"])
def test_every_way_to_a_directory_too(tree: Path, name: str) -> None:
    rootfs = Rootfs()
    rootfs.stage(f"{tree}/{name}")
    assert lines(rootfs)[-1] == f"bind {tree}/real/sub read-only"


class Counted(Rootfs):
    """How often it was asked what a directory covers."""

    asked_covers = 0

    def _cover(self, path: str) -> str | None:
        self.asked_covers += 1
        return super()._cover(path)


def test_a_deep_path_costs_what_it_is_deep() -> None:
    rootfs = Counted()
    rootfs.add_tmpfs("/a" * 2000, "")
    assert len(lines(rootfs)) == 2001
    assert rootfs.asked_covers < 2100


def test_what_came_after_a_live_file_covers_the_next(tree: Path) -> None:
    rootfs = Rootfs()
    rootfs.stage_live(f"{tree}/real/file", "/a/b/file")
    rootfs.stage_at(f"{tree}/real", "/a/c")
    with pytest.raises(ConfigError, match="/a/c is shown whole"):
        rootfs.stage_live(f"{tree}/real/file", "/a/c/d/file")
