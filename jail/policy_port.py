# SPDX-License-Identifier: MIT
"""A policy made on one architecture or libc → one that has what another calls in place of it. Pure.

What is guessed stands in rules of its own, whose comments say so.
"""

from jail import calls
from jail.policyfile import ALLOW, Policy, Rule, conditions_of, names_of

GUESSED = "guessed"


def port(policy: Policy, arch: str, libc: str = "") -> tuple[Policy, list[str]]:
    """Add the twins of each rule's names that `arch` has, and libc's habits.

    Returns what could not be guessed, too.
    """
    ported = Policy(policy.path, dict(policy.head), [])
    target = f"for {' '.join(word for word in (arch, libc) if word)}"
    named = {name for rule in policy.rules for name in names_of(rule)}
    notes: list[str] = []
    for rule in policy.rules:
        ported.rules.append(rule)
        if rule.get("comment", "") and str(rule["comment"]).startswith(GUESSED):
            continue  # of an earlier time
        guesses = _guesses(rule, arch, libc, named, notes)
        if guesses:
            reasons = "; ".join(f"{', '.join(new)} as {old}" for old, new in guesses.items())
            comment = f"{GUESSED} {target}: {reasons}"
            names = list(dict.fromkeys(name for new in guesses.values() for name in new))
            ported.rules.append({**rule, "comment": comment, "names": names})
    if arch and "architectures" in ported.head:
        ported.head["architectures"] = [calls.scmp_name(arch)]
    return ported, notes


def _guesses(rule: Rule, arch: str, libc: str, named: set[str], notes: list[str]) -> dict[str, list[str]]:
    """By the name that is there, those that may be called in its place and are nowhere in the policy.

    `named` is every name of the policy, and gets the guesses: of two rules for one call the first has its twins.
    """
    guesses: dict[str, list[str]] = {}
    fresh: set[str] = set()
    for name in names_of(rule):
        old = libc == "musl" or not _has(arch, name)
        twins = twins_of(name, conditional=bool(conditions_of(rule)), old=old)
        # more calls for a libc are only ever allowed ones
        if libc and rule["action"] == ALLOW and not conditions_of(rule):
            twins += calls.libc_habits(libc).get(name, [])
        if not conditions_of(rule):
            twins += _multiplexers(name, rule, arch, named)
        there = [twin for twin in dict.fromkeys(twins) if twin not in named | fresh and _has(arch, twin)]
        if conditions_of(rule) and not _has(arch, name) and not there:
            notes.append(f"{name}: {arch} has no such call, and its condition fits no other one: left out")
        if there:
            guesses[name] = there
            fresh.update(there)
    named |= fresh
    return guesses


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
    return calls.number_of(arch, name) >= 0


def _multiplexers(name: str, rule: Rule, arch: str, named: set[str]) -> list[str]:
    """socketcall for socket, and the other way round where a policy has nothing but socketcall.

    Never for a denial: it would deny all the others as well.
    """
    if rule["action"] != ALLOW:
        return []
    table = calls.multiplexers()
    found = [one for one, row in table.items() if name in row["names"] and arch in row["arches"]]
    if name in table and not named & set(table[name]["names"]):
        found += table[name]["names"]
    return found
