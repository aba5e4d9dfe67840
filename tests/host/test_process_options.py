# SPDX-License-Identifier: MIT
"""What a service's process is beside its ids: umask, priorities, who is killed first, keyring, what /proc shows."""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

BEST_EFFORT, IDLE, SHIFT = 2, 3, 13  # of ioprio_set(2)
with_and_without_users = pytest.mark.parametrize(
    "user", [(), ("-f",), ("-U", "65534")], ids=["root", "-f", "-U"]
)


@with_and_without_users
def test_process_has_what_was_asked_for(host: "Host", user: tuple[str, ...]) -> None:
    options = ("--umask", "027", "--ioprio", "idle", "--oom-score-adj", "500", "-p", *user)
    verbs = ("process", "ioprio", "cat", "/proc/self/oom_score_adj", "cat", "/proc/1/oom_score_adj")
    seen = host.probe(*verbs, options=options)
    assert (seen["umask"], int(seen["ioprio"]) >> SHIFT) == ("0027", IDLE), seen
    assert seen.all("line") == ["500", "500"]
    twin = host.probe(*verbs, options=("-p", *user))
    assert (twin["umask"], int(twin["ioprio"]) >> SHIFT) != ("0027", IDLE)
    assert twin.all("line") == [Path("/proc/self/oom_score_adj").read_text().strip()] * 2


def test_level_of_best_effort(host: "Host") -> None:
    assert int(host.probe("ioprio", options=("--ioprio", "be:7"))["ioprio"]) == BEST_EFFORT << SHIFT | 7


def test_new_files_have_the_mask(host: "Host", tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    assert host.probe("mkdir", folder / "x", options=("-w", folder, "--umask", "0277")).status == 0
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o500


def test_launcher_keeps_its_own_score(host: "Host") -> None:
    """Processes that share memory share the score; a library call returns to one that must not have it."""
    words = ["-n", "t", "--oom-score-adj", "500", "--", str(host.probes["glibc"]), "exit", "0"]
    before = Path("/proc/self/oom_score_adj").read_text()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import driver, os; from jail.launch import launch;"
        " jail = launch(driver.plan_for(sys.argv[2:])); os.waitpid(jail.pid, 0);"
        " print('line', open('/proc/self/oom_score_adj').read())"
    )
    python = os.path.join(os.path.dirname(host.ujail), "python3")
    seen = host.run(python, "-I", "-c", code, Path(__file__).parent, *words)
    assert seen.all("line") == [before.strip()]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--umask", "8"),
        ("--umask", "1000"),
        ("--umask", ""),
        ("--ioprio", "be:8"),
        ("--ioprio", "idle:1"),
        ("--oom-score-adj", "1001"),
        ("--oom-score-adj", "low"),
        ("--proc", "hidepid=2"),
        ("--proc", "gid=0"),
    ],
)
def test_value_that_cannot_be_is_refused(host: "Host", option: str, value: str) -> None:
    seen = host.probe("ids", options=(option, value))
    assert (seen.status, seen.out) == (125, "")


def test_value_that_the_kernel_refuses_stops_the_start(host: "Host") -> None:
    drop = ("setpriv", "--bounding-set", "-sys_resource,-sys_nice,-sys_admin", "--inh-caps", "-all")
    for options in (("--oom-score-adj", "-1000"), ("--ioprio", "rt:0")):
        seen = host.run(*drop, host.ujail, "-n", "t", *options, "-c", "--", host.probes["glibc"], "ids")
        assert (seen.status, seen.out) == (125, ""), seen


# ---- /proc ----


@pytest.mark.parametrize("user", [(), ("-f",)], ids=["root", "-f"])
def test_proc_with_processes_alone(host: "Host", user: tuple[str, ...]) -> None:
    seen = host.probe("list", "/proc", options=("--proc", "subset=pid", *user))
    assert {name for name in seen.all("entry") if not name.isdigit()} == {"self", "thread-self"}, seen
    assert len(host.probe("list", "/proc", options=("-p", *user)).all("entry")) > 10


def test_processes_of_others_are_hidden(host: "Host") -> None:
    """PID 1 has a capability that the service lacks."""
    options = ("-U", "65534")
    seen = host.probe("list", "/proc", options=("--proc", "subset=pid,hidepid=invisible", *options))
    assert sorted(seen.all("entry")) == ["2", "self", "thread-self"]
    assert "1" in host.probe("list", "/proc", options=("--proc", "subset=pid", *options)).all("entry")


# ---- cgroup namespace ----


@pytest.mark.parametrize("user", [(), ("-f",)], ids=["root", "-f"])
def test_own_cgroup_is_the_root_that_is_seen(host: "Host", user: tuple[str, ...]) -> None:
    verbs = ("link", "/proc/self/ns/cgroup", "cat", "/proc/self/cgroup")
    seen, twin = (host.probe(*verbs, options=(*options, "-p", *user)) for options in (("-F",), ()))
    assert all(line.endswith(":/") for line in seen.all("line")), seen
    assert twin["link"].split()[1] == os.readlink("/proc/self/ns/cgroup") != seen["link"].split()[1]
    assert twin.all("line") == Path("/proc/self/cgroup").read_text().splitlines()


def test_session_keyring_is_its_own(host: "Host") -> None:
    off = "--no-default-filter"
    first, second, outside = (
        host.probe("keyring", options=(off,)),
        host.probe("keyring", options=(off,)),
        host.run(host.probes["glibc"], "keyring"),
    )
    if not outside.all("keyring") or outside["keyring"] == "ENOSYS":
        pytest.skip("no keyrings in this kernel")
    assert len({seen["keyring"] for seen in (first, second, outside)}) == 3
