# SPDX-License-Identifier: MIT
"""Each system call of a launch fails once: then the jail is whole, or there is none and the status says so.

The walk is of the calls of a real run, see inject.c. Beside the launch it covers `ujail` up to its exec, PID 1
up to its own filter, and the loader, libc and shim in the service up to main.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jail.calls import numbers
from jail.cgroup import hierarchy
from jail.policy import native_arch

if TYPE_CHECKING:
    from jails import Host

HERE = Path(__file__).resolve().parent
WORKERS = 2
# an emulated machine takes its time: there every 41st fault, in the three jails that differ most
IS_GUEST = "STOCKADE_GUEST" in os.environ
STRIDE = int(os.environ.get("STOCKADE_STRIDE", 41 if IS_GUEST else 1))
ERRNOS = (errno.EPERM, errno.ENOMEM, errno.EINVAL)
FINE = ("whole", "none", "door 1")
PARENT, FIRST, SERVICE = 0, 1, 2
UMASK, PRCTL = numbers(native_arch())["umask"], numbers(native_arch())["prctl"]
CANNOT_FAIL = {UMASK, numbers(native_arch())["brk"]}  # the kernel gives no error for these

JAILS: dict[str, dict[str, Any]] = {
    "root": {"options": ["-r", "/etc/group"]},
    "policy": {"options": ["-U", "65534", "-p", "-S", "POLICY", "-r", "/etc/passwd", "-w", "FOLDER"]},
    "capabilities": {
        "options": ["-C", "cap_net_raw,cap_chown", "-N", "-s", "-p", "-h", "name", "-S", "POLICY"]
    },
    "wrapper": {"options": ["-c", "-U", "65534"]},
    "supervised": {
        "options": [
            *("-p", "-F", "--nice", "5", "--ioprio", "be:7", "--oom-score-adj", "5", "--umask", "027"),
            "--limit",
            "nofile=200 300",
            "--limit",
            "core=0",
            "-r",
            "/etc/group",
        ],
        "stdio": True,
    },
    "plain": {
        "options": ["-U", "65534", "--nice", "5", "--limit", "nofile=200 300"],
        "stdio": True,
        "spec": {"isolate": False, "stub": False, "plain": True, "no_new_privs": False},
    },
    "files": {
        "options": [
            *("-p", "-r", "/etc/group", "--tmpfs", "/t:1m,mode=0755", "--bind", "FOLDER:/x:rw,noexec"),
            *("--tmpfs", "/x/sub", "--mask", "/x/file", "--mask", "/x/dir", "--dev", "kmsg", "-r", "@tz"),
            *("--bind", "FOLDER/file:/var/f:live"),
        ],
        "files": ["file", "sub/", "dir/"],
    },
    "user": {"options": ["-f", "-p", "-s", "-U", "65534", "--nice", "5", "-r", "/etc/group"]},
    # dns: a file with something in it
    "network": {"options": ["--net", "netns:/proc/self/ns/net,dns=10.9.0.1", "-r", "/etc/group"]},
    "ports": {"options": ["-U", "65534", "--connect", "tcp:53", "--bind", "tcp:53"], "needs": "landlock"},
    "group": {"options": ["-p", "--cgroup", "cgroup.max.depth=1"], "needs": "cgroup2"},
    "group-joined": {
        "options": ["-U", "65534", "--cgroup", "cgroup.max.depth=1"],
        "old_group": True,
        "needs": "cgroup2",
    },
    # what jailctl exec starts in a jail with these options
    "entry": {
        "options": ["-p", "-N", "-U", "65534", "--limit", "nofile=200 300", "-S", "POLICY"],
        "enter": True,
    },
    "entry-user": {"options": ["-f", "-p", "--nice", "5"], "enter": True},
    "console": {"options": ["-y", "-p", "-U", "65534"]},
    "layers": {"options": ["-T", "1m", "-p", "-r", "/etc/group"]},
    "old-kernel": {"options": ["-U", "65534", "-p", "-r", "/etc"], "flags": ["LAUNCH_OLD_KERNEL"]},
    "command": {"options": ["-P", "FOLDER/pid", "-S", "POLICY"], "command": True},
    # door 1 has the listener
    "listener": {"options": ["-p", "--notify", "-S", "POLICY"], "kind": "static-musl"},
    "listener-plain": {
        "options": ["-U", "65534", "--notify", "-S", "POLICY"],
        "spec": {"isolate": False, "stub": False},
        "kind": "static-musl",
    },
}
# what the probe tells; sched_yield first, which says that main has begun
VERBS = "call sched_yield - fds ids caps modes process env signals cat /proc/self/mountinfo mkdir /x create /dev/x"
VERBS += " call getppid - stay"
CALLS = """
    fstat newfstatat readlink getresuid getresgid getgroups capget prctl getpid getsid getpgrp openat read
    close getcwd umask uname rt_sigprocmask rt_sigaction mkdir sched_yield brk
    fstat64 fstatat64 statx getresuid32 getresgid32 getgroups32 _llseek
"""  # the last line on 32-bit machines


class Walk:
    """The launches of one jail, with and without faults, two at a time."""

    def __init__(self, host: "Host", inject: Path, name: str, tmp_path: Path) -> None:
        policy = host.policy(*CALLS.split())
        words = {"POLICY": str(policy), "FOLDER": str(tmp_path)}
        for made in JAILS[name].get("files", ()):
            (tmp_path / made).mkdir() if made.endswith("/") else (tmp_path / made).write_text("")
        options = [
            words.get(word, word.replace("FOLDER", words["FOLDER"])) for word in JAILS[name]["options"]
        ]
        argv = [*options, "--", str(host.probes[JAILS[name].get("kind", "glibc")]), *VERBS.split()]
        self.is_thorough = name == "policy"
        self.request = {**JAILS[name], "argv": argv, "inject": str(inject)}

    def run(self, faults: list[list[int]]) -> list[dict[str, Any]]:
        workers = []
        for number in range(WORKERS):
            share = faults[number::WORKERS]
            # a group is named after the jail
            argv = ["-n", f"t{number}", *self.request["argv"]]
            words = [
                sys.executable,
                "-I",
                str(HERE / "faults.py"),
                json.dumps({**self.request, "argv": argv, "faults": share}),
            ]
            workers.append(
                subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            )
        said = [worker.communicate()[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * WORKERS
        return [json.loads(line) for line in chain(*[each.splitlines() for each in said])]

    def record(self, process: int, after: int) -> tuple[dict[str, Any], list[list[int]]]:
        """A good launch, and the faults of each call of this process that can fail."""
        good, again = self.run([[process, after, 0, 0]] * 2)
        assert good.get("outside") and good == again, (good, again)
        # a probe that may not look sees no difference
        assert {"fd", "uid", "effective"} <= {line.split()[0] for line in good["inside"]}, good["inside"]
        calls = [int(number) for number in good["calls"]]
        if (process, after) == (FIRST, 1):
            # past its own filter PID 1 waits and forwards; it is in order or it is dead
            calls = calls[: len(calls) - calls[::-1].index(PRCTL)]
            # "no seccomp in this kernel" to the call before the last: it goes on without a filter, by design
            calls[-2:-1] = [UMASK] if calls[-2] == PRCTL else calls[-2:-1]
        indexes = [index for index, number in enumerate(calls, 1) if number not in CANNOT_FAIL]
        faults = [[process, after, index, number] for index in indexes for number in ERRNOS]
        # the calls are much the same in each jail: all three errnos in the one with a policy, else one in turn
        return good, faults if self.is_thorough else [
            [process, after, index, ERRNOS[index % len(ERRNOS)]] for index in indexes
        ]


AS_OTHERS_PAST_EXEC = {
    *("old-kernel", "wrapper", "supervised", "plain", "layers", "files", "network", "ports"),
    *("group", "group-joined", "entry", "entry-user", "console"),
}
# with a user namespace the first child is outside of it, PID 1 the second and the service the third
WITH_USER = {"parent": (PARENT, 0), "outside": (FIRST, 0), "first": (SERVICE, 0), "service": (SERVICE + 1, 0)}
PROCESSES = {
    "parent": (PARENT, 0),
    "first": (FIRST, 0),
    "service": (SERVICE, 0),
    "stub": (FIRST, 1),
    "loader": (SERVICE, 1),
}


def is_worth_a_walk(process: int, after: int, name: str) -> bool:
    """Past an exec these are as the others; a plain service has no second child."""
    if name == "user":
        return False
    # the parent looks for the filter as often as it takes, so that its calls cannot be counted
    if "listener" in name and (process == PARENT or after):
        return False
    if name in AS_OTHERS_PAST_EXEC and after:
        return False
    return not (name.endswith("plain") and process == SERVICE)


CASES = [
    pytest.param(process, after, name, id=f"{who}-{name}")
    for who, (process, after) in PROCESSES.items()
    for name in (("policy", "old-kernel") if IS_GUEST else JAILS)
    if is_worth_a_walk(process, after, name)
]
CASES += [
    pytest.param(process, after, "user", id=f"{who}-user") for who, (process, after) in WITH_USER.items()
]


@pytest.fixture(scope="module")
def inject(run_folder: Path) -> Path:
    if native_arch() not in ("x86_64", "i386", "mipsel", "mips"):
        pytest.skip("inject.c does not know this architecture")
    if prebuilt := os.environ.get("STOCKADE_PREBUILT"):
        return Path(prebuilt) / "inject-glibc"
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    out = run_folder / "inject"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", str(HERE / "inject.c"), "-o", str(out)], check=True
    )
    return out


def without_door_2(seen: dict[str, Any]) -> list[str]:
    """What was seen, but for the second filter and the variables that only the shim removes."""
    own = ("env SECCOMP_FILE=", "env LD_PRELOAD=", "Seccomp_filters:")
    return [line for line in seen["inside"] + seen["outside"] if not line.startswith(own)]


def judge(found: dict[str, Any], good: dict[str, Any], process: int, after_exec: bool) -> str:
    """How a launch with a fault ended; anything not in FINE is wrong."""
    if "failed" in found:
        return str(found["failed"])
    if found["outside"]:
        if all(found[part] == good[part] for part in ("inside", "outside")):
            return "whole"
        if after_exec and without_door_2(found) == without_door_2(good):
            return "door 1"  # the loader goes on where it cannot load the shim; that is what door 1 is for
        pairs = chain(*[zip(found[part], good[part], strict=False) for part in ("inside", "outside")])
        return f"in between: {[pair for pair in pairs if pair[0] != pair[1]]}"
    if found["inside"] != good["inside"][: len(found["inside"])]:
        return f"in between, then ended: {found['inside']}"
    if found["inside"] and process != PARENT and not after_exec:
        return f"ran, then ended: {found['inside']}"  # the parent alone may notice a fault that late
    # past the exec the loader and libc have their own ways to end
    if found["status"] in (125, 126, 127) or (after_exec and found["status"] > 127):
        return "none"
    return f"status {found['status']}"


@pytest.fixture
def groups(name: str) -> Iterator[None]:
    """A directory of groups that stays while two launches at a time make and remove theirs."""
    if JAILS[name].get("needs") != "cgroup2":
        yield
        return
    if not hierarchy():
        pytest.skip("no version 2 hierarchy is mounted")
    keep = Path(hierarchy(), "services/keep")
    keep.mkdir(parents=True)
    yield
    keep.rmdir()
    keep.parent.rmdir()  # nothing else is in it


@pytest.mark.parametrize(("process", "after", "name"), CASES)
@pytest.mark.usefixtures("groups")
def test_fault_in_a_call_gives_a_whole_jail_or_none(
    host: "Host",
    inject: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    process: int,
    after: int,
) -> None:
    tmp_path.chmod(0o755)
    if (
        JAILS[name].get("needs") == "landlock"
        and host.probe("exit", 0, options=JAILS[name]["options"]).status
    ):
        pytest.skip("no Landlock with ports in this kernel")
    walk = Walk(host, inject, name, tmp_path)
    good, faults = walk.record(process, after)
    results: Counter[str] = Counter()
    wrong = []
    faults = faults[::STRIDE]
    for found in walk.run(faults):
        verdict = judge(found, good, process, bool(after))
        results[verdict if verdict in FINE else "wrong"] += 1
        if verdict not in FINE:
            wrong.append((good["calls"][found["fault"][2] - 1], found["fault"], verdict))
    with capsys.disabled():
        print(
            f"\n{name}, process {process}{' after exec' if after else ''}: {len(faults)} faults, {dict(results)}"
        )
    assert not wrong
    assert results["none"] or IS_GUEST
