# SPDX-License-Identifier: MIT
"""Attackers who are quick: links swapped in while a jail is made, and a process taken before it is held."""

import fcntl
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from watcher import MARK

if TYPE_CHECKING:
    from jails import Host

HERE = Path(__file__).resolve().parent
ROUNDS = 60 if "STOCKADE_GUEST" in os.environ else 2000
OLD = pytest.mark.parametrize("flags", [[], ["LAUNCH_OLD_KERNEL"]], ids=["modern", "old"])
SECRET = "not to be seen"


@pytest.fixture
def folder(host: "Host", tmp_path: Path) -> Path:
    """w/sub is a directory with places for mounts, w/other a link to `outside`; both can be swapped."""
    tmp_path.chmod(0o755)
    for place in ("w/sub", "outside"):
        (tmp_path / place / "t").mkdir(parents=True)
        for name in ("x", "secret"):
            (tmp_path / place / name).write_text(f"{SECRET}\n" if name == "secret" else "")
    (tmp_path / "file").write_text("file\n")
    (tmp_path / "outside/secret").write_text("")
    (tmp_path / "w/other").symlink_to(tmp_path / "outside")
    seen = host.outside("exchange", tmp_path / "w/sub", tmp_path / "w/other", "1")
    if seen["exchange"] != "1":
        pytest.skip("no exchange of names on this file system")
    host.outside("exchange", tmp_path / "w/sub", tmp_path / "w/other", "1")
    return tmp_path


def race(host: "Host", folder: Path, request: dict[str, Any], pair: tuple[Path, Path]) -> dict[str, Any]:
    """The outcome of all rounds, with a swapper at work from before the first to after the last."""
    words = json.dumps({"rounds": ROUNDS, "never": SECRET, **request})
    racer = host.spawn(sys.executable, "-I", HERE / "racer.py", words, stderr=None)
    host.wait_ready(racer)
    swapper = host.spawn(host.probes["static-glibc"], "exchange", *pair, "0")
    host.wait_ready(swapper)
    seen = host.finish(racer)
    assert seen.status == 0, seen
    swaps = int(host.finish(swapper)["exchange"])
    outcome: dict[str, Any] = json.loads(seen.out.splitlines()[-1])
    assert swaps > ROUNDS / 10, swaps
    return outcome


def probed(host: "Host") -> list[str]:
    return ["--", str(host.probes["static-glibc"]), "cat", "/proc/self/mountinfo"]


@OLD
def test_links_swapped_into_a_writable_directory_lead_no_mount_away(
    host: "Host", folder: Path, flags: list[str]
) -> None:
    """A mount follows its directory to the directory's other name; to another place none ever comes."""
    w = folder / "w"
    argv = ["-n", "t", "-p", "-w", f"{w}:/w", "-r", f"{folder}/outside", "--bind", f"{folder}/file:/w/sub/x"]
    argv += ["--tmpfs", "/w/sub/t", "--mask", "/w/sub/secret", *probed(host)]
    argv += ["cat", "/w/sub/secret", "cat", "/w/other/secret"]
    places = [f"/w/other/{place}" for place in ("x", "t", "secret")]
    outcome = race(host, folder, {"argv": argv, "flags": flags, "places": places}, (w / "sub", w / "other"))
    assert (outcome["strays"], outcome["leaks"]) == ([], 0), outcome
    assert set(outcome["errors"]) <= {"ELOOP", "ENOENT", "ENOTDIR", "EXDEV"}, outcome
    assert outcome["ran"] + sum(outcome["errors"].values()) == ROUNDS
    assert sorted(os.listdir(folder / "outside")) == ["secret", "t", "x"]


def test_links_swapped_into_an_extroot_lead_no_mount_out(host: "Host", folder: Path) -> None:
    root = folder / "w"  # whose etc is swapped
    (root / "sub").rename(root / "etc")
    (root / "bin").mkdir()
    program = root / "bin/probe"
    program.write_bytes(host.probes["static-glibc"].read_bytes())
    program.chmod(0o755)
    argv = ["-n", "t", "-p", "-R", str(root), "--bind", f"{folder}/file:/etc/x", "--", "/bin/probe", "cat",
            "/proc/self/mountinfo"]  # fmt: skip
    outcome = race(host, folder, {"argv": argv, "places": []}, (root / "etc", root / "other"))
    assert outcome["strays"] == [], outcome
    assert set(outcome["errors"]) <= {"ELOOP", "ENOENT", "ENOTDIR"}, outcome


def test_mount_by_path_is_led_away_by_the_same_swapper(host: "Host", folder: Path) -> None:
    """The twin: who mounts by a path, as procd does, mounts outside before long."""
    w = folder / "w"
    swapper = host.spawn(host.probes["static-glibc"], "exchange", w / "sub", w / "other", "0")
    host.wait_ready(swapper)
    verbs = ["bind", folder / "file", w / "sub/x"] * 300
    points: list[str] = []

    def is_led_away() -> bool:
        seen = host.outside(*verbs, "cat", "/proc/self/mountinfo")
        points[:] = [line.split()[4] for line in seen.all("line")]
        return f"{folder}/outside/x" in points

    # two processes on a busy machine may take turns for a while
    host.until(is_led_away, "a mount outside")
    host.finish(swapper)


def test_process_that_is_still_the_launchers_lets_nobody_of_its_uid_in(host: "Host", tmp_path: Path) -> None:
    """It has the service's uid already, and shares the memory of a launcher with every privilege.

    A lease on the program has the first of them wait in its exec until it was met: chance would need two processors.
    """
    tmp_path.chmod(0o755)
    program = Path(shutil.copy(host.probes["static-glibc"], tmp_path))
    launches = f"""
import os, sys
sys.path.insert(0, {str(HERE.parent / "host")!r})
import driver
from jail._native import ffi
from jail.launch import launch
plan = driver.plan_for(["-n", "t", "-U", "65534", "--", {str(program)!r}, "exit", "0"])
mark = ffi.new("char[]", {MARK!r})
with open("/proc/self/comm", "w") as file:
    file.write("L%x" % int(ffi.cast("uintptr_t", mark)))
print("ready", flush=True)
os.read(0, 1)
for _ in range({max(ROUNDS // 4, 200)}):
    os.waitpid(launch(plan).pid, 0)
"""
    watcher = host.spawn(sys.executable, "-I", HERE / "watcher.py", "65534")
    host.wait_ready(watcher)
    launcher = host.spawn(sys.executable, "-I", "-c", launches)
    host.wait_ready(launcher)
    with open(program, "rb") as leased:
        # that somebody waits is told by a signal, and this one ends nobody
        fcntl.fcntl(leased, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        assert launcher.stdin is not None
        launcher.stdin.write("go")
        launcher.stdin.flush()
        assert host.first_line(watcher) == "seen"
    done = host.finish(launcher)
    assert done.status == 0, done
    seen = host.finish(watcher)
    assert int(seen["opened"]) == 0 and int(seen["tried"]) > 0, seen


def test_process_of_that_uid_which_nobody_protects_lets_it_in(host: "Host") -> None:
    """The twin."""
    watcher = host.spawn(sys.executable, "-I", HERE / "watcher.py", "65534")
    host.wait_ready(watcher)
    other = {"user": 65534, "group": 65534, "extra_groups": []}
    victim = host.spawn(host.probes["static-glibc"], "mark", MARK.decode(), "stay", **other)
    host.wait_ready(victim)
    assert host.first_line(watcher) == "seen"
    seen = host.finish(watcher)
    assert int(seen["opened"]) > 0, seen
    host.finish(victim)


def test_descriptors_of_the_caller_stay_outside(host: "Host") -> None:
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        inside = host.run(host.ujail, "-n", "t", "--", host.probes["glibc"], "fds", pass_fds=(fd,))
        outside = host.run(host.probes["glibc"], "fds", pass_fds=(fd,))
    finally:
        os.close(fd)
    assert [line.split()[0] for line in inside.all("fd")] == ["0", "1", "2"], inside
    assert str(fd) in [line.split()[0] for line in outside.all("fd")], outside


def test_remount_of_what_was_asked_for(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "sub").mkdir()
    options = ("-r", tmp_path, "--bind", "/etc:/x:noexec", "--mask", tmp_path / "sub", "--tmpfs", "/t")
    verbs = (
        "remount",
        tmp_path,
        "remount",
        "/x",
        "remount",
        "/t",
        "umount",
        tmp_path / "sub",
        "umount",
        "/t",
    )
    seen = host.probe(*verbs, options=options)
    assert "ok" not in seen.tries().values() and len(seen.tries()) == 5, seen
    script = 'mount --bind "$0" "$0"; exec "$@"'
    words = (*host.apart, "sh", "-ec", script, tmp_path)
    outside = host.run(*words, host.probes["glibc"], "remount", tmp_path, "umount", tmp_path)
    assert set(outside.tries().values()) == {"ok"}, outside
