# SPDX-License-Identifier: MIT
"""What a policy does, in words: its rules, its BPF, the verdict on one call; and the filters of a live process."""

import os

from jail import calls
from jail._native import ffi, lib
from jail.bpf import Program, Verdict, listing, verdict_text
from jail.errors import ConfigError, JailError, UsageError
from jail.policy import call_number, compile_filter, is_big_endian
from jail.policy_merge import action_text, rule_text
from jail.policyfile import Policy, names_of, render
from jail.procfs import status

MOST_FILTERS = 64  # of one process; they share 32768 instructions
MARKS = (4094, 4095)  # errnos that no kernel returns
MOST_ARGUMENTS = 6
COLUMNS = 110


def program_of(text: bytes, arch: str, path: str) -> Program:
    code = compile_filter(text, arch, path=path).code
    return Program(code, big_endian=is_big_endian(arch))


def rules(policy: Policy) -> list[str]:
    """The policy as it is read: from the top, the first that matches."""
    lines = []
    for at, rule in enumerate(policy.rules, 1):
        comment = f"  # {rule['comment']}" if rule.get("comment") else ""
        lines += [f"{at}. {rule_text(rule)}:{comment}", *_flow(names_of(rule))]
    default = action_text(str(policy.head["defaultAction"]), policy.head.get("defaultErrnoRet"))
    return [*lines, f"anything else: {default}"]


def _flow(words: list[str]) -> list[str]:
    import textwrap

    return textwrap.wrap(" ".join(words), COLUMNS, initial_indent="   ", subsequent_indent="   ")


def assembly(policy: Policy, arch: str) -> list[str]:
    return listing(program_of(policy.text, arch, policy.path), arch)


def simulate(policy: Policy, arch: str, name: str, args: list[str]) -> tuple[bool, list[str]]:
    """Is the call permitted, and the verdict and the rule in words. The compiler's own filter decides."""
    calls.check_call(name)
    number = call_number(arch, name)
    if number < 0:
        raise UsageError(f"{arch} has no system call {name}")
    values = _values(args, arch)
    verdict = _verdict(policy, arch, number, values)
    permitted = "" if verdict.permits else ", not permitted"
    lines = [
        f"{name}({', '.join(map(_said, values))}) on {arch}: {verdict_text(verdict.value, arch)}{permitted}"
    ]
    at = _deciding_rule(policy, arch, name, number, values)
    if at is None:
        lines.append("no rule matches: the default action")
    else:
        rule = policy.rules[at]
        comment = f"  # {rule['comment']}" if rule.get("comment") else ""
        lines.append(f"rule {at + 1}: {rule_text(rule)}{comment}")
    return verdict.permits, lines


def _said(value: int) -> str:
    return hex(value) if value > 9 else str(value)


def _verdict(policy: Policy, arch: str, number: int, values: list[int]) -> Verdict:
    program = program_of(policy.text, arch, policy.path)
    return program.run(lib.arch_audit(arch.encode()), number, values)


def _deciding_rule(policy: Policy, arch: str, name: str, number: int, values: list[int]) -> int | None:
    """The first rule with which a policy of that many rules decides the call: by the filter, not by a second reading.

    The default of those is an errno that no rule has; two are tried, in case that one has.
    """
    for at, rule in enumerate(policy.rules):
        if name not in names_of(rule):
            continue
        seen = []
        for mark in MARKS:
            head = {**policy.head, "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": mark}
            text = render(Policy(policy.path, head, policy.rules[: at + 1])).encode()
            value = _verdict(Policy(policy.path, head, [], text), arch, number, values).value
            seen.append(value == lib.SECCOMP_RET_ERRNO | mark)
        if not all(seen):
            return at
    return None


def _values(args: list[str], arch: str) -> list[int]:
    import socket

    if len(args) > MOST_ARGUMENTS:
        raise UsageError(f"a system call has at most {MOST_ARGUMENTS} arguments")
    values = []
    width = 64 if calls.is_wide(arch) else 32
    for arg in args:
        if arg.startswith("AF_") and hasattr(socket, arg):
            values.append(int(getattr(socket, arg)))
            continue
        try:
            value = int(arg, 0)
        except ValueError:
            raise UsageError(f"an argument is a number or an AF_ name, not {arg!r}") from None
        if not -(1 << 63) <= value < 1 << 64:
            raise UsageError(f"{arg} does not fit in 64 bits")
        values.append(value & ((1 << width) - 1))
    return values


def filters_of(pid: int) -> list[bytes]:
    """The filters of a running process, the one put on first comes first. Raises JailError."""
    found: list[bytes] = []
    size = lib.BPF_MAXINSNS * 8
    code = ffi.new("unsigned char[]", size)
    while len(found) < MOST_FILTERS:
        ret = lib.read_filter(pid, len(found), code, size)
        if ret < 0:
            if found and -ret == _errno("ENOENT"):
                break
            raise JailError(f"process {pid}: {_reason(-ret, pid)}")
        found.append(bytes(ffi.buffer(code, ret * 8)))
    return found


def _errno(name: str) -> int:
    import errno

    return int(getattr(errno, name))


def is_filtered(pid: int) -> bool:
    """Whether a process has a filter, as /proc says."""
    try:
        return status(pid).get("Seccomp") == "2"
    except OSError:
        return False


def _reason(number: int, pid: int) -> str:
    if number in (_errno("ENOENT"), _errno("EINVAL")):
        # the kernel says the same where it has no CONFIG_CHECKPOINT_RESTORE
        return (
            "this kernel shows no filters, and it has some" if is_filtered(pid) else "has no seccomp filter"
        )
    if number in (_errno("EPERM"), _errno("EACCES")):
        return "its filters are shown to root only, outside of any filter"
    return os.strerror(number)


def live(pid: int, *, asm: bool) -> list[str]:
    """The filters of a process: as BPF, or what each and all of them say of each call."""
    programs = [Program(code, big_endian=is_big_endian(calls.NATIVE)) for code in filters_of(pid)]
    if asm:
        lines = []
        for at, program in enumerate(programs):
            lines += [f"filter {at}, {len(program.insns)} instructions:", *listing(program, calls.NATIVE)]
        return lines
    return [f"{len(programs)} filter{'s' * (len(programs) > 1)}", *_verdicts(programs)]


def _verdicts(programs: list[Program]) -> list[str]:
    """Calls by what happens to them; of several filters the sternest verdict counts, as in the kernel."""
    audit = lib.arch_audit(calls.NATIVE.encode())
    groups: dict[str, list[str]] = {}
    for name, number in calls.numbers(calls.NATIVE).items():
        verdicts = [program.run(audit, number) for program in programs]
        sternest = min(verdicts, key=lambda verdict: _signed(verdict.value & lib.SECCOMP_RET_ACTION_FULL))
        depends = any(verdict.depends for verdict in verdicts)
        word = "depends on the arguments" if depends else verdict_text(sternest.value, calls.NATIVE)
        groups.setdefault(word, []).append(name)
    lines = []
    for word, names in sorted(groups.items(), key=lambda item: len(item[1])):
        lines += [f"{word}:", *_flow(names)]
    return lines


def _signed(value: int) -> int:
    """The kernel orders actions as signed numbers: the smaller, the sterner."""
    return value - (1 << 32) if value >> 31 else value


def check_live(target: str) -> int | None:
    """The pid, if it is one and no file of that name is there."""
    if not target.isascii() or not target.isdigit() or os.path.exists(target):
        return None
    if len(target) > 9:
        raise ConfigError(f"{target} is no process")
    return int(target)
