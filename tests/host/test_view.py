# SPDX-License-Identifier: MIT
"""What a jail looks like from inside: processes, mounts, descriptors, environment, devices, /proc, /sys."""

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"


def mount_points(lines: list[str]) -> list[str]:
    return [line.split()[4] for line in lines]


def test_pids_only_the_stub_and_the_service_are_seen(host: "Host") -> None:
    assert host.probe("pids")["pids"] == "1 2"
    assert len(host.outside("pids")["pids"].split()) > 2


def test_pids_service_is_two_and_leads_a_session(host: "Host") -> None:
    seen = host.probe("process")
    assert [seen[name] for name in ("pid", "ppid", "sid", "pgid")] == ["2", "1", "2", "2"]


def test_proc_shows_the_jail_only(host: "Host") -> None:
    inside = host.probe("list", "/proc", options=["-p"])
    assert {name for name in inside.all("entry") if name.isdigit()} == {"1", "2"}
    outside = host.outside("list", "/proc")
    assert len([name for name in outside.all("entry") if name.isdigit()]) > 2


def test_mounts_are_those_of_the_plan(host: "Host") -> None:
    probe = str(host.probes["glibc"])
    seen = mount_points(
        [line[5:] for line in host.probe("cat", "/proc/self/mountinfo", options=["-p"]).out.splitlines()]
    )
    system = [point for point in seen if not point.startswith("/proc")]
    libraries = [point for point in system if "/lib" in point]
    assert sorted(set(system) - set(libraries)) == sorted(
        ["/", "/dev", "/dev/pts", "/dev/shm", probe]
        + [path for path in ("/etc/resolv.conf", "/etc/nsswitch.conf") if os.path.exists(path)]
    )
    assert len(seen) == len(set(seen))


def test_mounts_of_a_minimal_jail_are_eight_at_most(host: "Host") -> None:
    jail = host.start("stay", kind="static-glibc")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    seen = mount_points(host.mounts(stub))
    host.finish(jail)
    assert sorted(seen) == sorted(["/", "/dev", "/dev/pts", "/dev/shm", str(host.probes["static-glibc"])])


def test_mounts_of_a_minimal_dynamic_jail_are_eight_at_most(host: "Host") -> None:
    jail = host.start("stay")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    seen = host.mounts(stub)
    host.finish(jail)
    assert len(seen) <= 8, seen


def test_mounts_are_private(host: "Host") -> None:
    jail = host.start("stay", options=["-p", "-s"])
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    seen = host.mounts(stub)
    host.finish(jail)
    assert not [line for line in seen if "shared:" in line or "master:" in line]


def test_root_shows_nothing_that_was_not_asked_for(host: "Host") -> None:
    kind = "static-glibc"
    assert set(host.probe("list", "/", kind=kind).all("entry")) == {"dev", "tmp"}
    assert host.probe("list", "/tmp", kind=kind).all("entry") == [host.folder.name]
    assert host.probe("list", str(host.folder), kind=kind).all("entry") == [host.probes[kind].name]
    assert host.probes.marker.name in host.outside("list", str(host.folder)).all("entry")


def test_hostname_is_set_inside_only(host: "Host") -> None:
    before = os.uname().nodename
    assert host.probe("process", options=["-h", "jail-h"])["hostname"] == "jail-h"
    assert os.uname().nodename == before
    assert host.probe("process")["hostname"] == before


def test_hostname_longer_than_the_kernels_is_refused(host: "Host") -> None:
    assert host.probe("process", options=["-h", "h" * 65]).status == 125
    assert host.probe("process", options=["-h", "h" * 64])["hostname"] == "h" * 64


def test_fds_stray_ones_are_closed(host: "Host") -> None:
    def stray() -> None:
        for fd, path in ((9, "/dev/null"), (10, "/etc/passwd"), (251, "/")):
            os.dup2(os.open(path, os.O_RDONLY), fd)

    inside = host.probe("fds", preexec_fn=stray, close_fds=False)
    outside = host.outside("fds", preexec_fn=stray, close_fds=False)
    assert [line.split()[0] for line in inside.all("fd")] == ["0", "1", "2"]
    assert {"9", "10", "251"} <= {line.split()[0] for line in outside.all("fd")}


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
def test_fds_closed_standard_ones_do_not_become_the_launchers_own(host: "Host", closed: str) -> None:
    """With 0, 1 or 2 closed, what is opened next gets its number and must not reach the service."""
    seen = host.folder / f"seen-{closed.replace(' ', '')}"
    seen.touch()
    redirections = " ".join(f"{fd}>&-" for fd in closed.split())
    # the probe's own output goes to a file of the jail, as 1 may be closed
    line = f"exec {host.ujail} -n t -p -w {seen} -- {host.probes['glibc']} exit 7 {redirections}"
    assert host.run("sh", "-c", line).status == 7
    status = host.run("sh", "-c", line.replace("exit 7", "fds")).out
    assert not [
        entry for entry in status.splitlines() if not entry.endswith(("/dev/null", "]", seen.name))
    ], status


def test_environment_is_exactly_this(host: "Host") -> None:
    assert sorted(host.probe("env").all("env")) == [PATH, "container=ujail"]
    assert "STRAY=1" in host.outside("env", env={**os.environ, "STRAY": "1"}).all("env")
    assert sorted(host.probe("env", env={**os.environ, "STRAY": "1"}).all("env")) == [PATH, "container=ujail"]


def test_environment_passes_on_what_is_asked_for(host: "Host") -> None:
    options = ["-e", "HERE", "-e", "ABSENT", "-e", "NEW=a=b", "-e", "EMPTY=", "-e", "PATH=/x"]
    seen = host.probe("env", options=options, env={**os.environ, "HERE": "as it is"})
    assert sorted(seen.all("env")) == ["EMPTY=", "HERE=as it is", "NEW=a=b", "PATH=/x", "container=ujail"]


def test_process_starts_at_the_root_with_a_tight_umask_and_default_signals(host: "Host") -> None:
    def spoil() -> None:
        os.umask(0)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})

    verbs = ["process", "signals"]
    inside = host.probe(*verbs, preexec_fn=spoil)
    assert (inside["cwd"], inside["umask"]) == ("/", "0022")
    assert not inside.all("not_default") + inside.all("blocked")
    outside = host.outside(*verbs, preexec_fn=spoil)
    assert outside["umask"] == "0000"
    assert str(int(signal.SIGUSR1)) in outside.all("not_default")
    assert str(int(signal.SIGUSR2)) in outside.all("blocked")


def test_stdout_of_the_program_is_its_own(host: "Host") -> None:
    quiet = host.probe("exit", 0)
    assert (quiet.out, quiet.err) == ("", "")
    loud = host.probe("exit", 0, options=["-d", "1", "-r", "/absent/file"])
    assert loud.out == ""
    assert "/absent/file" in loud.err


def test_stdio_ends_when_the_service_closes_it(host: "Host") -> None:
    """What waits for the service holds none of its pipes: a reader of the output is not kept."""
    jail = host.start("daemon", options=["-t", "1"], stderr=subprocess.DEVNULL)
    assert host.first_line(jail).startswith("daemon ")
    assert jail.stdout is not None and jail.stdout.read() == ""
    assert host.finish(jail).status == 0


def test_devices_work_and_are_all_there_is(host: "Host") -> None:
    devices = ["null", "zero", "full", "random", "urandom", "tty"]
    links = ["fd", "ptmx", "stderr", "stdin", "stdout"]
    assert sorted(host.probe("list", "/dev").all("entry")) == sorted([*devices, *links, "pts", "shm"])
    verbs = ["read", "/dev/zero", "read", "/dev/urandom", "put", "/dev/null", "x", "create", "/dev/shm/file"]
    for options in ([], ["-U", "65534"]):
        assert host.probe(*verbs, options=options).tries() == {
            "read:/dev/zero": "ok",
            "read:/dev/urandom": "ok",
            "put:/dev/null": "ok",
            "create:/dev/shm/file": "ok",
        }
    assert host.probe("put", "/dev/full", "x")["put:/dev/full"] == "ENOSPC"


def test_proc_masks_hide_what_tells_about_the_host(host: "Host") -> None:
    files = ["/proc/kallsyms", "/proc/timer_list", "/proc/kcore", "/proc/sched_debug", "/proc/keys"]
    there = [path for path in files if os.path.exists(path)]
    verbs = [word for path in there for word in ("cat", path)]
    inside = host.probe(*verbs, options=["-p"])
    assert not inside.all("line"), inside
    assert host.outside("cat", "/proc/timer_list" if "/proc/timer_list" in there else there[0]).all("line")


def test_proc_sys_is_read_only(host: "Host") -> None:
    paths = ["/proc/sys/kernel/hostname", "/proc/sys/vm/swappiness", "/proc/sys/net/ipv4/ip_forward"]
    for path in [path for path in paths if os.path.exists(path)]:
        assert host.probe("write", path, options=["-p"]).tries() == {f"write:{path}": "EROFS"}
        assert host.outside("write", path).tries() == {f"write:{path}": "ok"}


def test_sys_is_read_only_and_masked(host: "Host") -> None:
    path = "/sys/kernel/profiling" if os.path.exists("/sys/kernel/profiling") else "/sys/kernel/uevent_seqnum"
    writable = "/sys/kernel/mm/transparent_hugepage/enabled"
    if os.path.exists(writable):
        assert host.probe("write", writable, options=["-s"])[f"write:{writable}"] == "EROFS"
        assert host.outside("write", writable)[f"write:{writable}"] == "ok"
    assert host.probe("mkdir", "/sys/probe", options=["-s"])["mkdir:/sys/probe"] == "EROFS"
    for folder in [
        name for name in ("/sys/firmware", "/sys/power", "/sys/kernel/debug") if os.path.isdir(name)
    ]:
        assert not host.probe("list", folder, options=["-s"]).all("entry")
    assert os.path.exists(path)


def test_old_root_cannot_be_reached(host: "Host") -> None:
    marker = str(host.probes.marker)
    verbs = [
        "read",
        marker,
        "dotdot",
        marker,
        "read",
        f"/old{marker}",
        "read",
        f"/..{marker}",
        "chroot",
        marker,
    ]
    inside = host.probe(*verbs, options=["-p"])
    assert set(inside.tries().values()) == {"ENOENT"}, inside
    assert host.outside("read", marker, "dotdot", marker).tries() == {
        f"read:{marker}": "ok",
        f"dotdot:{marker}": "ok",
    }


def test_old_root_is_not_found_through_proc(host: "Host") -> None:
    marker = str(host.probes.marker)
    ways = [f"/proc/{pid}/{link}{marker}" for pid in ("1", "self") for link in ("root", "cwd")]
    inside = host.probe(*[word for way in ways for word in ("read", way)], options=["-p"])
    assert not [way for way, result in inside.tries().items() if result == "ok"]
    assert "ok" in host.outside("read", f"/proc/{os.getpid()}/root{marker}").tries().values()


def test_link_on_the_way_is_staged_as_seen(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("text\n")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "name").symlink_to(tmp_path / "link" / "file")
    seen = host.probe("cat", tmp_path / "name", "list", tmp_path, options=["-r", tmp_path / "name"])
    assert seen.all("line") == ["text"]
    assert sorted(seen.all("entry")) == ["link", "name", "real"]
