# SPDX-License-Identifier: MIT
"""What a jail and the init daemon cost on this architecture, for the table in tests/bench/README.md.

Seconds are those of an emulated machine that others share: they compare architectures and tell a change of ten times,
and that is all that is asserted. Memory is what it is on the real one.
"""

import json
import resource
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jails import Host

RESULTS = Path("/results/cost.json")
ROUNDS = 3
JAILS = 5
MAX_START_S = 30
MAX_JAIL_KIB = 250 * resource.getpagesize() // 4096  # most of it are pages that hold little
MAX_INITD_KIB = 24 * 1024


def note(**found: float) -> None:
    """Add to what the harness reads when the guest has ended."""
    RESULTS.parent.mkdir(exist_ok=True)
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**before, **found}))


def pss_kib(pid: int, sharers: int = 1) -> float:
    """What the kernel says; where it does not (big-endian mips), the pages of files are those of all sharers."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if rollup.exists():
        lines = rollup.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return rss["RssAnon"] + rss["RssFile"] / sharers


def seconds(*command: object) -> float:
    words = [str(word) for word in command]
    took = []
    for _ in range(ROUNDS):
        start = time.monotonic()
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        took.append(time.monotonic() - start)
    return round(statistics.median(took), 3)


def test_seconds_of_a_start(host: "Host") -> None:
    bare = seconds("/bin/true")
    policy = host.policy(default="SCMP_ACT_ALLOW")
    jail = seconds(host.ujail, "-n", "t", "--", "/bin/true")
    held = seconds(host.ujail, "-n", "t", "-S", policy, "--", "/bin/true")
    python = seconds("python3", "-IS", "-c", "")
    note(true_s=bare, ujail_s=jail, ujail_policy_s=held, python_s=python)
    assert bare < jail < MAX_START_S
    assert held < MAX_START_S


def test_memory_of_a_jail(host: "Host") -> None:
    """The waiter and PID 1 of each, without the service."""
    jails = [host.start("stay") for _ in range(JAILS)]
    for jail in jails:
        host.wait_ready(jail)
    stubs = [stub for jail in jails for stub in host.children_of(jail.pid)]
    assert len(stubs) == JAILS
    for stub in stubs:
        host.until(lambda pid=stub: host.status_of(pid)["Seccomp"] == "2", "the stub's filter")  # type: ignore[misc]
    ours = [*stubs, *(jail.pid for jail in jails)]
    each = sum(pss_kib(pid, len(ours)) for pid in ours) / JAILS
    note(jail_kib=round(each, 1))
    for jail in jails:
        assert host.finish(jail).status == 0
    assert each < MAX_JAIL_KIB


def test_start_and_memory_of_initd(host: "Host", tmp_path: Path) -> None:
    program = Path(host.ujail).with_name("initd")
    socket, scripts, rc = tmp_path / "ubus.sock", tmp_path / "init.d", tmp_path / "rc.d"
    scripts.mkdir()
    rc.mkdir()
    start = time.monotonic()
    initd = host.spawn(program, "-s", socket, "-I", scripts, "-R", rc, "-S")
    host.until(socket.exists, "the daemon's socket")
    took = time.monotonic() - start
    used = pss_kib(initd.pid)
    initd.terminate()
    host.finish(initd)
    note(initd_s=round(took, 3), initd_kib=used)
    assert used < MAX_INITD_KIB
    assert took < MAX_START_S
