# SPDX-License-Identifier: MIT
"""A policy made on one architecture or libc → one that has what another calls in place of it. Pure.

What is guessed stands in rules of its own, whose comments say so.
"""

from jail import calls
from jail.policy import call_number
from jail.policyfile import ALLOW, Policy, is_plain, names_of

GUESSED = "guessed"


def port(policy: Policy, arch: str, libc: str = "") -> tuple[Policy, list[str]]:
    """Add the twins of each rule's names that `arch` has, and libc's habits.

    Returns what could not be guessed, too.
    """
    ported = Policy(policy.path, dict(policy.head), [])
    target = f"for {' '.join(word for word in (arch, libc) if word)}"
    plan, notes = _plan(policy, arch, libc)
    for rule in policy.rules:
        ported.rules.append(rule)
        if rule.get("comment", "") and str(rule["comment"]).startswith(GUESSED):
            continue  # of an earlier time
        guesses = {name: plan[name] for name in names_of(rule) if plan.get(name)}
        if guesses:
            reasons = "; ".join(f"{', '.join(new)} as {old}" for old, new in guesses.items())
            comment = f"{GUESSED} {target}: {reasons}"
            names = list(dict.fromkeys(name for new in guesses.values() for name in new))
            ported.rules.append({**rule, "comment": comment, "names": names})
    if "architectures" in ported.head:
        ported.head["architectures"] = [calls.scmp_name(arch)]
    return ported, notes


def _plan(policy: Policy, arch: str, libc: str) -> tuple[dict[str, list[str]], list[str]]:
    """By each name, those that may be called in its place and are nowhere in the policy; and what has none.

    A twin has one name that it goes with, and comes in each rule that this one is in: what limits the one limits
    the other.
    """
    named = dict.fromkeys(name for rule in policy.rules for name in names_of(rule))
    plan: dict[str, list[str]] = {}
    taken = set(named)
    notes = []
    for name in named:
        rules = [rule for rule in policy.rules if name in names_of(rule)]
        conditional = not all(is_plain(rule) for rule in rules)
        twins = twins_of(name, conditional=conditional, old=libc == "musl" or not _has(arch, name))
        if not conditional and all(rule["action"] == ALLOW for rule in rules):
            # for a denial these would deny what it does not name
            twins += calls.libc_habits(libc).get(name, []) if libc else []
            twins += _multiplexers(name, arch, set(named))
        plan[name] = [twin for twin in dict.fromkeys(twins) if twin not in taken and _has(arch, twin)]
        taken.update(plan[name])
        if conditional and not _has(arch, name) and not plan[name]:
            notes.append(f"{name}: {arch} has no such call, and its condition fits no other one: left out")
    return plan, notes


def twins_of(name: str, *, conditional: bool, old: bool) -> list[str]:
    """What may be called in place of `name`: newer calls, and with `old` older ones too.

    musl takes the oldest that there is, and so does any libc where this one is not. With a condition only those
    with the same arguments will do.
    """
    twins: dict[str, None] = {}
    for row in calls.equivalents():
        among = row.same if conditional else row.names
        if name in among:
            first = 0 if old else among.index(name)
            twins.update(dict.fromkeys(each for each in among[first:] if each != name))
    return list(twins)


def _has(arch: str, name: str) -> bool:
    return call_number(arch, name) >= 0


def _multiplexers(name: str, arch: str, named: set[str]) -> list[str]:
    """socketcall for socket, and the other way round where a policy has nothing but socketcall."""
    table = calls.multiplexers()
    found = [one for one, row in table.items() if name in row["names"] and arch in row["arches"]]
    if name in table and not named & set(table[name]["names"]):
        found += table[name]["names"]
    return found
