# SPDX-License-Identifier: MIT
"""Two policies and more: one with the rules of all of them; and what differs. Pure."""

import json
from collections import Counter

from jail.errors import ConfigError
from jail.learn import by_frequency
from jail.policyfile import Policy, Rule, chain, conditions_of, is_plain, names_of, said_by

SPEC_ALLOW = "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
SAME = ("defaultAction", "defaultErrnoRet", "architectures", "archMap")


def merge(policies: list[Policy]) -> tuple[Policy, list[str]]:
    """The rules of all: what any of them allows where others deny by default, what any denies where others allow.

    Counts add up. Where they say different things of a call, the first one counts. Returns what is to be said, too.
    Raises ConfigError if their defaults or architectures differ.
    """
    first = policies[0]
    merged = Policy(
        first.path, dict(first.head), [{**rule, "names": [*names_of(rule)]} for rule in first.rules]
    )
    notes: list[str] = []
    for other in policies[1:]:
        for key in SAME:
            if other.head.get(key) != first.head.get(key):
                one, two = _said(first.head.get(key)), _said(other.head.get(key))
                raise ConfigError(f"{other.path}: {key} is {two}, in {first.path} it is {one}")
        notes += _add_rules(merged, other)
        _add_head(merged, other, notes)
    merged.head.pop("programs", None)  # each of one run only
    if merged.counts:
        _sort(merged)
    return merged, notes


def _said(value: object) -> str:
    return "not there" if value is None else json.dumps(value)


def _key(rule: Rule) -> str:
    return json.dumps(said_by(rule), sort_keys=True)


def _add_rules(merged: Policy, other: Policy) -> list[str]:
    """Names go to the rule that says the same, with the same comment if there is one."""
    notes = []
    before = Policy(merged.path, merged.head, [{**rule, "names": [*names_of(rule)]} for rule in merged.rules])
    settled, ordered = set(), set()
    for name in dict.fromkeys(name for rule in other.rules for name in names_of(rule)):
        one, two = chain(before, name), chain(other, name)
        if one and one != two and not _only_allow(one + two):
            notes.append(f"{name}: {other.path} says {_chain_text(two)}, kept is {_chain_text(one)}")
            settled.add(name)
        elif one and (one == two or is_plain(one[0])):
            settled.add(name)
        elif not _only_allow(two):
            ordered.add(name)
    for rule in other.rules:
        names = [name for name in names_of(rule) if name not in settled]
        _add_names(merged, rule, [name for name in names if name not in ordered])
        in_order = [name for name in names if name in ordered]
        if in_order:
            merged.rules.append({**rule, "names": in_order})
        if is_plain(rule):
            settled |= set(names)  # what comes later never matches, and must not come to match here
    return notes


def _add_names(merged: Policy, rule: Rule, names: list[str]) -> None:
    """To rules of the same words. Not for names whose rules must stay in their order: those get rules of their own."""
    same = [each for each in merged.rules if _key(each) == _key(rule)]
    target = next((each for each in same if each.get("comment") == rule.get("comment")), None)
    target = target or (same[0] if same else None)
    if target is None and names:
        target = {**rule, "names": []}
        merged.rules.append(target)
    if target is not None:
        names_of(target).extend(name for name in names if name not in names_of(target))


def _only_allow(rules: list[Rule]) -> bool:
    return all(rule["action"] == "SCMP_ACT_ALLOW" for rule in rules)


def _add_head(merged: Policy, other: Policy, notes: list[str]) -> None:
    counts = Counter(merged.counts) + Counter(other.counts)
    if counts:
        merged.head["counts"] = by_frequency(counts)
    for key in ("flags", "startup"):
        mine, theirs = merged.head.get(key), other.head.get(key)
        if isinstance(mine, list) and isinstance(theirs, list):
            merged.head[key] = [*mine, *(each for each in theirs if each not in mine)]
        elif theirs:
            merged.head[key] = theirs
        if key == "flags" and _is_weak(mine) != _is_weak(theirs):
            notes.append(f"only one of them has {SPEC_ALLOW}, which is kept: no guard against speculation")
        if key == "startup" and bool(mine) != bool(theirs):
            notes.append(
                "only one of them has a startup list, which is kept and takes the place of the libc's"
            )


def _is_weak(flags: object) -> bool:
    return isinstance(flags, list) and SPEC_ALLOW in flags


def _sort(policy: Policy) -> None:
    """Most called first, in the rules of plain names."""
    for rule in policy.rules:
        if is_plain(rule):
            names_of(rule).sort(key=lambda name: -policy.counts.get(name, 0))


def diff(one: Policy, two: Policy) -> list[str]:
    """A line for each difference that a process could notice: "-" is in the first only, "+" in the second."""
    lines = []
    for key in (*SAME, "flags", "startup"):
        if one.head.get(key) != two.head.get(key):
            lines.append(f"~ {key}: {_said(one.head.get(key))} -> {_said(two.head.get(key))}")
    names = {name for policy in (one, two) for rule in policy.rules for name in names_of(rule)}
    for name in sorted(names):
        old, new = _decided(one, name), _decided(two, name)
        if old == new:
            continue
        if not old or not new:
            lines.append(f"{'-' if old else '+'} {name}: {_chain_text(old or new)}")
        else:
            lines.append(f"~ {name}: {_chain_text(old)} -> {_chain_text(new)}")
    return lines


def _decided(policy: Policy, name: str) -> list[Rule]:
    """The chain without a tail that does what happens anyway."""
    rules = chain(policy, name)
    default = {"action": policy.head["defaultAction"]}
    if "defaultErrnoRet" in policy.head:
        default["errnoRet"] = policy.head["defaultErrnoRet"]
    while rules and rules[-1] == default:
        rules.pop()
    return rules


def _chain_text(rules: list[Rule]) -> str:
    return "; ".join(rule_text(rule) for rule in rules) or "the default"


def rule_text(rule: Rule) -> str:
    """What a rule does and when, in words."""
    text = action_text(str(rule["action"]), rule.get("errnoRet"))
    conditions = conditions_of(rule)
    if conditions:
        # two on one argument make all of them alternatives, as in runc
        word = " and " if len({each["index"] for each in conditions}) == len(conditions) else " or "
        text += f" if {word.join(condition_text(each) for each in conditions)}"
    for key in ("includes", "excludes"):
        if rule.get(key):
            text += f", {key} {json.dumps(rule[key])}"
    return text


def action_text(action: str, code: object) -> str:
    import errno

    word = action.removeprefix("SCMP_ACT_").lower().replace("_", " ")
    if isinstance(code, int):
        word += f" {errno.errorcode.get(code, code)}"
    return word


def condition_text(condition: dict[str, object]) -> str:
    signs = {"NE": "!=", "LT": "<", "LE": "<=", "EQ": "==", "GE": ">=", "GT": ">"}
    op = str(condition["op"]).removeprefix("SCMP_CMP_")
    left = f"arg{condition['index']}"
    if op == "MASKED_EQ":
        return f"{left} & {_number(condition['value'])} == {_number(condition.get('valueTwo', 0))}"
    return f"{left} {signs[op]} {_number(condition['value'])}"


def _number(value: object) -> str:
    return hex(value) if isinstance(value, int) and value > 9 else str(value)
