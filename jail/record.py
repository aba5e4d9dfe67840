# SPDX-License-Identifier: MIT
"""A trace that has ended → its policy, and the lines that are to be said about it."""

from jail import learn
from jail._native import lib
from jail.chance import allow_chance
from jail.doors import FILTERS
from jail.errors import JailError
from jail.trace import NATIVE, SECOND, has_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.learn import Policy
    from jail.trace import Program, Trace
    from jail.tree import Closure

MOST_STRANGERS = 32  # named in one line; a program can call any number
MOST_PROGRAMS = 8  # the same
INT = 0xFFFFFFFF  # of an argument that is one, in 64 bits
# first arguments that ask for a filter
FILTERING = {
    "seccomp": (lib.SECCOMP_SET_MODE_FILTER, lib.SECCOMP_SET_MODE_STRICT),
    "prctl": (lib.PR_SET_SECCOMP,),
}


def abi_and_always(trace: "Trace") -> tuple[str, list[str]]:
    """The ABI that the policy is for, and what it allows without having seen it. Raises JailError."""
    if not trace.programs:
        raise JailError("nothing was recorded: no program has been executed")
    abi = learn.abi_of(trace.programs[0], NATIVE, SECOND)
    return abi, [name for name in learn.ALWAYS if has_call(abi, name)]


def policy_of(trace: "Trace", program: "Closure | None") -> tuple[str, list[str]]:
    """The text of one policy for all that was traced, and what is to be said about it. Raises JailError.

    `program` is what the first program needs, where that can be told.
    """
    abi, always = abi_and_always(trace)
    policy, notes = learn.make_policy(trace.programs, abi, always)
    if program is not None and program.preloaded:
        add_startup(policy, trace.programs[0], abi, program)
    policy["programs"] = learn.describe_programs(trace.programs, abi)
    notes += add_chance(policy, abi)
    return learn.dump(policy) + "\n", notes + remarks(trace, abi)


def add_chance(policy: "Policy", abi: str) -> list[str]:
    """Allow what chance decides about; returns what is to be said."""
    return allow_chance(policy, lambda name: has_call(abi, name))


def add_startup(policy: "Policy", program: "Program", abi: str, closure: "Closure") -> None:
    """The policy's own start-up list, if the libc's set lacks something."""
    import json

    libc = "musl" if closure.libc == "uclibc" else closure.libc
    try:
        with open(f"{FILTERS}/startup-{libc}.json") as file:
            rules = json.load(file)["syscalls"]
    except OSError:
        return
    allowed = {name for rule in rules for name in rule["names"]}
    free = {name for rule in rules for name in rule["names"] if "args" not in rule}
    if startup := learn.startup_names(program, abi, allowed, free):
        policy["startup"] = startup


def remarks(trace: "Trace", abi: str) -> list[str]:
    """What the policy does not show."""
    lines = []
    if not trace.programs[0].from_main:  # static, or its loader did not take the shim
        name = trace.programs[0].name
        lines.append(f"{name}: recorded from its entry point on, its start-up calls are in the policy")
    for other, counts in learn.strangers(trace.programs, abi).items():
        calls = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:MOST_STRANGERS])
        if len(counts) > MOST_STRANGERS:
            calls += f" and {len(counts) - MOST_STRANGERS} more"
        lines.append(f"not in the policy, which is for {abi}: calls of {other}: {calls}")
    names = list(dict.fromkeys(program.name for program in trace.programs if asks_for_filter(program)))
    if names:
        more = f" and {len(names) - MOST_PROGRAMS} more" if len(names) > MOST_PROGRAMS else ""
        lines.append(
            f"{', '.join(names[:MOST_PROGRAMS])}{more}: asked for a seccomp filter; calls that it does not just allow"
            " are not in the policy, or not as they were"
        )
    return lines + trace.lost


def asks_for_filter(program: "Program") -> bool:
    """Whether it has put a filter on, or tried to.

    Of filters that do not agree the stricter verdict wins: ours is not asked about what that one denies, and what it
    gives to a tracer of its own comes to us with its number.
    """
    for table in (program.values, program.early_values):
        for (_, call), values in table.items():
            if any(value & INT in FILTERING[call] for value in values if call in FILTERING):
                return True
    return False
