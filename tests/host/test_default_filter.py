# SPDX-License-Identifier: MIT
"""A jail without a policy has the default filter: what it denies, what it lets be, and how it is left out."""

import errno
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail._native import lib
from jail.policy import native_arch

if TYPE_CHECKING:
    from jails import Host

OFF = "--no-default-filter"
DENIED = ("EPERM", "ENOSYS")
POLICY = Path(__file__).resolve().parents[2] / "json-filters" / "default.json"
IS_MIPS = native_arch().startswith("mips")
IS_64_BIT = sys.maxsize > 1 << 32
# with these arguments a call does nothing where it is allowed; else six zeros
HARMLESS = {
    "clone": "0x10000011,1",  # CLONE_NEWUSER, with a stack that nobody can use: EINVAL or a child that dies
    "unshare": "0x8000000",
    "ptrace": "16,0",  # PTRACE_ATTACH to nobody
    "kexec_load": "0,17,0,0",  # more segments than there can be
    "process_madvise": "-",
    "iopl": "0",
    "ioperm": "0,1,0",
    "sysfs": "3",
    "syslog": "10",  # SYSLOG_ACTION_SIZE_BUFFER
    "swapon": "0",
    "userfaultfd": "0x80000",  # O_CLOEXEC
    "keyctl": "0,0xfffffffd,0",  # the id of the session keyring
    "io_uring_setup": "0,0",
}
KNOWN_FAMILIES = (1, 2, 10, 16, 17, 24, 31)  # of Unix, IP, IPv6, netlink, packets, PPP, Bluetooth
THREAD = "import threading; t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()"
LEFT_OUT = {"clone"}  # has tests of its own


def denied_names() -> list[str]:
    rules = json.loads(POLICY.read_text())["syscalls"]
    names = {
        name
        for rule in rules
        if rule["action"] == "SCMP_ACT_ERRNO" and "args" not in rule
        for name in rule["names"]
    }
    kept = names - LEFT_OUT - {"socket", "socketpair", "personality", "clone3"}
    return sorted(name for name in kept if lib.call_number(native_arch().encode(), name.encode()) >= 0)


def words(name: str, arguments: str = "") -> list[str]:
    number = lib.call_number(native_arch().encode(), name.encode())
    return ["call", str(number), arguments or HARMLESS.get(name, "0,0,0,0,0,0")]


def test_each_call_is_denied_in_a_jail_and_nowhere_else(host: "Host") -> None:
    """What this kernel lacks, or denies to everybody, says nothing and is passed over."""
    names = denied_names()
    verbs = [word for name in names for word in words(name)]
    inside, outside = (
        seen.tries() for seen in (host.probe(*verbs, options=("-p", "-C", "none")), host.outside(*verbs))
    )
    assert len(inside) == len(outside) == len(names)
    assert set(inside.values()) <= set(DENIED), inside
    told = [name for name in inside if outside[name] not in (*DENIED, "EOPNOTSUPP")]
    assert len(told) > len(names) // 2, outside


# what sets the clock, with an address that is nobody's: who gets as far as that sets nothing
CLOCK = {
    "settimeofday": "1,0",
    "clock_settime": "0,1",
    "clock_settime64": "0,1",
    "adjtimex": "1",
    "clock_adjtime": "0,1",
    "clock_adjtime64": "0,1",
    "stime": "1",
}


def test_clock_is_set_by_nobody_but_who_was_given_the_capability(host: "Host") -> None:
    arch = native_arch().encode()
    verbs = [
        word
        for name, arguments in CLOCK.items()
        if lib.call_number(arch, name.encode()) >= 0
        for word in words(name, arguments)
    ]
    assert set(host.outside(*verbs).tries().values()) == {"EFAULT"}
    assert set(host.probe(*verbs).tries().values()) == {"EPERM"}
    assert set(host.probe(*verbs, options=(OFF,)).tries().values()) == {"EFAULT"}
    assert set(host.probe(*verbs, options=("-C", "cap_sys_time")).tries().values()) == {"EFAULT"}


@pytest.mark.parametrize("options", [(), ("-U", "65534"), ("-T", "1m")])
def test_every_jail_without_a_policy_has_the_filter(host: "Host", options: tuple[str, ...]) -> None:
    for kind in ("glibc", "static-glibc"):
        seen = host.probe("modes", *words("keyctl"), options=options, kind=kind)
        assert (seen["seccomp"], *seen.tries().values()) == ("2", "EPERM")
        assert seen.err == ""
        twin = host.probe("modes", *words("keyctl"), options=(*options, OFF), kind=kind)
        assert twin["seccomp"] == "0" and set(twin.tries().values()) != {"EPERM"}
        assert "the default filter is off" in twin.err


def test_filter_is_for_the_programs_own_abi(host: "Host") -> None:
    seen = host.probe("modes", "call", str(lib.call_number(b"i386", b"keyctl")), "0,-3,0", kind="i386")
    assert (seen["seccomp"], *seen.tries().values()) == ("2", "EPERM")
    assert host.probe("far64", kind="i386").status == 128 + 31
    assert host.probe("far64", kind="i386", options=(OFF,))["far64"] == "ok"


def test_a_policy_takes_the_place_of_the_filter(host: "Host") -> None:
    """EXFULL is what the policy's own default gives: the other filter would be stricter, were it there."""
    seen = host.probe(*words("mount"), options=("-S", host.policy()))
    assert list(seen.tries().values()) == ["EXFULL"]
    allowed = host.probe(*words("mount"), options=("-S", host.policy("mount"), "-p", "-C", "all"))
    assert list(allowed.tries().values()) == ["EFAULT"]


def test_capability_that_was_asked_for_opens_what_it_is_for(host: "Host") -> None:
    for name, capability in (("adjtimex", "sys_time"), ("mount", "sys_admin"), ("ptrace", "sys_ptrace")):
        options = ("-p", "-C", f"cap_{capability}")
        assert list(host.probe(*words(name), options=options).tries().values()) not in (["EPERM"], ["ENOSYS"])
        assert list(host.probe(*words(name)).tries().values()) == ["EPERM"]


# ---- by argument ----

NEW = {"NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000}
NEW |= {"NEWUSER": 0x10000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000}


@pytest.mark.parametrize("flag", NEW.values(), ids=NEW)
def test_processes_in_new_namespaces_are_denied(host: "Host", flag: int) -> None:
    end = int(signal.SIGCHLD)
    for number in (flag | end, flag | IS_64_BIT << 40 | end):  # the kernel takes the lower half alone
        assert list(host.probe("spawn-with", number).tries().values()) == ["EPERM"]
    assert list(host.outside("spawn-with", flag | end).tries().values()) == ["ok"]
    assert list(host.probe("spawn-with", end).tries().values()) == ["ok"]
    assert list(host.probe(*words("unshare", str(flag))).tries().values()) == ["EPERM"]


def test_what_is_no_namespace_can_be_unshared(host: "Host") -> None:
    assert list(host.probe(*words("unshare", "0x600")).tries().values()) == ["ok"]


def test_namespaces_are_allowed_where_asked_for(host: "Host") -> None:
    user = NEW["NEWUSER"]
    verbs = ("spawn-with", user | NEW["NEWNS"] | int(signal.SIGCHLD), *words("unshare", str(user)))
    denied = host.probe(*verbs).tries()
    assert set(denied.values()) == {"EPERM"}
    assert set(host.probe(*verbs, options=("--allow-userns",)).tries().values()) == {"ok"}


def test_clone3_says_that_it_is_not_there(host: "Host") -> None:
    """Its flags stand where no filter sees them; a libc that hears ENOSYS takes clone."""
    if list(host.outside(*words("clone3", "0,0")).tries().values()) != ["EINVAL"]:
        pytest.skip("no clone3 in this kernel")
    assert list(host.probe(*words("clone3", "0,0")).tries().values()) == ["ENOSYS"]
    library = os.path.dirname(os.__file__)
    python = os.path.realpath(sys.executable)
    threads = host.jail("-n", "t", "-p", "-r", library, "--", python, "-IS", "-c", THREAD)
    assert (threads.status, threads.out) == (0, "thread\n"), threads


@pytest.mark.parametrize("request_name", ["TIOCSTI", "TIOCLINUX"])
def test_terminals_cannot_be_typed_into(host: "Host", request_name: str) -> None:
    """Also with bits set in the upper half of the argument, which the kernel drops."""
    numbers = {"TIOCSTI": (0x5412, 0x5472), "TIOCLINUX": (0x541C, 0x5483)}[request_name]
    number = numbers[IS_MIPS]
    wide = [number, number | 1 << 32] if os.uname().machine == "x86_64" else [number]
    for each in wide:
        verbs = words("ioctl", f"0,{each},0")
        assert list(host.probe(*verbs, options=("-p", "-C", "all")).tries().values()) == ["EPERM"]
        assert list(host.outside(*verbs).tries().values()) == ["ENOTTY"]  # stdin is /dev/null
    assert list(host.probe(*words("ioctl", f"0,{number ^ 0x1000},0")).tries().values()) == ["ENOTTY"]


def test_rare_families_of_sockets_are_denied(host: "Host") -> None:
    if native_arch() == "i386":
        pytest.skip("its libc asks through socketcall, whose arguments no filter sees")
    families = range(1, 46)
    kind = int(socket.SOCK_DGRAM)
    verbs = [word for family in families for word in words("socket", f"{family},{kind},0")]
    inside, outside = (
        dict(zip(families, (line.partition(" ")[2] for line in seen.out.splitlines()), strict=True))
        for seen in (host.probe(*verbs), host.outside(*verbs))
    )
    none = f"errno {errno.EAFNOSUPPORT}"
    assert {family for family in families if inside[family] != none} <= set(KNOWN_FAMILIES), inside
    assert all(inside[family] == outside[family] for family in KNOWN_FAMILIES)
    if {family for family in families if outside[family] != none} <= set(KNOWN_FAMILIES):
        pytest.skip("no rare family in this kernel")


@pytest.mark.parametrize("persona", [0x40000, 8, 0x40000 | IS_64_BIT << 32])
def test_personality_cannot_be_changed(host: "Host", persona: int) -> None:
    """ADDR_NO_RANDOMIZE makes addresses the same in every run."""
    assert list(host.probe(*words("personality", str(persona))).tries().values()) == ["EPERM"]
    assert list(host.outside(*words("personality", str(persona))).tries().values()) == ["ok"]
    assert list(host.probe(*words("personality", "0xffffffff")).tries().values()) == ["ok"]


def test_errnos_are_those_of_the_architecture() -> None:
    rules = json.loads(POLICY.read_text())["syscalls"]
    here = "mips" if IS_MIPS else native_arch()
    given = set()
    for rule in rules:
        only, but = rule.get("includes", {}).get("arches"), rule.get("excludes", {}).get("arches", [])
        if (only is None or here in only) and here not in but:
            given.add(rule.get("errnoRet"))
    assert given == {None, errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT}
