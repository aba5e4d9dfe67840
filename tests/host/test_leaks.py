# SPDX-License-Identifier: MIT
"""Many jails, ended well and badly: nothing stays behind, beyond what the `leaks` fixture compares as well."""

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

HERE = Path(__file__).resolve().parent
IS_GUEST = "STOCKADE_GUEST" in os.environ  # an emulated machine: a jail takes it half a second
JAILS = 8 if IS_GUEST else 200
AT_ONCE = 8 if IS_GUEST else 20
KILLED = 6 if IS_GUEST else 100
SEED = 20261121
# other programs use /tmp at the same time, but in a guest; a leak would be one entry a jail
TMP_NOISE = 3 if IS_GUEST else 20


def launch_words(host: "Host", *verbs: str) -> list[str]:
    return ["-n", "t", "-p", "-s", "-r", "/etc/passwd", "--", str(host.probes["static-glibc"]), *verbs]


def mount_namespaces() -> set[str]:
    """Every mount namespace that a process is in."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.add(os.readlink(f"/proc/{name}/ns/mnt"))
            except OSError:
                continue  # gone
    return found


def jails_in_mounts(folder: Path) -> list[str]:
    """Mounts of our probes, in whatever namespace: only a jail has them."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                lines = Path(f"/proc/{name}/mountinfo").read_text().splitlines()
            except OSError:
                continue  # gone
            found += [line for line in lines if f" {folder}/" in line]
    return found


@pytest.mark.parametrize("flags", [[], ["LAUNCH_OLD_KERNEL"]])
def test_jails_through_the_library_leave_nothing(host: "Host", flags: list[str]) -> None:
    tmp = len(os.listdir("/tmp"))
    argv = launch_words(host, "exit", "3")
    seen = host.driver({"argv": argv, "times": JAILS, "flags": flags})
    report = json.loads(seen.err.splitlines()[-1])
    assert [launch["status"] for launch in report["launches"]] == [3] * JAILS
    assert report["unchanged"]  # descriptors, mounts and children of the supervisor
    assert len(os.listdir("/tmp")) - tmp < TMP_NOISE
    host.until(lambda: not jails_in_mounts(host.folder), "no mount of a jail anywhere")


def test_jails_that_fail_through_the_library_leave_nothing(host: "Host") -> None:
    tmp = len(os.listdir("/tmp"))
    bad = host.folder / "not-a-program"
    bad.write_text("#!/proc/nothing\n")
    argv = [
        "-n",
        "t",
        "-p",
        "-C",
        "cap_chown",
        "-r",
        "/etc/passwd",
        "--",
        str(host.probes["static-glibc"]),
        "exit",
        "0",
    ]
    # the planned source is replaced, so that each start stops in the middle of its mounts
    source, new = host.folder / "source", host.folder / "new"
    source.write_text("")
    new.write_text("")
    argv[3:3] = ["-r", str(source)]
    seen = host.driver({"argv": argv, "times": JAILS, "replace": [str(source), str(new)]})
    report = json.loads(seen.err.splitlines()[-1])
    assert [launch["status"] for launch in report["launches"]] == [125] * JAILS
    assert report["unchanged"]
    assert len(os.listdir("/tmp")) - tmp < TMP_NOISE
    source.unlink()
    bad.unlink()


def test_jails_through_the_command_leave_nothing(host: "Host") -> None:
    tmp = len(os.listdir("/tmp"))
    for _ in range(JAILS // AT_ONCE):
        running = [host.spawn(host.ujail, *launch_words(host, "exit", "3")) for _ in range(AT_ONCE)]
        assert [host.finish(jail).status for jail in running] == [3] * AT_ONCE
    assert len(os.listdir("/tmp")) - tmp < TMP_NOISE
    host.until(lambda: not jails_in_mounts(host.folder), "no mount of a jail anywhere")


def test_supervisor_killed_at_any_point_leaves_nothing(host: "Host") -> None:
    tmp = len(os.listdir("/tmp"))
    before = mount_namespaces()
    chance = random.Random(SEED)
    words = [sys.executable, "-I", HERE / "leaks.py"]
    argv = launch_words(host, "daemon", "hold")
    for _ in range(KILLED // 2):
        # two at a time: they disturb each other's timing, which is welcome
        pair = [
            host.spawn(*words, json.dumps({"argv": argv, "delay_us": chance.randrange(1, 12000)}))
            for _ in range(2)
        ]
        for supervisor in pair:
            seen = host.finish(supervisor)
            assert seen.status == 128 + signal.SIGKILL
            assert seen.err == "go\n"
    host.until(lambda: not jails_in_mounts(host.folder), "no mount of a jail anywhere")
    host.until(lambda: len(mount_namespaces() - before) < TMP_NOISE, "no namespace of a jail")
    assert len(os.listdir("/tmp")) - tmp < TMP_NOISE
