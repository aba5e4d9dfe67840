# SPDX-License-Identifier: MIT
"""Calls that a program makes in one run and not in the next, though it does the same: who waits for whom is chance.

A tracer slows everything down, so that what a trace has not seen is often what the first quick run needs. Each row is
a reason, one that was found by comparing traces with what died under them. Pure.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from jail.learn import Policy

# (who has called one of these, calls one day these as well, why)
CHANCE: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (
        ("wait4", "waitid", "waitpid"),
        ("rt_sigprocmask", "rt_sigsuspend", "sigprocmask", "sigsuspend"),
        "by chance: a shell waits for a child by a signal, unless it has ended already",
    ),
    (
        ("clone", "clone3", "futex", "futex_time64"),
        ("futex", "futex_time64", "madvise", "munmap", "sched_yield"),
        "by chance: threads wait for each other's locks and ends, and give memory back",
    ),
    (
        ("connect",),
        ("getsockopt",),
        "by chance: a socket is asked for its error, where the answer or the refusal did not come in time",
    ),
)


def companions(seen: "Collection[str]") -> dict[str, list[str]]:
    """What may come beside the calls that were seen and is not among them, by reason."""
    found: dict[str, list[str]] = {}
    taken = set(seen)
    for causes, names, reason in CHANCE:
        more = [name for name in names if name not in taken]
        if more and any(name in seen for name in causes):
            found[reason] = more
            taken.update(more)
    return found


def allow_chance(policy: "Policy", has: "Callable[[str], bool]") -> list[str]:
    """Add rules for them to a policy with counts, for calls that no rule names; returns what is to be said.

    `has` tells whether the policy's architecture has a call.
    """
    from jail.learn import ALLOW, names_of_any

    counts, rules = policy["counts"], policy["syscalls"]
    assert isinstance(counts, dict)
    assert isinstance(rules, list)
    notes = []
    for reason, names in companions(counts).items():
        named = {name for rule in rules for name in names_of_any(rule)}
        more = [name for name in names if name not in named and has(name)]
        if not more:
            continue
        same = [rule for rule in rules if rule.get("comment") == reason and "names" in rule]
        if same:
            same[0]["names"] += more
        else:
            rules.append({"comment": reason, "names": more, "action": ALLOW})
        notes.append(f"allowed unseen, {reason}: {' '.join(more)}")
    return notes
