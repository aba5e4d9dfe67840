# SPDX-License-Identifier: MIT
"""-j: the namespaces of another process, each as it was found, or no start at all."""

import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from processes import Process

KINDS = ("net", "ipc", "uts", "cgroup")
# CLONE_NEWNET, NEWIPC, NEWUTS and NEWCGROUP, which BusyBox's unshare does not know
NEW = 0x40000000 | 0x8000000 | 0x4000000 | 0x2000000


def start_holder(host: "Host") -> "Process":
    """A process with namespaces of its own, until its 0 is closed."""
    process = host.spawn(host.probes["static-glibc"], "call", "unshare", NEW, "sethostname", "joined", "stay")
    host.wait_ready(process)
    return process


@pytest.fixture
def holder(host: "Host") -> Iterator[int]:
    """A process with namespaces of its own; it ends with the test."""
    process = start_holder(host)
    yield process.pid
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def namespaces(pid: object = "self") -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def seen_in(host: "Host", *options: object) -> dict[str, str]:
    """The namespaces in a jail with these options."""
    verbs = [word for kind in KINDS for word in ("link", f"/proc/self/ns/{kind}")]
    lines = host.probe(*verbs, options=["-p", *options]).all("link")
    return {line.split()[0].rpartition("/")[2]: line.split()[1] for line in lines}


def test_named_namespaces_are_joined_and_the_others_are_not(host: "Host", holder: int) -> None:
    theirs, own = namespaces(holder), namespaces()
    assert not set(theirs.values()) & set(own.values())
    alone = seen_in(host)
    assert (alone["net"], alone["cgroup"]) == (own["net"], own["cgroup"])
    for kind in KINDS:
        seen = seen_in(host, "-j", f"{holder}:{kind}")
        assert seen[kind] == theirs[kind]
        assert not set(theirs.values()) & {seen[other] for other in KINDS if other != kind}
    both = seen_in(host, "-j", f"{holder}:network,ipc", "-j", f"{holder}:uts")
    assert [both[kind] for kind in KINDS] == [theirs["net"], theirs["ipc"], theirs["uts"], own["cgroup"]]
    assert both["net"] != own["net"]


def test_joined_uts_namespace_has_its_host_name(host: "Host", holder: int) -> None:
    seen = host.probe("process", options=["-j", f"{holder}:uts"])
    assert seen["hostname"] == "joined"
    assert host.probe("process")["hostname"] == os.uname().nodename


def test_wrapper_joins_too(host: "Host", holder: int) -> None:
    seen = host.probe(
        "link", "/proc/self/ns/net", "link", "/proc/self/ns/mnt", options=["-c", "-j", f"{holder}:net"]
    )
    net, mount = (line.split()[1] for line in seen.all("link"))
    assert (net, mount) == (namespaces(holder)["net"], os.readlink("/proc/self/ns/mnt"))


def test_service_cannot_leave_what_it_joined(host: "Host", holder: int) -> None:
    """Root in the jail has no CAP_SYS_ADMIN; outside the same request works."""
    seen = host.probe("setns", "/proc/self/ns/net", options=["-p", "-j", f"{holder}:net"])
    assert seen["setns:/proc/self/ns/net"] == "EPERM"
    assert host.outside("setns", "/proc/self/ns/net")["setns:/proc/self/ns/net"] == "ok"


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ("4194304:net", "No such file"),
        ("1:pid", "pid cannot be joined"),
        ("1:mount", "mount cannot be joined"),
        ("1:nett", "unknown namespace"),
        ("1", "which namespaces"),
        ("net", "which namespaces"),
    ],
)
def test_refusal_is_one_line_and_no_start(host: "Host", join: str, message: str) -> None:
    seen = host.probe("exit", 0, options=["-j", join])
    assert (seen.status, len(seen.err.splitlines()), message in seen.err) == (125, 1, True), seen


def launched(host: "Host", holder: int, meanwhile: str) -> str:
    """Plan a join, do something, launch: what the launch said."""
    argv = ["-n", "t", "-j", f"{holder}:net", "--", str(host.probes["glibc"]), "exit", "0"]
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import driver
from jail._native import lib
plan = driver.plan_for({argv!r})
[step] = [step for step in plan.steps if step.op == lib.STEP_SETNS]
{meanwhile}
before = driver.state()
print(driver.dumps([driver.start(plan, 0), driver.state() == before]))
"""
    done = host.run(sys.executable, "-I", "-c", code)
    said, is_unchanged = json.loads(done.out)
    assert is_unchanged
    return f"{said.get('failed', 'started')}: {said.get('errno', 0)}"


def test_another_process_under_the_same_pid_is_not_joined(host: "Host", holder: int) -> None:
    """The kernel gives the pid to another process: its time of start is what differs."""
    assert launched(host, holder, "") == "started: 0"
    later = "step.numbers = (step.numbers[0] + 1, step.numbers[1])"
    assert launched(host, holder, later) == f"join net of process {holder}: {errno.ESTALE}"


def test_process_that_ends_before_the_launch_is_not_joined(host: "Host") -> None:
    process = start_holder(host)
    # unreaped, so that the pid stays: of what has ended nothing can be joined
    end = (
        f"os.kill({process.pid}, 9)\nwhile b') Z ' not in open('/proc/{process.pid}/stat', 'rb').read(): pass"
    )
    assert launched(host, process.pid, end).startswith(f"join net of process {process.pid}: ")
    process.wait()
