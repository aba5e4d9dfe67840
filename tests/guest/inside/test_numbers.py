# SPDX-License-Identifier: MIT
"""Numbers that differ between architectures: calls, errors, signals, flags of open, requests of ioctl.

Each is written out here for the guest's architecture, given to the product as a number, and seen in what its
kernel then does. With the numbers of another architecture each of these tests fails.
"""

import errno
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail.policy import compile_filter

if TYPE_CHECKING:
    from jails import Host

ARCH = os.environ.get("STOCKADE_GUEST", "")
FIRST_ERROR = 1000  # no kernel gives these
LISTED = re.compile(r"CALL\((\w+)\),")
X86 = {
    **{"ENAMETOOLONG": 36, "ENOSYS": 38, "ELOOP": 40, "EOVERFLOW": 75, "ENOTSOCK": 88, "ETIMEDOUT": 110},
    **{"SIGBUS": 7, "SIGUSR1": 10, "SIGUSR2": 12, "SIGCHLD": 17, "SIGCONT": 18, "SIGSYS": 31},
    **{"O_CREAT": 0x40, "O_EXCL": 0x80, "O_NONBLOCK": 0x800},
    **{"TIOCSTI": 0x5412, "TIOCSCTTY": 0x540E},
}
MIPS = {
    **{"ENAMETOOLONG": 78, "ENOSYS": 89, "ELOOP": 90, "EOVERFLOW": 79, "ENOTSOCK": 95, "ETIMEDOUT": 145},
    **{"SIGBUS": 10, "SIGUSR1": 16, "SIGUSR2": 17, "SIGCHLD": 18, "SIGCONT": 25, "SIGSYS": 12},
    **{"O_CREAT": 0x100, "O_EXCL": 0x400, "O_NONBLOCK": 0x80},
    **{"TIOCSTI": 0x5472, "TIOCSCTTY": 0x5480},
}
OURS, OTHERS = (MIPS, X86) if ARCH.startswith("mips") else (X86, MIPS)
DENIED = errno.EXFULL
ERRORS = [name for name in OURS if name.startswith("E")]
SIGNALS = [name for name in OURS if name.startswith("SIG") and name != "SIGSYS"]

pytestmark = pytest.mark.skipif(not ARCH, reason="only in a guest")


def policy(host: "Host", name: str, *rules: dict[str, object]) -> Path:
    """A policy that allows all but what its rules say."""
    path = host.folder / f"numbers-{name}.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules)}))
    path.chmod(0o644)
    return path


def refuse(call: str, error: int, *conditions: dict[str, object]) -> dict[str, object]:
    return {"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": list(conditions)}


def bits(index: int, mask: int) -> dict[str, object]:
    """The condition that all these bits of an argument are set."""
    return {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": mask}


@pytest.mark.parametrize("kind", ["glibc", "musl"])
def test_each_name_stands_for_the_call_of_the_c_librarys_headers(tmp_path: Path, kind: str) -> None:
    """Also mmap2, ipc and socketcall, and both of each pair that differs in the width of its seconds."""
    names = LISTED.findall(Path(__file__).with_name("numbers.c").read_text())
    errors = {name: FIRST_ERROR + number for number, name in enumerate(names)}
    made = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refuse(*pair) for pair in errors.items()]}
    filter_file = tmp_path / "filter"
    filter_file.write_bytes(compile_filter(json.dumps(made).encode(), ARCH, path="numbers").code)
    program = Path(os.environ["STOCKADE_PREBUILT"]) / f"numbers-{kind}"
    done = subprocess.run([program, filter_file], capture_output=True, text=True, timeout=60, check=True)
    seen = {name: int(number) for name, number in map(str.split, done.stdout.splitlines())}
    assert seen == {name: errors[name] for name in seen}
    assert ("mmap2" in seen, "clock_gettime64" in seen) == (ARCH != "x86_64",) * 2
    assert ("cacheflush" in seen) == ARCH.startswith("mips")


@pytest.mark.parametrize("name", ERRORS)
def test_error_of_a_policy_is_the_one_that_this_architecture_calls_so(host: "Host", name: str) -> None:
    denied = policy(host, name, refuse("sched_yield", OURS[name]))
    assert host.probe("call", "sched_yield", "-", options=("-S", denied))["call:sched_yield"] == name


@pytest.mark.parametrize("name", SIGNALS)
def test_death_by_a_signal_is_its_number_here(host: "Host", name: str) -> None:
    number = OURS[name]
    assert int(getattr(signal, name)) == number
    if name not in ("SIGCHLD", "SIGCONT"):  # these end nothing
        assert host.probe("die", number).status == 128 + number


def test_death_by_a_policy_is_this_architectures_signal(host: "Host") -> None:
    denied = host.policy(default="SCMP_ACT_KILL_PROCESS")
    seen = host.probe("call", "sched_yield", "-", options=("-S", denied))
    assert seen.status == 128 + OURS["SIGSYS"]


def test_flags_of_open(host: "Host") -> None:
    new, marker = host.folder / "new", host.probes.marker
    words = ("create", new, "read", marker)
    options = ("-w", host.folder)

    def tries(numbers: dict[str, int]) -> tuple[str, str]:
        both = numbers["O_CREAT"] | numbers["O_EXCL"]  # one alone has other meanings elsewhere
        rules = [refuse(call, DENIED, bits(at, both)) for call, at in (("open", 1), ("openat", 2))]
        denied = policy(host, f"open-{numbers['O_CREAT']}", *rules)
        seen = host.probe(*words, options=(*options, "-S", denied))
        new.unlink(missing_ok=True)
        return seen[f"create:{new}"], seen[f"read:{marker}"]

    assert tries(OURS) == ("EXFULL", "ok")
    assert tries(OTHERS) == ("ok", "ok")  # the twin


def test_requests_of_ioctl(host: "Host") -> None:
    def error(numbers: dict[str, int]) -> str:
        exactly = {"index": 1, "op": "SCMP_CMP_EQ", "value": numbers["TIOCSTI"]}
        denied = policy(host, f"ioctl-{numbers['TIOCSTI']}", refuse("ioctl", DENIED, exactly))
        return host.probe("tiocsti", options=("-S", denied))["tiocsti"]

    assert error(OURS) == "EXFULL"
    assert error(OTHERS) == "ENOTTY"  # the twin: 0 is no terminal
