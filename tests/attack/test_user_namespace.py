# SPDX-License-Identifier: MIT
"""Ways from root inside a user namespace to the host's root; outside each of them works."""

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

OFF = "--no-default-filter"
IN = ("-f", "-p")


@pytest.mark.parametrize("options", [(), (OFF, "-C", "all")], ids=["usual", "all capabilities, no filter"])
def test_maps_cannot_be_written_again(host: "Host", options: tuple[str, ...]) -> None:
    verbs = []
    for name in ("uid_map", "gid_map", "setgroups"):
        text = "deny" if name == "setgroups" else "0 0 1\n"
        for pid in ("self", "1"):
            verbs += ["put", f"/proc/{pid}/{name}", text]
    seen = host.probe(*verbs, options=(*IN, *options))
    assert set(seen.tries().values()) <= {"EPERM", "EACCES"}, seen
    # a map that was not written yet can be
    outside = host.run(
        "unshare", "--user", "--map-root-user", host.probes["glibc"], "cat", "/proc/self/uid_map"
    )
    assert [line.split() for line in outside.all("line")] == [["0", "0", "1"]]


@pytest.mark.parametrize("options", [(), (OFF, "-C", "all")], ids=["usual", "all capabilities, no filter"])
def test_no_id_that_is_not_mapped(host: "Host", options: tuple[str, ...]) -> None:
    seen = host.probe("setuid", "1000", "setuid", "65534", options=(*IN, *options))
    assert set(seen.tries().values()) == {"EINVAL"}
    assert host.outside("setuid", "1000")["setuid:1000"] == "ok"


@pytest.mark.parametrize("kind", ["user", "mnt", "net", "uts"])
def test_root_inside_joins_nothing_of_the_host(host: "Host", kind: str) -> None:
    """The host's network is shared, and so is the way to its namespace file of PID 1 of another jail."""
    path = f"/proc/1/ns/{kind}"
    for options in ((), (OFF, "-C", "all")):
        seen = host.probe("setns", path, options=(*IN, *options))
        if kind == "net" or options == ():
            assert seen[f"setns:{path}"] in ("EPERM", "EACCES"), seen
        # what is left are the jail's own, from which nothing leads to the host's
        assert host.probe(
            "setns", path, "read", f"/proc/1/root{host.probes.marker}", options=(*IN, *options)
        )[f"read:/proc/1/root{host.probes.marker}"] in ("EACCES", "ENOENT", "EPERM")
    if kind != "user":  # a process is in its own already
        own = f"/proc/{os.getpid()}/ns/{kind}"
        assert host.outside("setns", own)[f"setns:{own}"] == "ok"


def test_all_capabilities_inside_are_none_on_the_host(host: "Host") -> None:
    verbs = [
        "call",
        "settimeofday",
        "0,0,0",
        "put",
        "/proc/sys/kernel/hostname",
        "x",
        "mount",
        "tmpfs",
        "/dev/shm",
    ]
    verbs += ["mknod", "/dev/shm/sda", "b", "8:0", "call", "delete_module", "0,0,0", "call", "swapon", "0,0"]
    verbs += ["call", "reboot", "0xfee1dead,672274793,0,0"]
    seen = host.probe(*verbs, options=(*IN, OFF, "-C", "all")).tries()
    # its own mounts are its own to make; a file system in memory is the most there can be. No time was given to set
    denied = {name for name, result in seen.items() if result != "ok"}
    assert denied >= set(seen) - {"mount:tmpfs", "call:settimeofday"}, seen
    disk = host.folder / "disk"
    assert host.outside("mknod", disk, "b", "8:0").tries()[f"mknod:{disk}"] == "ok"
    disk.unlink()


def test_limit_of_nested_namespaces_cannot_be_raised(host: "Host") -> None:
    path = "/proc/sys/user/max_user_namespaces"
    seen = host.probe("put", path, "9", options=(*IN, OFF, "-C", "all"))
    assert seen[f"put:{path}"] == "EROFS"
    # what holds is that /proc/sys is read-only: root of a user namespace may set its limits
    words = ("unshare", "--user", "--map-root-user", host.probes["glibc"], "put", path, "9")
    assert host.run(*words)[f"put:{path}"] == "ok"
