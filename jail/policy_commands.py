# SPDX-License-Identifier: MIT
"""What the commands of jailctl about policies do: operands and options → what is printed, and an exit status."""

import os

from jail import calls
from jail.answers import NO, YES, print_lines, say, tell
from jail.errors import JailError, UsageError
from jail.options import Options
from jail.policyfile import ALLOW, KILL, Policy, load, read_text, render, save

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import Counter


def arch_of(options: Options) -> str:
    return calls.check_arch(options.given.get("arch", calls.NATIVE))


def _write(policy: Policy, options: Options) -> int:
    save(render(policy), options.given.get("output", ""))
    return YES


def merge(operands: list[str], options: Options) -> int:
    from jail.policy_merge import merge as work

    merged, notes = work([load(path) for path in operands])
    tell(notes)
    return _write(merged, options)


def diff(operands: list[str], options: Options) -> int:
    from jail.policy_merge import diff as work

    lines = work(load(operands[0]), load(operands[1]))
    print_lines(lines)
    return NO if lines else YES


def lint(operands: list[str], options: Options) -> int:
    from jail.policy_lint import lint as work

    arch = arch_of(options)
    everything = "all" in options.given
    lines = [line for path in operands for line in work(load(path, arch), arch, everything=everything)]
    print_lines(lines)
    return NO if lines else YES


def explain(operands: list[str], options: Options) -> int:
    from jail.policy_lint import explain as work

    for name in operands:
        print_lines(work(name))
    return YES


def show(operands: list[str], options: Options) -> int:
    from jail import policy_show

    asm, arch = "asm" in options.given, arch_of(options)
    pid = policy_show.check_live(operands[0])
    if pid is not None:
        print_lines(policy_show.live(pid, asm=asm))
        return YES
    policy = load(operands[0], arch if asm else "")
    print_lines(policy_show.assembly(policy, arch) if asm else policy_show.rules(policy))
    return YES


def simulate(operands: list[str], options: Options) -> int:
    from jail.policy_show import simulate as work

    arch = arch_of(options)
    permitted, lines = work(load(operands[0], arch), arch, operands[1], operands[2:])
    print_lines(lines)
    return YES if permitted else NO


def compile_(operands: list[str], options: Options) -> int:
    from jail.policy import compile_filter

    arch = arch_of(options)
    policy = load(operands[0], arch)
    output = options.given.get("output", "")
    if not output and os.isatty(1):
        raise UsageError("a filter is not for a terminal: give -o FILE, or use show --asm")
    save(compile_filter(policy.text, arch, path=policy.path).code, output)
    return YES


def fmt(operands: list[str], options: Options) -> int:
    return _write(load(operands[0]), options)


def port(operands: list[str], options: Options) -> int:
    from jail.policy_port import port as work

    if not {"to", "libc"} & set(options.given):
        raise UsageError("port needs --to ARCH or --libc LIBC")
    arch = calls.check_arch(options.given.get("to", calls.NATIVE))
    ported, notes = work(load(operands[0]), arch, options.given.get("libc", ""))
    tell(notes)
    return _write(ported, options)


def from_strace(operands: list[str], options: Options) -> int:
    from collections import Counter

    from jail.stracelog import count

    total: Counter[str] = Counter()
    for path in operands:
        counts, notes = count(read_text(path), path, whole="all" in options.given)
        total += counts
        tell(notes)
    return _write(_made_of(total, always=True), options)


def from_audit(operands: list[str], options: Options) -> int:
    from collections import Counter

    from jail.audit import count_denied

    total: Counter[str] = Counter()
    for path in operands:
        counts, notes = count_denied(read_text(path), path, options.given.get("comm", ""))
        total += counts
        tell(notes)
    return _write(_made_of(total, always=False), options)


def _made_of(counts: "Counter[str]", *, always: bool) -> Policy:
    from jail.learn import ALWAYS, WATCHED, by_frequency

    ordered = by_frequency(counts)
    names = [*ordered, *(name for name in ALWAYS if always and name not in ordered)]
    head: dict[str, object] = {"defaultAction": KILL, "counts": ordered}
    rules: list[dict[str, object]] = [{"comment": WATCHED, "names": names, "action": ALLOW}]
    if always:
        from jail.chance import allow_chance

        tell(allow_chance({"counts": ordered, "syscalls": rules}, lambda name: True))
    return Policy("", head, rules)


def audit_log(operands: list[str], options: Options) -> int:
    from jail.audit import read

    status = YES
    for record in read(read_text(operands[0]), operands[0]):
        if isinstance(record, JailError):
            say(str(record))
            status = NO
        else:
            print_lines([str(record)])
    return status
