# SPDX-License-Identifier: MIT
"""The paths for kernels before 5.12 give the same jail as the modern ones: a library call has a flag for it.

And so do those that are taken where the calls are really refused, see oldkernel.c.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from result import Result

MODERN: list[str] = []
OLD = ["LAUNCH_OLD_KERNEL"]


def launch(
    host: "Host",
    flags: list[str],
    *verbs: object,
    options: tuple[object, ...] = (),
    prefix: Sequence[object] = (),
) -> "Result":
    words = ["-n", "t", *options, "--", host.probes["glibc"], *verbs]
    seen = host.driver({"argv": [str(word) for word in words], "flags": flags}, prefix=prefix)
    report = json.loads(seen.err.splitlines()[-1])
    assert report["unchanged"]
    seen.status = report["launches"][0]["status"]
    return seen


def same(host: "Host", *verbs: object, options: tuple[object, ...] = ()) -> "Result":
    """The same run both ways; what was seen is equal, but for numbers of mounts."""
    old, modern = (launch(host, flags, *verbs, options=options) for flags in (OLD, MODERN))
    assert (old.status, old.out) == (modern.status, modern.out)
    return old


@pytest.mark.parametrize(
    "options", [(), ("-U", "65534", "-p"), ("-C", "cap_net_raw", "-s", "-p", "-h", "old")]
)
def test_old_kernel_gives_the_same_identity_and_process(host: "Host", options: tuple[str, ...]) -> None:
    seen = same(
        host, "ids", "caps", "modes", "process", "pids", "env", "signals", "list", "/", options=options
    )
    assert (seen["pids"], seen["no_new_privs"]) == ("1 2", "1")


@pytest.mark.parametrize("options", [(), ("-U", "65534"), ("-f",)])
def test_old_kernel_gives_the_same_console(host: "Host", options: tuple[str, ...]) -> None:
    verbs = ("process", "link", "/proc/self/fd/0", "cat", "/proc/self/mountinfo", "write", "/dev/console")
    old, modern = (launch(host, flags, *verbs, options=(*options, "-y", "-p")) for flags in (OLD, MODERN))
    for seen in (old, modern):
        assert (seen.status, seen["tty"], seen["write:/dev/console"]) == (0, "ok", "ok")
        assert "link /proc/self/fd/0 /dev/pts/0" in seen.out
        (line,) = [line for line in seen.all("line") if " /dev/console " in line]
        assert "nosuid" in line and "noexec" in line and "nodev" not in line and " - devpts " in line


def test_a_console_that_cannot_be_handed_over_starts_nothing(host: "Host") -> None:
    """As where nobody asked for its master."""
    request = {"argv": ["-n", "t", "-y", "--", str(host.probes["glibc"])], "no_console": True}
    (report,) = [json.loads(host.driver(request).err.splitlines()[-1])]
    (seen,) = report["launches"]
    assert report["unchanged"] and seen["status"] == 125
    assert seen["failed"] == "open a terminal, and hand over its master"


def test_old_kernel_gives_the_same_mounts(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    options = ("-p", "-s", "-r", "/etc/passwd", "-w", tmp_path)
    both = []
    for flags in (OLD, MODERN):
        lines = launch(host, flags, "cat", "/proc/self/mountinfo", options=options).all("line")
        both.append(sorted(" ".join(line.split()[3:]) for line in lines))
    # the order of the options and the mount point's own inherited flags are as the kernel prints them
    assert both[0] == both[1]


def test_old_kernel_leaves_read_only_what_the_host_has_read_only(host: "Host", tmp_path: Path) -> None:
    script = f'mount --bind {tmp_path} {tmp_path}; mount -o remount,bind,ro {tmp_path}; exec "$@"'
    apart = [*host.apart, "sh", "-ec", script, "sh"]
    for flags in (OLD, MODERN):
        seen = launch(host, flags, "create", tmp_path / "new", options=("-w", tmp_path), prefix=apart)
        assert seen[f"create:{tmp_path}/new"] == "EROFS"


def test_old_kernel_closes_stray_descriptors(host: "Host") -> None:
    stray = ("sh", "-c", 'exec "$@" 7</ 8</dev/null', "sh")
    seen = launch(host, OLD, "fds", prefix=stray)
    assert [line.split()[0] for line in seen.all("fd")] == ["0", "1", "2"]
    outside = host.run(*stray, host.probes["glibc"], "fds")
    assert [line.split()[0] for line in outside.all("fd")] == ["0", "1", "2", "7", "8"]


def test_old_kernel_is_read_only_where_it_should_be(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file, state = tmp_path / "file", tmp_path / "state"
    file.write_text("text\n")
    state.mkdir()
    verbs = ["write", file, "mkdir", "/x", "create", "/dev/x", "write", "/proc/sys/kernel/hostname"]
    seen = same(host, *verbs, options=("-p", "-r", file, "-w", state))
    assert set(seen.tries().values()) == {"EROFS"}
    assert launch(host, OLD, "create", state / "a", options=("-w", state))[f"create:{state}/a"] == "ok"


def test_old_kernel_leaves_the_old_root_unreachable(host: "Host") -> None:
    marker = host.probes.marker
    seen = same(host, "read", marker, "dotdot", marker, "chroot", marker, options=("-p",))
    assert set(seen.tries().values()) == {"ENOENT"}


def test_old_kernel_does_not_follow_a_link_in_a_writable_directory(host: "Host", tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "sub").symlink_to("/dev")
    (tmp_path / "file").write_text("")
    options = ("-w", f"{tmp_path}/w:/w", "-r", f"{tmp_path}/file:/w/sub/null")
    for flags in (OLD, MODERN):
        assert launch(host, flags, "exit", 0, options=options).status == 125


def test_old_kernel_holds_the_policy(host: "Host") -> None:
    policy = host.policy("prctl", "openat", "read", "close")
    seen = same(host, "modes", "call", "sched_yield", "-", options=("-S", policy))
    assert (seen["seccomp"], seen["call:sched_yield"]) == ("2", "EXFULL")


# ---- where the kernel refuses the later calls ----


@pytest.fixture(scope="module")
def old_kernel(host: "Host") -> Path:
    """The program that runs others as on a kernel of 2017."""
    if prebuilt := os.environ.get("STOCKADE_PREBUILT"):
        return Path(prebuilt) / "oldkernel-glibc"
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    out = host.folder / "oldkernel"
    made = host.run(
        "gcc", "-O1", "-Wall", "-Wextra", "-Werror", Path(__file__).with_name("oldkernel.c"), "-o", out
    )
    assert made.status == 0, made
    return out


@pytest.mark.parametrize("options", [("-p",), ("-U", "65534", "-p", "-s", "-r", "/etc", "-h", "old")])
def test_kernel_without_later_calls_gives_the_same_jail(
    host: "Host", old_kernel: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    tmp_path.chmod(0o755)
    verbs = [
        "ids",
        "caps",
        "process",
        "pids",
        "env",
        "signals",
        "fds",
        "list",
        "/",
        "mkdir",
        "/x",
        "create",
        "/dev/x",
    ]
    words = [host.ujail, "-n", "t", *options, "-w", tmp_path, "--", host.probes["glibc"]]
    modern, old = (
        [host.run(*prefix, *words, *verbs), host.run(*prefix, *words, "cat", "/proc/self/mountinfo")]
        for prefix in ((), (old_kernel,))
    )
    assert old[0].status == 0
    assert [line.split()[0] for line in old[0].all("fd")] == ["0", "1", "2"]
    lines = [[line for line in seen[0].out.splitlines() if "pipe:" not in line] for seen in (modern, old)]
    assert lines[0] == lines[1]
    both = [sorted(" ".join(line.split()[3:]) for line in seen[1].all("line")) for seen in (modern, old)]
    assert both[0] == both[1]


@pytest.mark.parametrize("kind", ["glibc", "musl", "static-glibc"])
def test_kernel_that_knows_no_flag_holds_the_policy(host: "Host", old_kernel: Path, kind: str) -> None:
    """Either door asks for a log line and gets EINVAL; both go on without."""
    policy = json.loads(host.policy("prctl", "openat", "open", "read", "close").read_text())
    policy["flags"] = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    flagged = host.folder / "flagged.json"
    flagged.write_text(json.dumps(policy))
    verbs = ("modes", "call", "sched_yield", "-", "cat", "/proc/self/status")
    words = [host.ujail, "-n", "t", "-p", "-S", flagged, "--", host.probes[kind], *verbs]
    for prefix in ((), (old_kernel,)):
        seen = host.run(*prefix, *words)
        assert (seen["seccomp"], seen["call:sched_yield"]) == ("2", "EXFULL"), seen
        [filters] = [line.split()[1] for line in seen.all("line") if line.startswith("Seccomp_filters:")]
        assert int(filters) == (1 if kind == "static-glibc" else 2) + len(prefix)
    twin = host.run(old_kernel, host.ujail, "-n", "t", "--", host.probes[kind], "call", "sched_yield", "-")
    assert twin["call:sched_yield"] == "ok"


@pytest.mark.parametrize(("asked", "status"), [(("-N", "-s"), (0, 0)), (("-s",), (0, 125)), ((), (0, 0))])
def test_user_namespace_shows_what_it_can_of_the_kernel(
    host: "Host", old_kernel: Path, asked: tuple[str, ...], status: tuple[int, int]
) -> None:
    """/sys is the host's, with mounts below it, unless the network is the jail's own: ujail(8)."""
    modern, old = (
        host.run(*prefix, host.ujail, "-n", "t", "-f", "-p", *asked, "--", host.probes["glibc"], "ids")
        for prefix in ((), (old_kernel,))
    )
    assert (modern.status, old.status) == status, old
    assert old.err.count("\n") == (old.status == 125)


@pytest.mark.parametrize("kind", ["a directory", "mounts below"])
def test_user_namespace_cannot_leave_mounts_below_a_directory_out(
    host: "Host", old_kernel: Path, tmp_path: Path, kind: str
) -> None:
    """Without a user namespace they are left out; in one the kernel lets nobody look below a mount."""
    (tmp_path / "sub").mkdir()
    tmp_path.chmod(0o755)
    mount = f"mount -t tmpfs none {tmp_path}/sub" if kind == "mounts below" else ":"
    apart = ("unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mount} && exec "$@"', "sh")
    is_refused = kind == "mounts below"
    for prefix, options, status in (
        ((old_kernel,), ("-f",), 125 if is_refused else 0),
        ((old_kernel,), (), 0),
        ((), ("-f",), 0),
    ):
        words = (
            host.ujail,
            "-n",
            "t",
            *options,
            "-r",
            tmp_path,
            "--",
            host.probes["glibc"],
            "list",
            tmp_path,
        )
        seen = host.run(*apart, *prefix, *words)
        assert (seen.status, seen.all("entry")) == (status, [] if status else ["sub"]), seen
