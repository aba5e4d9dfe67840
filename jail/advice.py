# SPDX-License-Identifier: MIT
"""A denied call and the policy that was in force → the change to that policy which would allow it, in words.

Each change that is worth a thought is made to a copy, and the compiler's own filter says whether it does it: what
is advised works. Never raises: a policy that cannot be read any more is a sentence too.
"""

from jail._native import lib
from jail.bpf import Program
from jail.doors import DEFAULT, read_policy
from jail.errors import ConfigError
from jail.policy import compile_filter, is_big_endian, native_arch
from jail.slimjson import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jail.auditrecord import Record
    from jail.bpf import Verdict
    from jail.denial import Denial

    Rule = dict[str, object]
    Value = dict[str, object]

ALLOW = "SCMP_ACT_ALLOW"
PERMITS = (ALLOW, "SCMP_ACT_LOG")


def advice(denial: "Denial") -> str:
    """What to do so that the call is allowed: the end of a sentence, "" where a policy has no say."""
    path = denial.policy
    if denial.number < 0 or not path:
        return ""
    if not denial.call:
        return "no policy can allow it"
    if path == DEFAULT:
        return "to allow it, ask for the capability that it is for, or name a policy of the service's own"
    try:
        text = read_policy(path)
    except ConfigError as error:
        return f"the policy cannot be read any more: {str(error).removeprefix(f'{path}: ')}"
    try:
        if _permits(text, denial) and denial.kind != "log":
            return _not_this_one(denial)
        for words, changed in changes(loads(text), denial):
            if _permits(dumps(changed).encode(), denial):
                return f"to allow it, {words}"
    except (ConfigError, ValueError) as error:
        return f"the policy is not as it was: {error}"
    return "no change to one rule would allow it"


def _not_this_one(denial: "Denial") -> str:
    """Why a call was denied that the policy, as it is now, allows."""
    if denial.abi != native_arch():
        return f"the policy is in force for another ABI: a program for {denial.abi} needs a jail of its own"
    if denial.call in ("execve", "execveat"):
        return "before the program's main only the launcher's own is allowed"
    return (
        "as it is now the policy allows it: restart the service, unless the program has a filter of its own"
    )


def verdict_of(text: bytes, path: str, abi: str, number: int, args: "Sequence[int]" = ()) -> "Verdict":
    """What the filter of a policy does to a call. Raises ConfigError."""
    return program_of(text, path, abi).run(lib.arch_audit(abi.encode()), number, args)


def program_of(text: bytes, path: str, abi: str) -> Program:
    """The filter of a policy, to be asked about calls. Raises ConfigError."""
    code = compile_filter(text, abi, path=path, lenient=True).code
    return Program(code, big_endian=is_big_endian(abi))


def filter_of(policy: str, abi: str) -> "Program | None":
    """What a policy, a file, holds programs of that ABI by; None where it cannot be told."""
    try:
        return program_of(read_policy(policy), policy, abi)
    except ConfigError:
        return None


def says(program: "Program", found: "Record", complains: bool) -> bool:
    """Whether a filter does what a record tells, at least with some arguments; one that complains logs it."""
    try:
        verdict = program.run(found.audit, found.number)
    except ConfigError:
        return False
    action = verdict.value & lib.SECCOMP_RET_ACTION_FULL
    if complains:
        return found.code == lib.SECCOMP_RET_LOG and (verdict.depends or action != lib.SECCOMP_RET_ALLOW)
    return verdict.depends or action == found.code


def _permits(text: bytes, denial: "Denial") -> bool:
    """Whether the policy allows the call; if its arguments are not known, whatever they are."""
    verdict = verdict_of(text, denial.policy, denial.abi, denial.number, denial.args)
    is_sure = bool(denial.args) or not verdict.depends
    return verdict.value & lib.SECCOMP_RET_ACTION_FULL == lib.SECCOMP_RET_ALLOW and is_sure


def changes(policy: "Value", denial: "Denial") -> "Iterator[tuple[str, Value]]":
    """Changes in words, each with the policy that comes of it; what opens least comes first."""
    call = dumps(denial.call)
    if "whitelist" in policy:
        names = policy["whitelist"]
        assert isinstance(names, list)
        yield f'add {call} to its "whitelist"', {**policy, "whitelist": [*names, denial.call]}
        return
    rules = _rules(policy)
    tested = {index for rule in rules if denial.call in _names(rule) for index in _tested(rule)}
    if tested and denial.args:
        args = [
            {"index": index, "value": denial.args[index], "op": "SCMP_CMP_EQ"}
            for index in sorted(tested)
            if index < len(denial.args)
        ]
        yield _first(policy, {"names": [denial.call], "action": ALLOW, "args": args})
    if policy.get("defaultAction") in PERMITS:
        yield _taken_out(policy, denial.call)
    for at, rule in enumerate(rules):
        if rule.get("action") == ALLOW and not _is_limited(rule) and "names" in rule:
            more = {**rule, "names": [*_names(rule), denial.call]}
            words = f'add {call} to the "names" of its rule {at + 1} ({ALLOW})'
            yield words, _with(policy, [*rules[:at], more, *rules[at + 1 :]])
    yield _first(policy, {"names": [denial.call], "action": ALLOW})


def _first(policy: "Value", rule: "Rule") -> "tuple[str, Value]":
    return f'make {dumps(rule)} the first of its "syscalls"', _with(policy, [rule, *_rules(policy)])


def _taken_out(policy: "Value", call: str) -> "tuple[str, Value]":
    """Of every rule that denies it. A rule without names would be none."""
    kept: list[Rule] = []
    places = []
    for at, rule in enumerate(_rules(policy), 1):
        names = _names(rule)
        if call in names and rule.get("action") not in PERMITS:
            places.append(f"rule {at} ({rule.get('action')})")
            names = [name for name in names if name != call]
            rule = {**{key: rule[key] for key in rule if key != "name"}, "names": names}
        if names:
            kept.append(rule)
    return f"take {dumps(call)} out of its {' and '.join(places)}", _with(policy, kept)


def _with(policy: "Value", rules: "list[Rule]") -> "Value":
    return {**policy, "syscalls": rules}


def _rules(policy: "Value") -> "list[Rule]":
    rules = policy.get("syscalls")
    return rules if isinstance(rules, list) else []


def _names(rule: "Rule") -> list[str]:
    names = rule.get("names", [rule.get("name")])
    return names if isinstance(names, list) else []


def _is_limited(rule: "Rule") -> bool:
    return any(rule.get(key) for key in ("args", "includes", "excludes"))


def _tested(rule: "Rule") -> set[int]:
    """The indices of the arguments that a rule looks at."""
    args = rule.get("args")
    return {each["index"] for each in args} if isinstance(args, list) else set()
