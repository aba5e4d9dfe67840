# SPDX-License-Identifier: MIT
"""With -S the policy is in force in each kind of program, whichever door it came through."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from result import Result

KINDS = ("glibc", "musl", "static-glibc", "static-musl", "i386", "script", "setuid", "file-capability")
TWO_DOORS = ("glibc", "musl", "script", "setuid", "file-capability")
HAS_SHIM_32 = "import os, jail.doors; raise SystemExit(not os.path.exists(jail.doors.SHIM_32))"
DENIED = "EXFULL"
OFF = "--no-default-filter"  # for what a jail without a policy can do
SYSCALL_KILLED = 128 + signal.SIGSYS
# what the probe's own verbs here need
CALLS = ("prctl", "openat", "open", "read", "close")


@pytest.fixture(scope="module")
def two_doors(host: "Host") -> tuple[str, ...]:
    """The kinds of program that load a shim, as the product was built."""
    has_shim_32 = host.run(sys.executable, "-I", "-c", HAS_SHIM_32).status == 0
    return (*TWO_DOORS, "i386") if has_shim_32 else TWO_DOORS


def probe(
    host: "Host", kind: str, policy: Path, *verbs: object, options: tuple[object, ...] = ()
) -> "Result":
    # setuid and file capabilities mean nothing to root
    user = ["-U", "65534"] if kind in ("setuid", "file-capability") else []
    return host.probe(*verbs, kind=kind, options=["-S", policy, *user, *options])


@pytest.mark.parametrize("kind", KINDS)
def test_policy_is_in_force_in_each_kind_of_program(host: "Host", kind: str) -> None:
    seen = probe(host, kind, host.policy(*CALLS), "modes", "call", "sched_yield", "-", "call", "getppid", "-")
    assert (seen["seccomp"], seen["no_new_privs"]) == ("2", "1"), seen
    assert (seen["call:sched_yield"], seen["call:getppid"]) == (DENIED, DENIED)
    allowed = probe(host, kind, host.policy(*CALLS, "sched_yield"), "call", "sched_yield", "-")
    assert allowed["call:sched_yield"] == "ok"
    without = host.probe("modes", "call", "sched_yield", "-", kind=kind, options=[OFF])
    assert (without["seccomp"], without["call:sched_yield"]) == ("0", "ok")


@pytest.mark.parametrize("kind", KINDS)
def test_policy_that_kills_kills_each_kind_of_program(host: "Host", kind: str) -> None:
    policy = host.policy(*CALLS, default="SCMP_ACT_KILL_PROCESS")
    seen = probe(host, kind, policy, "modes", "call", "sched_yield", "-")
    assert (seen.status, seen["seccomp"]) == (SYSCALL_KILLED, "2"), seen
    assert not seen.all("call:sched_yield")
    assert probe(host, kind, policy, "modes").status == 0


@pytest.mark.parametrize("kind", KINDS)
def test_policy_has_two_doors_where_the_shim_is_loaded(
    host: "Host", two_doors: tuple[str, ...], kind: str
) -> None:
    seen = probe(host, kind, host.policy(*CALLS), "cat", "/proc/self/status", options=("-p",))
    [filters] = [line.split()[1] for line in seen.all("line") if line.startswith("Seccomp_filters:")]
    # setuid programs are loaded like any other: nosuid and no_new_privs take their bits away. A shim is of one
    # ABI: an i386 program loads its own, if there is one
    assert filters == ("2" if kind in two_doors else "1")
    assert "Seccomp:\t2" in seen.all("line")


@pytest.mark.parametrize("kind", [*TWO_DOORS, "i386"])
def test_start_up_calls_end_with_main_where_the_shim_is_loaded(
    host: "Host", two_doors: tuple[str, ...], kind: str
) -> None:
    """getpid is in the start-up sets and not in this policy."""
    expected = DENIED if kind in two_doors else "ok"
    assert probe(host, kind, host.policy(*CALLS), "call", "getpid", "-")["call:getpid"] == expected


@pytest.mark.parametrize("kind", [*TWO_DOORS, "i386"])
def test_environment_shows_nothing_of_the_shim(host: "Host", two_doors: tuple[str, ...], kind: str) -> None:
    options = ("-e", "SECCOMP_DEBUG=0", "-e", "MINE=1")
    seen = sorted(probe(host, kind, host.policy(*CALLS), "env", options=options).all("env"))
    if kind not in two_doors:  # nobody takes it out
        seen = [line for line in seen if line != "SECCOMP_DEBUG=0"]
    assert seen == ["MINE=1", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=ujail"]


def test_environment_keeps_other_preloads(host: "Host") -> None:
    other = f"{host.system_libraries()}/libdl.so.2"
    options = ("-e", f"LD_PRELOAD={other}", "-r", other)
    seen = probe(
        host, "glibc", host.policy(*CALLS), "env", "cat", "/proc/self/maps", options=(*options, "-p")
    )
    assert f"LD_PRELOAD={other}" in seen.all("env")
    assert [line for line in seen.all("line") if other in line or os.path.realpath(other) in line]


def test_static_program_says_that_it_has_one_door(host: "Host") -> None:
    policy = host.policy(*CALLS)
    assert "door 1 only" in probe(host, "static-glibc", policy, "modes", options=("-d", "1")).err
    assert "door 1 only" not in probe(host, "glibc", policy, "modes", options=("-d", "1")).err


@pytest.mark.parametrize("verb", ["int80", "x32"])
@pytest.mark.parametrize("kind", ["glibc", "static-glibc"])
def test_foreign_abi_kills_even_where_the_policy_would_give_an_errno(
    host: "Host", kind: str, verb: str
) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x86-64 has two other ABIs")
    assert probe(host, kind, host.policy(*CALLS, "getpid"), verb).status == SYSCALL_KILLED
    twin = host.probe(verb, kind=kind, options=[OFF])
    assert twin.status == 0
    assert twin[verb] in (("ok", "ENOSYS") if verb == "x32" else ("ok",))


def test_x86_64_call_kills_an_i386_program(host: "Host") -> None:
    """Its policy is of its own ABI, in which getpid is allowed."""
    policy = host.policy(*CALLS, "getpid")
    assert probe(host, "i386", policy, "far64").status == SYSCALL_KILLED
    assert probe(host, "i386", policy, "call", "getpid", "-")["call:getpid"] == "ok"
    assert host.probe("far64", kind="i386", options=[OFF])["far64"] == "ok"


def test_policy_is_inherited_by_children(host: "Host") -> None:
    start = (
        "mmap brk mprotect fstat newfstatat pread64 access arch_prctl set_tid_address set_robust_list rseq"
    )
    processes = "fork clone clone3 vfork wait4 execve prlimit64 munmap getrandom"
    start += " mmap2 fstat64 fstatat64 statx set_thread_area ugetrlimit"  # the same on 32-bit
    calls = (*CALLS, *start.split(), *processes.split())
    program = host.probes["glibc"]
    verbs = ["spawn", program, "modes", "env", "call", "sched_yield", "-", "exit", "7"]
    seen = probe(host, "glibc", host.policy(*calls), *verbs)
    assert (seen["spawned"], seen["seccomp"], seen["call:sched_yield"]) == ("7", "2", DENIED), seen
    assert not [line for line in seen.all("env") if "SECCOMP" in line or "PRELOAD" in line]


def test_policy_needs_no_other_option(host: "Host") -> None:
    seen = host.jail(
        "-S", host.policy(*CALLS), "--", host.probes["glibc"], "modes", "read", host.probes.marker
    )
    assert (seen["seccomp"], seen[f"read:{host.probes.marker}"]) == ("2", "ENOENT")


def test_policy_in_wrapper_mode_is_in_force(host: "Host") -> None:
    for kind in ("glibc", "static-glibc"):
        seen = probe(host, kind, host.policy(*CALLS), "modes", "call", "sched_yield", "-", options=("-c",))
        assert (seen["seccomp"], seen["call:sched_yield"]) == ("2", DENIED)


def test_policy_of_a_denied_start_explains_itself(host: "Host") -> None:
    policy = host.policy(*CALLS, default="SCMP_ACT_KILL_PROCESS")
    seen = probe(host, "glibc", policy, "call", "sched_yield", "-", options=("-d", "1"))
    assert seen.status == SYSCALL_KILLED
    assert f"killed by signal {int(signal.SIGSYS)}" in seen.err
