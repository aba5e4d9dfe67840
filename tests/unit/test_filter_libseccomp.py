# SPDX-License-Identifier: MIT
"""libseccomp as an oracle: the same policies, compiled by both, give the same verdicts.

Only where the two mean the same: each call in one rule, each argument once in it, values as wide as the
target's arguments. Left out are calls that libseccomp splits or joins (socketcall, ipc) and the numbers of a
foreign ABI.
"""

import json
import os
import tempfile
from typing import Any

import pytest
from bpf import Program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import TARGETS, Target

from jail.policy import compile_filter

seccomp = pytest.importorskip("pyseccomp", exc_type=ImportError)

LIBSECCOMP_ARCH = {
    "x86_64": "X86_64",
    "i386": "X86",
    "mips": "MIPS",
    "mipsel": "MIPSEL",
    "arm": "ARM",
    "aarch64": "AARCH64",
    "riscv64": "RISCV64",
}
# joined into socketcall and ipc
MULTIPLEXED = {
    *("socket", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "socketpair"),
    *("send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg"),
    *("sendmmsg", "recvmmsg", "socketcall", "ipc", "semop", "semget", "semctl", "semtimedop", "msgsnd"),
    *("msgrcv", "msgget", "msgctl", "shmat", "shmdt", "shmget", "shmctl"),
}
ACTIONS = {
    "SCMP_ACT_ALLOW": seccomp.ALLOW,
    "SCMP_ACT_LOG": seccomp.LOG,
    "SCMP_ACT_TRAP": seccomp.TRAP,
    "SCMP_ACT_KILL_PROCESS": seccomp.KILL_PROCESS,
    "SCMP_ACT_KILL_THREAD": seccomp.KILL,
    "SCMP_ACT_ERRNO": seccomp.ERRNO(1),
}
OPS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
EDGES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1]


def shared_names(target: Target) -> list[str]:
    """Return the calls that libseccomp knows by the same number and does nothing special about."""
    arch = getattr(seccomp.Arch, LIBSECCOMP_ARCH[target.name])
    known = []
    for name, number in target.numbers.items():
        try:
            same = seccomp.resolve_syscall(arch, name) == number
        except ValueError:  # newer than the library
            same = False
        if same and name not in MULTIPLEXED:
            known.append(name)
    return sorted(known)


@st.composite
def policy(draw: st.DrawFn, target: Target) -> dict[str, Any]:
    values = st.one_of(st.sampled_from(EDGES), st.integers(0, 9)).map(lambda value: value % 2**target.bits)
    actions = draw(st.permutations(sorted(ACTIONS)))
    rules = []
    for name in draw(st.lists(st.sampled_from(shared_names(target)), max_size=25, unique=True)):
        args = []
        for index in draw(st.sets(st.integers(0, 5), max_size=2)):
            arg = {"index": index, "value": draw(values), "op": f"SCMP_CMP_{draw(st.sampled_from(OPS))}"}
            if arg["op"] == "SCMP_CMP_MASKED_EQ":
                # bits outside the mask: libseccomp drops them, read literally such a condition never holds
                arg["valueTwo"] = draw(values) & arg["value"]
            args.append(arg)
        rules.append({"names": [name], "action": draw(st.sampled_from(actions[1:])), "args": args})
    return {"defaultAction": actions[0], "syscalls": rules}


def libseccomp_program(made: dict[str, Any], target: Target) -> Program:
    oracle = seccomp.SyscallFilter(ACTIONS[made["defaultAction"]])
    oracle.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    arch = getattr(seccomp.Arch, LIBSECCOMP_ARCH[target.name])
    if arch != seccomp.system_arch():
        # in this order: it takes a big-endian architecture only when no little-endian one is left
        oracle.remove_arch(seccomp.system_arch())
        oracle.add_arch(arch)
    for rule in made["syscalls"]:
        args = []
        for arg in rule["args"]:
            op = getattr(seccomp, arg["op"].removeprefix("SCMP_CMP_"))
            masked = arg["op"] == "SCMP_CMP_MASKED_EQ"
            datums = (arg["value"], arg["valueTwo"]) if masked else (arg["value"],)
            args.append(seccomp.Arg(arg["index"], op, *datums))
        oracle.add_rule(ACTIONS[rule["action"]], rule["names"][0], *args)
    with tempfile.TemporaryFile() as file:
        oracle.export_bpf(file)
        file.flush()
        return Program(os.pread(file.fileno(), 1 << 20, 0), target.big_endian)


@pytest.mark.parametrize("target", TARGETS, ids=repr)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_filter_says_what_libseccomps_says(target: Target, data: st.DataObject) -> None:
    made = data.draw(policy(target))
    ours = Program(compile_filter(json.dumps(made).encode(), target.name, path="p").code, target.big_endian)
    theirs = libseccomp_program(made, target)
    conditions = [arg for rule in made["syscalls"] for arg in rule["args"]]
    values = {arg["value"] for arg in conditions} | {arg.get("valueTwo", 0) for arg in conditions} | {0}
    vectors = [((value + step) % 2**target.bits,) * 6 for value in values for step in (-1, 0, 1)]
    exact = {arg["index"]: arg.get("valueTwo", arg["value"]) for arg in conditions}
    vectors.append(tuple(exact.get(index, 0) for index in range(6)))
    named = [target.numbers[rule["names"][0]] for rule in made["syscalls"]]
    for nr in {0, *named, *(nr + 1 for nr in named)}:
        for args in vectors:
            assert ours.run(target.audit, nr, args)[0] == theirs.run(target.audit, nr, args)[0], (nr, args)
    assert ours.run(target.audit ^ 1, 0)[0] == theirs.run(target.audit ^ 1, 0)[0]
