# SPDX-License-Identifier: MIT
"""ujail --cgroup: a group of the jail's own, which is gone with it; who eats all harms nobody else."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

DEPTH = ("--cgroup", "cgroup.max.depth=1")


def root() -> Path:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return Path(line.split()[4])
    pytest.skip("no version 2 hierarchy is mounted")


def need(controller: str) -> None:
    if controller not in (root() / "cgroup.controllers").read_text().split():
        pytest.skip(f"version 2 has no controller {controller} here")


@pytest.fixture
def group() -> Iterator[Path]:
    """The group of a jail with the name t; there is none before and after."""
    path = root() / "services"
    assert not path.exists()
    yield path / "t"
    left = path.exists()
    for folder, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
    assert not left


def test_jail_is_in_its_group_as_long_as_it_runs(host: "Host", group: Path) -> None:
    jail = host.start("stay", "cat", "/proc/self/cgroup", options=("-p", *DEPTH))
    host.wait_ready(jail)
    assert (group / "cgroup.max.depth").read_text() == "1\n"
    [stub] = host.children_of(jail.pid)
    inside = sorted(map(int, (group / "cgroup.procs").read_text().split()))
    assert inside == sorted([stub, *host.children_of(stub)]) and jail.pid not in inside
    assert host.finish(jail).status == 0
    assert not group.parent.exists()


@pytest.mark.parametrize("flags", [[], ["LAUNCH_OLD_KERNEL"]])
def test_born_in_it_or_joined_the_group_is_the_same(host: "Host", group: Path, flags: list[str]) -> None:
    argv = ["-n", "t", "-p", *DEPTH, "--", str(host.probes["glibc"]), "cat", "/proc/self/cgroup", "exit", "7"]
    seen = host.driver({"argv": argv, "flags": flags})
    assert [line for line in seen.all("line") if line.startswith("0::")] == ["0::/services/t"], seen
    os.rmdir(group)  # the driver ends no groups
    os.rmdir(group.parent)


def test_what_leaves_the_session_is_killed_with_the_group(host: "Host", group: Path) -> None:
    wrapper = ("-c",)  # no PID namespace, whose end would end it
    seen = host.probe("daemon", options=(*wrapper, *DEPTH))
    daemon = int(seen["daemon"])
    host.until(lambda: host.is_gone(daemon), "the daemon's end")
    assert not group.parent.exists()
    twin = int(host.probe("daemon", options=wrapper)["daemon"])
    assert not host.is_gone(twin)
    os.kill(twin, signal.SIGKILL)


def test_second_jail_of_that_name_is_refused_and_the_first_goes_on(host: "Host", group: Path) -> None:
    first = host.start("stay", "exit", 7, options=DEPTH)
    host.wait_ready(first)
    second = host.probe("exit", 0, options=DEPTH)
    assert (second.status, "another jail has this name" in second.err) == (125, True), second
    assert host.finish(first).status == 7


def test_group_of_a_jail_whose_command_was_killed_is_taken_over(host: "Host", group: Path) -> None:
    first = host.start("stay", options=DEPTH)
    host.wait_ready(first)
    [stub] = host.children_of(first.pid)
    first.kill()
    first.wait()
    host.until(lambda: host.is_gone(stub), "the jail's end")
    host.until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    assert host.probe("exit", 7, options=("--cgroup", "cgroup.max.depth=2")).status == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cgroup", "no-such.max=1"), "has no controller no-such"),
        (("--cgroup", "cgroup.max.depth=x"), 'write "x" to'),
        (("--cgroup", "cgroup.kill=1"), "is no limit of a group"),
        (("--cgroup", "memory.max"), "no value"),
    ],
)
def test_limit_that_cannot_be_had_stops_the_start(
    host: "Host", group: Path, words: tuple[str, ...], message: str
) -> None:
    seen = host.probe("exit", 0, options=words)
    assert (seen.status, len(seen.err.splitlines()), message in seen.err) == (125, 1, True), seen


def test_start_that_fails_leaves_no_group(host: "Host", group: Path) -> None:
    seen = host.probe("exit", 0, options=(*DEPTH, "--limit", "nofile=99999999999"))
    assert (seen.status, group.parent.exists()) == (125, False), seen


def test_memory_hog_ends_alone_and_its_end_is_explained(host: "Host", group: Path) -> None:
    need("memory")
    other = host.start("stay", "fill", 8, "exit", 7, options=())
    host.wait_ready(other)
    seen = host.probe("fill", 64, options=("--cgroup", "memory.max=16M"))
    assert seen.status == 128 + signal.SIGKILL
    assert "ujail: t: out of memory: the kernel killed" in seen.err, seen
    assert host.finish(other).status == 7
    assert host.probe("fill", 64).status == 0


def test_fork_bomb_ends_at_its_limit_and_others_start(host: "Host", group: Path) -> None:
    need("pids")
    bomb = host.start("bomb", 200, "stay", options=("--cgroup", "pids.max=20"))
    assert int(host.first_line(bomb).split()[1]) < 20
    assert host.first_line(bomb) == "bomb:200 errno 11"
    assert host.run(host.ujail, "-n", "other", "--", host.probes["glibc"], "exit", "7").status == 7
    host.finish(bomb)
    twin = host.probe("bomb", 200)
    assert (twin["children"], twin.tries()) == ("200", {"bomb:200": "ok"})


def need_group_programs() -> None:
    """For kernels without CONFIG_CGROUP_BPF."""
    config = Path("/proc/config.gz")
    if config.exists():
        import gzip

        if b"CONFIG_CGROUP_BPF=y" not in gzip.decompress(config.read_bytes()):
            pytest.skip("this kernel has no programs for control groups")


@pytest.mark.parametrize("options", [("-p",), ("-C", "none"), ("-f",)])
def test_sockets_are_bound_to_a_device(host: "Host", group: Path, options: tuple[str, ...]) -> None:
    """Any device will do: that it is a VRF is its own affair."""
    need_group_programs()
    assert host.outside("device")["device"] == "none"
    assert host.probe("device", options=options)["device"] == "none"
    seen = host.probe("device", options=(*options, "-v", "lo"))
    assert (seen.status, seen.all("device")) == (0, ["lo"]), seen


def test_a_device_that_is_not_there_starts_nothing(host: "Host", group: Path) -> None:
    seen = host.probe("exit", 0, options=("--vrf", "no-such"))
    assert seen.status == 125
    assert seen.err == f"ujail: t: bind the sockets of {group} to no-such: No such device\n"
