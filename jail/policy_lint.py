# SPDX-License-Identifier: MIT
"""What a policy says that cannot be meant, or should be thought about once more; and what is known of a call.

Beside the compiler's own warnings, which know the rules that never match. Pure.
"""

from jail import calls
from jail._native import lib
from jail.errors import ConfigError
from jail.policy import ARCHES, call_number
from jail.policy import lint as compiler_lint
from jail.policy_show import MOST_ARGUMENTS, program_of
from jail.policyfile import PERMITS, Policy, allows_any, chain, conditions_of, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 100
MASKED = "SCMP_CMP_MASKED_EQ"
DEFAULT = "defaultAction"  # what is accepted of it, by this name
# All of these together, and why that is worth a thought
DANGEROUS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("execve", "mprotect"),
        "who breaks in can run code of his own and start any program that the jail shows",
    ),
    (
        ("execveat", "memfd_create"),
        "a program can be made in memory and executed, whatever is mounted noexec",
    ),
    (("ptrace",), "controls other processes of the same user, and so goes around what this policy denies"),
    (("process_vm_writev",), "writes into other processes of the same user"),
    (("pidfd_getfd",), "takes open files from other processes of the same user"),
    (("io_uring_setup",), "opens, reads, writes and connects by a queue that no filter sees"),
    (("bpf",), "loads programs into the kernel"),
    (("perf_event_open",), "measures the kernel; a rich source of its faults"),
    (("userfaultfd",), "holds the kernel still in the middle of a copy; what exploits of the kernel use"),
    (("init_module",), "loads code into the kernel"),
    (("finit_module",), "loads code into the kernel"),
    (("kexec_load",), "starts another kernel"),
    (("kexec_file_load",), "starts another kernel"),
    (("mount",), "with its capability, shows the service other files"),
    (("pivot_root",), "with its capability, leaves the jail's root"),
    (("chroot",), "with its capability, leaves the jail's root"),
    (("setns",), "joins the namespaces of others"),
    (("unshare",), "makes a user namespace, in which it has all capabilities"),
    (("open_by_handle_at",), "with its capability, opens files outside of the jail's root"),
    (("keyctl",), "the kernel's store of keys, which is not in namespaces"),
    (("personality",), "turns the random layout of memory off"),
    (("modify_ldt",), "changes segments of the processor; a source of the kernel's faults"),
    (("iopl",), "with its capability, commands the machine's hardware"),
    (("ioperm",), "with its capability, commands the machine's hardware"),
    (("reboot",), "with its capability, stops the machine"),
)
# A condition on the first is in vain beside the second, whatever its arguments
AROUND = (
    ("clone", "clone3", "whose flags lie in memory; with ERRNO ENOSYS libc takes clone"),
    ("socket", "socketcall", "whose arguments lie in memory"),
    ("open", "openat", "which opens the same"),
    ("openat", "open", "which opens the same"),
    ("openat", "openat2", "whose flags lie in memory"),
    ("mprotect", "pkey_mprotect", "which does the same"),
    ("mmap", "mmap2", "which does the same"),
    ("mmap2", "mmap", "which does the same"),
    ("fcntl", "fcntl64", "which does the same"),
    ("fcntl64", "fcntl", "which does the same"),
)
# Which arguments the kernel takes as int: of a 64-bit register it sees the lower half alone, and a filter all of it
INTS = {
    "socket": (0, 1, 2),
    "socketpair": (0, 1, 2),
    "setsockopt": (1, 2),
    "getsockopt": (1, 2),
    "socketcall": (0,),
    "ioctl": (1,),
    "fcntl": (1,),
    "open": (1,),
    "openat": (2,),
    "prctl": (0,),
    "personality": (0,),
    "setns": (1,),
    "madvise": (2,),
    "kill": (1,),
    "tgkill": (2,),
}
UNSEEN = 1 << 32
# Who has the first needs the second
NEEDS = (
    ("rt_sigaction", "rt_sigreturn", "no signal handler can return"),
    ("sigaction", "sigreturn", "no signal handler can return"),
    ("nanosleep", "restart_syscall", "it dies when it is stopped and goes on"),
    ("poll", "restart_syscall", "it dies when it is stopped and goes on"),
    ("futex", "restart_syscall", "it dies when it is stopped and goes on"),
    ("read", "exit_group", "it cannot end"),
)
# Families of which newer kernels and libcs take another member
TWINS = (
    ("newfstatat", "statx"),
    ("stat64", "statx"),
    ("fstatat64", "statx"),
    ("open", "openat"),
    ("openat", "openat2"),
    ("clone", "clone3"),
    ("faccessat", "faccessat2"),
    ("access", "faccessat2"),
    ("select", "pselect6"),
    ("poll", "ppoll"),
    ("epoll_wait", "epoll_pwait"),
)
TIME64 = ("_time64", "64")


def lint(policy: Policy, arch: str, *, everything: bool = False) -> list[str]:
    """A line for each thing; "path:line:column: reason" where it has a place.

    What the policy's `accepted` has a reason for is not said, unless `everything` is wanted; but what it has and is
    not there is.
    """
    lines = compiler_lint(policy.text, arch, path=policy.path, most=MOST)
    found = _doubts(policy, arch)
    reasons = policy.head.get("accepted")
    accepted = reasons if isinstance(reasons, dict) else {}
    said = [line for what, line in found.items() if not accepted.get(what)]
    if everything:
        why = "; the policy's reason: "
        said += [f"{line}{why}{accepted[what]}" for what, line in found.items() if accepted.get(what)]
    anywhere = {what for each in (ARCHES if accepted else ()) for what in _doubts(policy, each)}
    said += [f"accepts {what!r}, which is not so" for what in accepted if what not in anywhere]
    return lines + [f"{policy.path}: {each}" for each in (*said, *_missing(policy, arch))]


def _allows(policy: Policy, arch: str, name: str) -> bool:
    return call_number(arch, name) >= 0 and allows_any(policy, name)


def _doubts(policy: Policy, arch: str) -> dict[str, str]:
    """What could be meant, by the name that it has in a policy's `accepted`."""
    found = {
        " with ".join(names): f"allows {' with '.join(names)}: {why}"
        for names, why in DANGEROUS
        if all(_allows(policy, arch, name) for name in names)
    }
    if policy.head["defaultAction"] in PERMITS:
        found[DEFAULT] = "what no rule names is allowed: a call that is new tomorrow is, too"
    for name, other, why in AROUND:
        if any(rule.get("args") for rule in chain(policy, name)) and _allows(policy, arch, other):
            found[f"{name} with {other}"] = f"limits {name} by its arguments but allows {other}, {why}"
    return found | _half_seen(policy, arch)


def _half_seen(policy: Policy, arch: str) -> dict[str, str]:
    """Calls that are denied for an int, and pass if the half of the register that the kernel drops is not zero."""
    limited = [name for name in INTS if any(conditions_of(rule) for rule in chain(policy, name))]
    if not limited or not calls.is_wide(arch):
        return {}
    try:
        program = program_of(policy.text, arch, policy.path)
    except ConfigError:  # not for this one, which is looked at for the reasons' sake
        return {}
    found: dict[str, str] = {}
    audit = lib.arch_audit(arch.encode())
    for name in limited:
        number = call_number(arch, name)
        for index, args in _tried(policy, name) if number >= 0 else ():
            value = args[index]
            more = [*args[:index], value | UNSEEN, *args[index + 1 :]]
            if program.run(audit, number, more).permits and not program.run(audit, number, args).permits:
                found.setdefault(
                    f"{name} by half",
                    f"denies {name} with argument {index} = {value:#x} and allows it with {value | UNSEEN:#x},"
                    " which is the same for the kernel: compare by SCMP_CMP_MASKED_EQ, with 0xffffffff",
                )
    return found


def _tried(policy: Policy, name: str) -> "Iterator[tuple[int, list[int]]]":
    """An int's index and six arguments, as a rule for the call has them."""
    for rule in chain(policy, name):
        args = [0] * MOST_ARGUMENTS
        asked = set()
        for test in conditions_of(rule):
            index, value = test["index"], test.get("valueTwo", 0) if test["op"] == MASKED else test["value"]
            assert isinstance(index, int) and isinstance(value, int)
            args[index] = value
            asked.add(index)
        for index in asked & {*INTS[name]}:
            yield index, args


def _missing(policy: Policy, arch: str) -> list[str]:
    """Calls that will be made one day by who makes those that are allowed."""
    names = dict.fromkeys(name for rule in policy.rules for name in names_of(rule))
    said: dict[str, str] = {}
    for name, other, why in NEEDS:
        if name in names and _lacks(policy, arch, name, other):
            said.setdefault(other, f"allows {name} but not {other}: {why}")
    for name, other in TWINS:
        if name in names and _lacks(policy, arch, name, other):
            said.setdefault(other, f"allows {name} but not {other}, which newer libcs call in its place")
    for name in names:
        for other in (name + end for end in TIME64):
            if other in _time64() and _lacks(policy, arch, name, other):
                said.setdefault(other, f"allows {name} but not {other}, its twin with 64-bit time")
    return list(said.values())


def _time64() -> set[str]:
    return {
        name for name in calls.all_names() if name.endswith("_time64") or name.startswith(("clock_", "timer"))
    }


def _lacks(policy: Policy, arch: str, name: str, other: str) -> bool:
    """The one is allowed and the other, which this architecture has, never comes up."""
    return _allows(policy, arch, name) and call_number(arch, other) >= 0 and not chain(policy, other)


def explain(name: str) -> list[str]:
    """What a call does, what it needs, where it is. `name` may be a group. Raises UsageError."""
    if name.startswith("@"):
        return _explain_group(name)
    calls.check_call(name)
    text, capability = calls.describe(name)
    lines = [f"{name}: {text or 'nothing is written down; see the manual, section 2'}"]
    if capability:
        lines.append(f"capability: {capability}, for some of its uses")
    groups = [group for group in calls.group_names() if name in calls.members(group)]
    lines.append(f"groups: {' '.join(groups) or 'none'}")
    twins = {each for row in calls.equivalents() if name in row.names for each in row.names} - {name}
    if twins:
        lines.append(f"in its place: {' '.join(sorted(twins))}")
    numbers = ((arch, call_number(arch, name)) for arch in ARCHES)
    lines.append(f"numbers: {', '.join(f'{arch} {n}' for arch, n in numbers if n >= 0) or 'none'}")
    reasons = [why for names, why in DANGEROUS if names == (name,)]
    return lines + [f"careful: {why}" for why in reasons]


def _explain_group(name: str) -> list[str]:
    from jail.errors import UsageError
    from jail.near import did_you_mean

    if name not in calls.group_names():
        raise UsageError(f"unknown group {name!r}{did_you_mean(name, calls.group_names())}")
    return [f"{name}: {calls.group_text(name)}", " ".join(calls.members(name))]
