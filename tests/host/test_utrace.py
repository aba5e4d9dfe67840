# SPDX-License-Identifier: MIT
"""utrace on real programs: what it counts is what they called.

The oracle is strace where it is installed; the programs are made so that their calls are known anyway.
"""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from utraced import DYNAMIC, STATIC, Traced, trace

if TYPE_CHECKING:
    from jails import Host
    from probes import Probes

KILLED = 100 if "STOCKADE_GUEST" in os.environ else 500  # all at once, and pages of mips guests are large
CHILDREN = 1_000 if "STOCKADE_GUEST" in os.environ else 10_000  # an emulated machine takes its time
CLONE3 = 4435 if os.uname().machine.startswith("mips") else 435
CALL = re.compile(r"(\d+) +(?:(\w+)\(|<\.\.\. )(.*)")


@pytest.mark.parametrize("kind", DYNAMIC)
def test_dynamic_program_is_counted_from_main_on(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "calls", 50)
    assert traced.status == 0
    assert traced.counts == {"getppid": 50, "umask": 2, "exit_group": 1}
    assert traced.first["from"] == "main"
    assert {"mmap", "mmap2"} & set(traced.first["before"])


@pytest.mark.parametrize("kind", STATIC)
def test_static_program_is_counted_from_its_entry_on(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "calls", 50)
    assert (traced.counts["getppid"], traced.counts["umask"]) == (50, 2)
    assert traced.first["from"] == "entry" and "set_tid_address" in traced.counts
    assert "before" not in traced.first
    assert "from its entry point on" in traced.err


def test_all_takes_in_what_came_before_main(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    less = trace(host, tmp_path / "t", busy["glibc"])
    more = trace(host, tmp_path / "t", busy["glibc"], options=("--all",))
    # how often the loader maps and unmaps is chance, where it puts libraries on boundaries
    assert set(more.counts) == set(less.counts) | set(less.first["before"])
    assert more.counts["umask"] == 2 and more.counts["read"] == less.first["before"]["read"]


def test_constructors_are_before_main(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    result = host.run("env", "BUSY_EARLY=7", host.utrace, "-f", file, busy["glibc"], "calls", 1)
    traced = Traced(result, file)
    assert "getpgid" not in traced.counts and traced.first["before"]["getpgid"] == 7
    # the libc's start-up set does not hold it, so the policy brings a list of its own
    assert "getpgid" in traced.policy["startup"] and "openat" in traced.policy["startup"]


def test_policy_without_odd_start_has_no_list_of_its_own(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    assert "startup" not in trace(host, tmp_path / "t", busy["glibc"], "calls", 1).policy


def test_threads_and_forks_are_followed(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "threads", 12, 40, "forks", 30, 5)
    assert traced.status == 0
    assert traced.counts["getppid"] == 12 * 40 + 30 * 5


def test_many_short_children(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["static-musl"], "forks", CHILDREN, 1)
    assert traced.status == 0
    assert traced.counts["getppid"] == CHILDREN
    assert traced.counts["exit_group"] == CHILDREN + 1


def test_children_killed_at_any_time(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "killed", KILLED, "calls", 3)
    assert traced.status == 0
    assert traced.counts["kill"] == KILLED


def test_each_program_has_its_own_counts(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    one, two = busy["glibc"], busy["static-musl"]
    traced = trace(host, tmp_path / "t", one, "calls", 5, "spawn", two, "calls", 7)
    programs = traced.policy["programs"]
    assert list(programs) == [str(one), str(two)]
    assert (programs[str(one)]["counts"]["getppid"], programs[str(two)]["counts"]["getppid"]) == (5, 7)
    assert traced.counts["getppid"] == 12
    # a filter is inherited and in force from the first instruction on
    assert programs[str(two)]["from"] == "entry"


def test_per_program_writes_a_policy_each(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    one, two = busy["glibc"], busy["static-musl"]
    traced = trace(
        host, tmp_path / "t", one, "calls", 5, "spawn", two, "calls", 7, options=("--per-program",)
    )
    other = json.loads((tmp_path / f"t.{two.name}").read_text())
    assert (traced.counts["getppid"], other["counts"]["getppid"]) == (5, 7)
    assert list(other["programs"]) == [str(two)]


def test_names_of_programs_hide_no_policy(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    names = ["l" * 255, "x", "x"]
    for number, name in enumerate(names):
        (tmp_path / f"{number}").mkdir()
        shutil.copy2(busy["static-musl"], tmp_path / f"{number}/{name}")
    loop = f"for p in {tmp_path}/[0-9]/*; do n=$((n + 1)); $p calls $((n + 20)); done"
    traced = trace(host, tmp_path / "t", "/bin/sh", "-c", loop, options=("--per-program",))
    assert traced.status == 0
    found = {
        path.name: json.loads(path.read_text())["counts"].get("getppid") for path in tmp_path.glob("t.*")
    }
    assert sorted(found.values()) == [21, 22, 23]
    assert {"t.x", "t.x.1"} < set(found)


def test_thread_that_executes_takes_its_process_along(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    two = busy["static-musl"]
    traced = trace(host, tmp_path / "t", busy["glibc"], "thread-exec", two, "calls", 9, "exit", 4)
    assert traced.status == 4
    assert traced.policy["programs"][str(two)]["counts"]["getppid"] == 9


def test_calls_of_another_abi_are_told_apart(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    busy["i386"]  # skips where there is none
    traced = trace(host, tmp_path / "t", busy["glibc"], "i386", 3, "x32", 2, "calls", 1)
    assert "for x86_64: calls of i386: getpid 3" in traced.err
    assert "calls of x32: getpid 2" in traced.err
    assert "getpid" not in traced.counts and traced.counts["getppid"] == 1


def test_i386_child_is_told_apart(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "spawn", busy["i386"], "calls", 6)
    assert "getppid 6" in traced.err and "getppid" not in traced.counts


def test_i386_program_gets_a_policy_of_its_own_abi(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["i386"], "calls", 6)
    assert traced.status == 0
    assert traced.counts["getppid"] == 6
    assert "not in the policy" not in traced.err


def test_number_that_no_kernel_has_is_reported(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "wild", 9999, 10000, "wild", -1, 0)
    assert ": 9999 1" in traced.err
    assert set(traced.counts) == {"umask", "exit_group"}


@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
@pytest.mark.parametrize("way", ["prctl", "seccomp"])
def test_filter_of_its_own_hides_calls_and_that_is_said(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str, way: str
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "calls", 3, "filter", way, "calls", 5)
    assert traced.status == 0
    assert traced.counts["getppid"] == 3  # of 8
    assert f"utrace: {busy[kind]}: asked for a seccomp filter; calls that" in traced.err
    twin = trace(host, tmp_path / "t", busy[kind], "calls", 3, "arguments", 1, "calls", 5)
    assert "prctl" in twin.counts and twin.counts["getppid"] == 8
    assert "seccomp" not in twin.err and "arguments" not in twin.err


def strace_counts(log: Path) -> Counter[str]:
    """The calls in a log of strace -f, from the mark of main on; a call is one even if its line is broken."""
    calls = [match[2] for match in map(CALL.match, log.read_text().splitlines()) if match and match[2]]
    return Counter(calls[calls.index("umask") :])


@pytest.mark.parametrize("kind", DYNAMIC)
def test_counts_are_those_of_strace(host: "Host", busy: "Probes", tmp_path: Path, kind: str) -> None:
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    verbs = ("calls", 20, "threads", 1, 30, "forks", 20, 3, "signals", 5, "stop", "read", "/etc/passwd")
    log = tmp_path / "log"
    assert host.run(strace, "-f", "-qq", "-e", "signal=none", "-o", log, busy[kind], *verbs).status == 0
    traced = trace(host, tmp_path / "t", busy[kind], *verbs)
    # chance decides who has to wait, and whether a signal that nobody handles makes a wait begin anew
    chance = {"futex", "futex_time64", "restart_syscall", "wait4", "waitid", "waitpid", "read"}
    expected = {name: count for name, count in strace_counts(log).items() if name not in chance}
    assert {name: count for name, count in traced.counts.items() if name not in chance} == expected


def test_child_may_use_the_processors_that_it_may_use_untraced(host: "Host", tmp_path: Path) -> None:
    """Until its first call it is held to one, beside its tracer."""
    allowed = "grep Cpus_allowed: /proc/self/status"
    command = ("/bin/sh", "-c", f"{allowed}; ({allowed}; {allowed}) & wait")
    traced = host.run(host.utrace, "-f", tmp_path / "t", *command)
    lines = traced.out.splitlines()
    assert len(lines) == 3, traced
    assert lines == host.run(*command).out.splitlines()


# ---- in a jail ----


@pytest.mark.parametrize("kind", [*DYNAMIC, *STATIC])
def test_service_in_its_jail_is_recorded_and_ujail_is_not(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str
) -> None:
    command = (host.ujail, "-n", "t", "-p", "--", busy[kind], "calls", 4, "forks", 2, 3, "exit", 6)
    traced = trace(host, tmp_path / "t", *command, options=("--jail",))
    assert traced.status == 6
    assert list(traced.policy["programs"]) == [str(busy[kind])]
    assert traced.counts["getppid"] == 4 + 2 * 3
    assert traced.first["from"] == ("main" if kind in DYNAMIC else "entry")
    assert "mount" not in traced.counts
    assert "warning: the default filter is off while utrace records: every" in traced.err


def test_policy_in_the_jail_hides_calls_and_that_is_said(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    verbs = ("--", busy["static-musl"], "calls", 3)
    traced = trace(host, tmp_path / "t", host.ujail, "-S", host.policy(), *verbs, options=("--jail",))
    assert "getppid" not in traced.counts
    assert "utrace: ujail's -S: what the policy denies is not recorded" in traced.err
    twin = trace(host, tmp_path / "t", host.ujail, *verbs, options=("--jail",))
    assert twin.counts["getppid"] == 3 and "-S" not in twin.err


def test_call_that_the_default_filter_denies_is_recorded_in_a_jail(host: "Host", tmp_path: Path) -> None:
    """clone3 gets ENOSYS from it: a policy with the clone that libc then takes would not do without the trace."""
    policy = tmp_path / "policy"
    command = (host.ujail, "-n", "t", "--", host.probes["glibc"], "call", CLONE3, "-")
    host.run(host.utrace, "--jail", "-f", policy, *command)
    assert "clone3" in json.loads(policy.read_text())["counts"]


def test_program_that_executes_itself_is_recorded_both_ways(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    own = busy["glibc"]
    traced = trace(host, tmp_path / "t", own, "calls", 1, "spawn", own, "calls", 2)
    programs = traced.policy["programs"]
    assert programs[str(own)]["counts"]["getppid"] == 1
    # without a shim of its own, under a filter from its first instruction on
    assert programs[f"{own} (again)"]["from"] == "entry"
    assert programs[f"{own} (again)"]["counts"]["getppid"] == 2
