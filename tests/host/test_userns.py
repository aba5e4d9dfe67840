# SPDX-License-Identifier: MIT
"""-f: root inside is somebody else outside, for root's jails and for those of ordinary users."""

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail._native import lib

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jails import Host
    from result import Result

NEW_USER = 0x10000000 | signal.SIGCHLD  # CLONE_NEWUSER; the signal has another number on mips
OFF = "--no-default-filter"
USER = 4711  # nobody's
AS_USER = ("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups")


def tries(seen: "Result") -> list[str]:
    assert seen.status == 0, seen
    return list(seen.tries().values())


@pytest.fixture
def secret(host: "Host") -> "Iterator[Path]":
    path = host.folder / "secret"
    path.write_text("x")
    path.chmod(0o600)
    yield path
    path.unlink()


def numbers(seen: "Result", name: str = "line") -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in seen.all(name)]


def test_root_inside_is_nobody_outside(host: "Host", secret: Path) -> None:
    verbs = ("ids", "caps", "read", secret, "cat", "/proc/self/uid_map")
    seen = host.probe(*verbs, options=("-f", "-p", "-r", secret))
    assert (seen["uid"], seen["gid"], seen["groups"]) == ("0 0 0", "0 0 0", "0")
    assert seen[f"read:{secret}"] == "EACCES" and numbers(seen) == [[0, 65534, 1]]
    assert int(seen["effective"], 16) & 1 << 12  # CAP_NET_ADMIN, of networks of its own
    twin = host.probe("read", secret, options=("-r", secret))
    assert twin[f"read:{secret}"] == "ok"


def test_processes_have_the_outer_ids(host: "Host") -> None:
    jail = host.start("stay", options=("-f", "-U", "daemon"))
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    [service] = host.children_of(stub)
    host.until(lambda: host.status_of(stub)["Seccomp"] == "2", "the stub's filter")
    for pid in (stub, service):
        assert host.status_of(pid)["Uid"].split() == ["1"] * 4
        assert host.status_of(pid)["Gid"].split() == ["1"] * 4
        assert os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino
    assert host.finish(jail).status == 0


@pytest.mark.parametrize(
    "options",
    [(), ("-p",), ("-s",), ("-s", "-N"), ("-p", "-s", "-h", "x"), ("-T", "1m", "-s", "-p"), ("-N",)],
)
def test_jail_is_whole(host: "Host", options: tuple[str, ...]) -> None:
    verbs: list[object] = [
        "read",
        "/dev/null",
        "read",
        "/dev/urandom",
        "write",
        "/dev/full",
        "create",
        "/dev/shm/x",
    ]
    verbs += ["create", "/dev/x", "create", "/x", "dotdot", host.probes.marker]
    verbs += ["read", "/proc/self/status", "read", "/sys/kernel/uevent_seqnum"]
    seen = host.probe(*verbs, options=("-f", *options)).tries()
    plain = host.probe(*verbs, options=options).tries()
    assert seen == plain
    assert seen["read:/dev/urandom"] == seen["create:/dev/shm/x"] == "ok" != seen["create:/dev/x"]


def test_kernels_files_are_masked_and_read_only(host: "Host") -> None:
    for options in (("-p", "-s"), ("-p", "-s", "-N")):
        names = ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"]
        there = [name for name in names if os.path.exists(name)]
        seen = host.probe(*[word for name in there for word in ("write", name)], options=("-f", *options))
        assert "ok" not in seen.tries().values(), seen
        for name in ("/sys/fs/cgroup", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/security"):
            if os.path.isdir(name):
                assert host.probe("list", name, options=("-f", *options)).all("entry") == []


def test_overlay_keeps_what_root_inside_writes(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "layers"
    folder.mkdir(0o700)
    verbs = ("mkdir", "/kept", "create", "/kept/file", "unlink", "/kept/file")
    assert tries(host.probe(*verbs, options=("-f", "-O", folder))) == ["ok"] * 3
    assert (folder / "upper" / "kept").stat().st_uid == folder.stat().st_uid == 65534
    assert tries(host.probe("mkdir", "/kept", options=("-f", "-O", folder))) == ["EEXIST"]
    assert (folder / "upper").stat().st_mode & 0o777 == 0o755


# ---- maps ----


def test_ranges_that_are_given_are_there(host: "Host") -> None:
    options = ("-f", "-p", "--uidmap", "1:100000:10", "--gidmap", "1:200000:10")
    verbs = ("cat", "/proc/self/uid_map", "cat", "/proc/self/gid_map", "setuid", "10")
    seen = host.probe(*verbs, options=options)
    assert numbers(seen) == [[0, 65534, 1], [1, 100000, 10], [0, 65534, 1], [1, 200000, 10]]
    assert seen["setuid:10"] == "ok"
    beyond = host.probe("setuid", "11", options=options)
    assert beyond["setuid:11"] == "EINVAL"
    assert host.probe("setuid", "10", options=("-f",))["setuid:10"] == "EINVAL"


def test_ranges_of_the_users_own_files_are_there(host: "Host", tmp_path: Path) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("nobody:300000:65536\nother:1:5\n65534:400000:2\n")
    script = 'cp -a /etc/. $0/etc; cp $0/sub* $0/etc; mount --bind $0/etc /etc; exec "$@"'
    words = [host.ujail, "-n", "t", "-f", "-p", "--", host.probes["glibc"], "cat", "/proc/self/uid_map"]
    (tmp_path / "etc").mkdir()
    seen = host.run(*host.apart, "sh", "-ec", script, tmp_path, *words)
    assert numbers(seen) == [[0, 65534, 1], [1, 300000, 65536], [65537, 400000, 2]], seen


def test_hosts_root_in_a_map_is_said_aloud(host: "Host", secret: Path) -> None:
    seen = host.probe("read", secret, options=("-f", "--uidmap", "0:0:1", "-r", secret))
    assert seen[f"read:{secret}"] == "ok" and "the host's uid 0 is in the map" in seen.err
    assert host.probe("ids", options=("-f",)).err == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--uidmap", "1:65534:1"), "id 65534 is twice outside"),
        (("--uidmap", "1:5:3", "--uidmap", "2:9:1"), "id 2 is twice inside"),
        (("--uidmap", "1:5"), "not INSIDE:OUTSIDE:COUNT"),
        (("--gidmap", "1:4294967290:9"), "beyond the last id"),
        (("-U", "no-such-user"), "unknown user"),
    ],
)
def test_map_that_cannot_be_is_refused(host: "Host", options: tuple[str, ...], said: str) -> None:
    seen = host.probe("ids", options=("-f", *options))
    assert (seen.status, seen.out) == (125, "") and said in seen.err


def test_map_without_a_user_namespace_is_refused(host: "Host") -> None:
    seen = host.probe("ids", options=("--uidmap", "1:5:1"))
    assert seen.status == 125 and "needs a user namespace" in seen.err


# ---- nested ones ----


def test_no_user_namespace_in_it_unless_asked_for(host: "Host") -> None:
    assert tries(host.probe("spawn-with", NEW_USER, options=("-f",))) == ["EPERM"]
    # without the filter, and under a policy that allows clone, the kernel's own limit holds
    assert tries(host.probe("spawn-with", NEW_USER, options=("-f", OFF))) == ["ENOSPC"]
    policy = host.policy("clone", "wait4")
    assert tries(host.probe("spawn-with", NEW_USER, options=("-f", "-S", policy))) == ["ENOSPC"]
    assert tries(host.probe("spawn-with", NEW_USER, options=("-f", "--allow-userns"))) == ["ok"]


# ---- ordinary users ----


def as_user(
    host: "Host", *verbs: object, options: tuple[object, ...] = ("-f",), kind: str = "glibc"
) -> "Result":
    seen = host.run(*AS_USER, host.ujail, "-n", "t", *options, "--", host.probes[kind], *verbs, cwd="/")
    if "clone" in seen.err or "go into a user namespace" in seen.err:
        pytest.skip("this kernel lets no ordinary user make user namespaces")
    return seen


def test_ordinary_user_has_a_jail(host: "Host", secret: Path) -> None:
    verbs: list[object] = [
        "ids",
        "cat",
        "/proc/self/uid_map",
        "cat",
        "/proc/self/gid_map",
        "cat",
        "/proc/self/setgroups",
    ]
    verbs += ["create", "/x", "read", secret, "read", "/dev/null", "modes"]
    seen = as_user(host, *verbs, options=("-f", "-p", "-s", "-N", "-h", "x", "-r", secret))
    assert (seen["uid"], seen["gid"]) == ("0 0 0", "0 0 0")
    assert seen.all("line") == [*[f"{0:10} {USER:10} {1:10}"] * 2, "deny"]
    assert (seen["create:/x"], seen[f"read:{secret}"], seen["read:/dev/null"]) == ("EROFS", "EACCES", "ok")
    assert (seen["seccomp"], seen.status) == ("2", 0)


@pytest.mark.skipif(not lib.notify_works(), reason="this kernel has no notifier (before Linux 5.6)")
@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
def test_ordinary_user_answers_denied_calls(host: "Host", kind: str) -> None:
    """He takes the listener from another user namespace than his own, at either door."""
    options = ("-f", "--notify", "-S", host.policy())
    seen = as_user(host, "call", "getppid", "-", options=options, kind=kind)
    assert (seen.status, seen["call:getppid"]) == (0, "EXFULL"), seen
    assert "was refused getppid(" in seen.err


def test_ordinary_user_gets_status_and_signals(host: "Host") -> None:
    assert as_user(host, "exit", "7").status == 7
    assert as_user(host, "die", "6").status == 128 + 6


def test_ordinary_user_cannot_choose_ids(host: "Host") -> None:
    for options in (("-U", "root"), ("--uidmap", "1:5:1"), ("-G", "daemon")):
        seen = as_user(host, "ids", options=("-f", *options))
        assert (seen.status, seen.out) == (125, "") and "an ordinary user" in seen.err


def test_ordinary_user_without_it_is_refused(host: "Host") -> None:
    seen = as_user(host, "ids", options=())
    assert seen.status == 125 and "an ordinary user needs -f" in seen.err


@pytest.mark.parametrize("who", ["root", "ordinary user"])
def test_jail_in_a_user_namespace_can_be_traced(host: "Host", who: str) -> None:
    words = (host.ujail, "-n", "t", "-f", "-m", "trace", "--", host.probes["glibc"], "ids")
    seen = host.run(*(AS_USER if who != "root" else ()), *words, cwd="/")
    if "clone" in seen.err or "go into a user namespace" in seen.err:
        pytest.skip("this kernel lets no ordinary user make user namespaces")
    assert (seen.status, seen["uid"]) == (0, "0 0 0"), seen
    path = Path(seen.err.partition("the trace is in ")[2].split()[0])
    try:
        counts = json.loads(path.read_text())["counts"]
        assert path.stat().st_uid == (0 if who == "root" else USER)
    finally:
        path.unlink()
    assert "write" in counts and "setresuid" not in counts  # of the service, and not of what made its jail
