# SPDX-License-Identifier: MIT
"""The cgroup of an instance: made with its limits, joined before anything runs, killed and removed at the end."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jail.cgroup import Group

if TYPE_CHECKING:
    from jails import Host
    from processes import Process

SPAWNER = Path(__file__).with_name("spawner.py")
JAIL = {"name": "x", "procfs": True}
every_kind = pytest.mark.parametrize("kind", [{}, {"jail": JAIL}], ids=["plain", "jail"])
MIB = 1 << 20


def root() -> Path:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return Path(line.split()[4])
    pytest.skip("no version 2 hierarchy is mounted")


def limit_of(controllers: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """A limit of a controller that this system has, and its value."""
    present = (root() / "cgroup.controllers").read_text().split()
    for controller, limit in controllers.items():
        if controller in present:
            return limit
    pytest.skip("version 2 has no controller to limit anything with")


@pytest.fixture
def groups(host: "Host") -> Iterator[Path]:
    """The services' groups; nothing of them is there before and after."""
    path = root() / "services"
    assert not path.exists()
    yield path
    left = path.exists()
    if left:  # the next test is not to fail for what this one left
        Group(str(root()), "services", {}).kill()
        host.until(lambda: is_removed(path), "the group is empty")
    assert not left


def is_removed(path: Path) -> bool:
    for folder, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
    return not path.exists()


def spawner(
    host: "Host", *tables: dict[str, Any], prefix: tuple[object, ...] = (), **request: Any
) -> "Process":
    words = [*prefix, sys.executable, "-I", SPAWNER, json.dumps({"tables": tables, **request})]
    return host.spawn(*words, stderr=None)


def report_of(host: "Host", process: "Process") -> list[dict[str, Any]]:
    seen = host.finish(process)
    assert seen.status == 0, seen
    report: list[dict[str, Any]] = json.loads(seen.out.splitlines()[-1])
    return report


def table(host: "Host", *verbs: object, **more: Any) -> dict[str, Any]:
    return {"command": [str(host.probes["glibc"]), *map(str, verbs)], "stdout": True, **more}


@every_kind
def test_service_and_its_stub_are_in_a_group_with_the_limits(
    host: "Host", groups: Path, kind: dict[str, Any]
) -> None:
    file, value = limit_of({"memory": ("memory.max", "16M"), "hugetlb": ("hugetlb.2MB.max", "16M")})
    cgroup = {file: value, "cgroup.max.descendants": "0"}
    process = spawner(host, table(host, "hold", cgroup=cgroup, **kind), hold=True)
    host.wait_ready(process)
    group = groups / "svc" / "one"
    assert (group / file).read_text() == f"{16 * MIB}\n"
    assert (group / "cgroup.max.descendants").read_text() == "0\n"
    [child] = host.children_of(process.pid)
    inside = [child, *host.children_of(child)]
    assert sorted(map(int, (group / "cgroup.procs").read_text().split())) == sorted(inside)
    assert len(inside) == (2 if kind else 1)
    assert str(process.pid) not in (group / "cgroup.procs").read_text().split()
    [entry] = report_of(host, process)
    assert entry["ended"] is True


def test_what_a_service_leaves_behind_is_killed_and_its_group_removed(host: "Host", groups: Path) -> None:
    process = spawner(host, table(host, "daemon", cgroup={"cgroup.max.depth": "1"}))
    [entry] = report_of(host, process)
    daemon = int(entry["out"].split()[1])
    host.until(lambda: host.is_gone(daemon), "the daemon's end")
    assert not groups.exists()
    # the twin: without a group it stays, as with procd
    [entry] = report_of(host, spawner(host, table(host, "daemon")))
    daemon = int(entry["out"].split()[1])
    assert not host.is_gone(daemon)
    os.kill(daemon, 9)


def test_memory_limit_holds(host: "Host", groups: Path) -> None:
    limit_of({"memory": ("memory.max", "8M")})
    limits = {"memory.max": "8M", "memory.swap.max": "0"}
    swaps = Path("/proc/swaps")
    if not swaps.exists() or swaps.read_text().count("\n") <= 1:
        limits.pop("memory.swap.max")
    [entry] = report_of(host, spawner(host, table(host, "fill", 32, cgroup=limits)))
    assert entry["status"] == -9
    [entry] = report_of(host, spawner(host, table(host, "fill", 32)))
    assert entry["status"] == 0


@pytest.mark.parametrize(
    ("cgroup", "message"),
    [
        ({"memory.max": "lots"}, "memory.max"),
        ({"no-such.max": "1"}, "has no controller no-such"),
        ({"cgroup.max.depth": "x"}, 'write "x" to'),
        ({"cgroup.procs": "1"}, "is no limit of a group"),
        ({"cgroup.kill": "1"}, "is no limit of a group"),
    ],
)
def test_limit_that_cannot_be_had_stops_the_start(
    host: "Host", groups: Path, cgroup: dict[str, str], message: str
) -> None:
    [entry] = report_of(host, spawner(host, table(host, "exit", 0, cgroup=cgroup)))
    assert message in entry["failed"] and len(entry["failed"].splitlines()) == 1


def test_limits_without_a_hierarchy_stop_the_start_and_nothing_else_does(host: "Host") -> None:
    script = 'umount -l "$0" && exec "$@"'
    apart = (*host.apart, "sh", "-ec", script, root())
    limited, free = table(host, "exit", 3, cgroup={"memory.max": "16M"}), table(host, "exit", 3)
    first, second = report_of(host, spawner(host, limited, free, prefix=apart))
    assert first["failed"] == "cgroup: memory.max cannot be set: no version 2 hierarchy is mounted"
    assert second["status"] == 3


def test_limits_of_an_earlier_start_are_gone(host: "Host", groups: Path) -> None:
    first = table(host, "exit", 0, cgroup={"cgroup.max.depth": "1"})
    second = table(host, "cat", "@GROUP@/cgroup.max.depth", cgroup={"cgroup.max.descendants": "7"})
    second["command"][2] = f"{groups}/svc/one/cgroup.max.depth"
    _, entry = report_of(host, spawner(host, first, second, keep_groups=True))
    assert entry["out"] == "line max\n"


def test_start_where_an_earlier_initd_left_something(host: "Host", groups: Path) -> None:
    group = groups / "svc" / "one"
    group.mkdir(parents=True)
    left = host.spawn("sleep", "1000")
    (group / "cgroup.procs").write_text(str(left.pid))
    [entry] = report_of(host, spawner(host, table(host, "exit", 3, cgroup={"cgroup.max.depth": "1"})))
    assert left.wait(60) == -signal.SIGKILL
    assert (entry.get("failed"), entry.get("status")) == (None, 3)


def test_respawn_is_in_a_group_that_goes_too(host: "Host", groups: Path) -> None:
    """Nothing is planned anew then. Not the probe: a program that is new by itself has another plan each time."""
    words = ["/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]
    tables = [table(host, command=words, cgroup={"cgroup.max.depth": "1"}) for _ in range(2)]
    report = report_of(host, spawner(host, *tables))
    assert [entry["ended"] for entry in report] == [True, True]
    left = [int(entry["out"]) for entry in report]
    host.until(lambda: all(map(host.is_gone, left)), "the end of what they left behind")


def test_kernel_without_cgroup_kill_has_members_killed_one_by_one(host: "Host", groups: Path) -> None:
    group = Group(str(root()), "services/a/b", {})
    group.make()
    inside, outside = host.spawn("sleep", "1000"), host.spawn("sleep", "1000")
    (groups / "a/b/cgroup.procs").write_text(str(inside.pid))
    assert group.kill_each()
    assert inside.wait(60) == -signal.SIGKILL
    assert outside.poll() is None
    outside.kill()
    outside.wait()
    host.until(group.remove, "the group is empty")


def test_pid_that_is_in_the_group_no_more_is_left_alone(host: "Host", tmp_path: Path) -> None:
    process = host.spawn("sleep", "1000")
    (tmp_path / "services").mkdir()
    (tmp_path / "services/cgroup.procs").write_text(f"{process.pid}\n")
    assert Group(str(tmp_path), "services", {}).kill_each()
    assert process.poll() is None
    process.kill()
    process.wait()
