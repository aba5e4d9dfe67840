# SPDX-License-Identifier: MIT
"""What programs called → the policy that allows it. Pure: values in, values and text out."""

from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jail.trace import Program

ALLOW = "SCMP_ACT_ALLOW"
# Allowed even if it was not seen: how a process ends, returns from a signal, goes on after a stop
ALWAYS = ("rt_sigaction", "rt_sigreturn", "sigreturn", "restart_syscall", "exit_group", "exit")
WATCHED = "watched"  # the comment of the rule that a trace adds to
MOST_VALUES = 32  # of one argument; with more of them the call is allowed whatever it is given

# Calls whose argument says what they do: its index
ARGUMENTS = {
    "socket": 0,
    "socketpair": 0,
    "ioctl": 1,
    "prctl": 0,
    "fcntl": 1,
    "fcntl64": 1,
    "mmap": 2,
    "mmap2": 2,
    "mprotect": 2,
    "clone": 0,
}

# What no start-up list can hold: door 1 pins the launcher's own exec
NOT_AT_START = {"execve", "execveat"}

Rule = dict[str, object]
Policy = dict[str, object]


def by_frequency(counts: "Counter[str]") -> dict[str, int]:
    """Most called first, by name where they are equal."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def abi_of(program: "Program", native: str, second: str) -> str:
    """The ABI that a program's policy is for: the second one only if it never used this machine's own."""
    used = {*program.calls, *program.early}
    return second if second in used and native not in used else native


def add_up(programs: "Iterable[Program]", abi: str, *, early: bool) -> "Counter[str]":
    """The calls of one ABI, with those before main if `early`."""
    total: Counter[str] = Counter()
    for program in programs:
        total.update(_named(program.calls.get(abi, {})))
        if early:
            total.update(_named(program.early.get(abi, {})))
    return total


def _named(counts: "dict[str, int]") -> dict[str, int]:
    """Without the numbers that have no name."""
    return {name: count for name, count in counts.items() if not name.isdigit()}


def strangers(programs: "Iterable[Program]", abi: str) -> dict[str, dict[str, int]]:
    """By ABI, the calls that no policy for `abi` can hold: other ABIs', and numbers without a name."""
    found: dict[str, Counter[str]] = {}
    for program in programs:
        for table in (program.calls, program.early):
            for other, counts in table.items():
                for name, count in counts.items():
                    if other != abi or name.isdigit():
                        found.setdefault(other, Counter())[name] += count
    return {other: by_frequency(counts) for other, counts in sorted(found.items())}


def make_policy(
    programs: "list[Program]", abi: str, always: list[str], *, early: bool = False, arguments: bool = False
) -> tuple[Policy, list[str]]:
    """The policy that allows what these programs called, and what is to be said about it.

    `always` are allowed without being seen; `early` takes in what came before main; `arguments` makes rules of
    the watched arguments' values.
    """
    counts = by_frequency(add_up(programs, abi, early=early))
    rules, notes = _argument_rules(programs, abi, early) if arguments else ([], [])
    ruled = {name for rule in rules for name in _names(rule)}
    names = [name for name in counts if name not in ruled]
    names += [name for name in always if name not in counts]
    policy: Policy = {"defaultAction": "SCMP_ACT_KILL_PROCESS"}
    policy["syscalls"] = [{"names": names, "action": ALLOW}, *rules]
    policy["counts"] = counts
    return policy, notes


def _names(rule: Rule) -> list[str]:
    names = rule["names"]
    assert isinstance(names, list)
    return names


def _argument_rules(programs: "list[Program]", abi: str, early: bool) -> tuple[list[Rule], list[str]]:
    """One rule for each value of each watched argument, because not every reader knows alternatives."""
    rules: list[Rule] = []
    notes = []
    for call, index in ARGUMENTS.items():
        values: Counter[int] = Counter()
        for program in programs:
            values.update(program.values.get((abi, call), {}))
            if early:
                values.update(program.early_values.get((abi, call), {}))
        if len(values) > MOST_VALUES:
            notes.append(f"{call}: more than {MOST_VALUES} values of argument {index}, allowed with any")
            continue
        for value in sorted(values, key=lambda value: (-values[value], value)):
            condition = {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
            rules.append({"names": [call], "action": ALLOW, "args": [condition]})
    return rules, notes


def add_to(policy: Policy, seen: Policy) -> Policy:
    """A policy with what was seen added: counts add up, and what is counted goes to its rule of plain names.

    That is the one with the comment "watched", else the first that allows always. The other rules stay, without
    the names that have moved; names that one of them limits or denies stay where they are.
    """
    counts = by_frequency(Counter(_table(policy.get("counts"))) + Counter(_table(seen["counts"])))
    rules = policy["syscalls"]
    assert isinstance(rules, list)
    limited = _limited(rules)
    moving = [name for name in counts if name not in limited]
    plain = [rule for rule in rules if _is_plain(rule) and "names" in rule]
    target = next((rule for rule in plain if rule.get("comment") == WATCHED), plain[0] if plain else None)
    if target is None:
        target = {"names": [], "action": ALLOW}
        rules.insert(0, target)
        plain.append(target)
    unseen = [name for name in target["names"] if name not in moving]
    for rule in plain:
        rule["names"] = [name for name in rule["names"] if name not in moving]
    elsewhere = {name for rule in rules for name in names_of_any(rule)}
    if target.get("comment") != WATCHED:
        seen_rules = seen["syscalls"]
        assert isinstance(seen_rules, list)
        unseen += [name for name in seen_rules[0]["names"] if name not in counts and name not in elsewhere]
    target["names"] = [*moving, *unseen]
    policy["syscalls"] = [rule for rule in rules if rule.get("names", True)]
    policy["counts"] = counts
    policy.pop("programs", None)  # of one run only
    return policy


def limited_calls(policy: Policy, seen: Policy) -> list[str]:
    """What was seen and is limited or denied by rules of the policy, which add_to() leaves alone."""
    rules = policy["syscalls"]
    assert isinstance(rules, list)
    limited = _limited(rules)
    return [name for name in _table(seen["counts"]) if name in limited]


def _limited(rules: list[Rule]) -> set[str]:
    return {name for rule in rules if not _is_plain(rule) for name in names_of_any(rule)}


def _is_plain(rule: Rule) -> bool:
    return rule["action"] == ALLOW and not any(rule.get(key) for key in ("args", "includes", "excludes"))


def names_of_any(rule: Rule) -> list[str]:
    return _names(rule) if "names" in rule else [str(rule["name"])]


def _table(value: object) -> dict[str, int]:
    return value if isinstance(value, dict) else {}


def startup_names(program: "Program", abi: str, allowed: set[str], free: set[str]) -> list[str]:
    """The policy's own start-up list, or none where the libc's set is enough for the program.

    `allowed` are all names of that set, `free` those that it allows with any arguments. The list takes the
    set's place, so it holds both.
    """
    early = Counter(_named(program.early.get(abi, {})))
    if not set(early) - allowed - NOT_AT_START:
        return []
    names = [*by_frequency(early), *sorted(free - set(early))]
    return [name for name in names if name not in NOT_AT_START]


def describe_programs(programs: "Iterable[Program]", abi: str) -> dict[str, object]:
    """The policy's `programs`, which no compiler looks at: who called what."""
    described: dict[str, object] = {}
    for program in programs:
        entry: dict[str, object] = {"from": "main" if program.from_main else "entry"}
        entry["counts"] = by_frequency(Counter(program.calls.get(abi, {})))
        if program.from_main:
            entry["before"] = by_frequency(Counter(program.early.get(abi, {})))
        # executed with the shim and, later, without: two programs to the trace
        described[program.name if program.name not in described else f"{program.name} (again)"] = entry
    return described


def dump(value: object, indent: str = "") -> str:
    """JSON, indented by tabs; a list of words flows over lines of at most 110 columns. No newline at the end."""
    import json

    inner = indent + "\t"
    if isinstance(value, dict) and value:
        body = ",\n".join(f"{inner}{json.dumps(key)}: {dump(each, inner)}" for key, each in value.items())
        return f"{{\n{body}\n{indent}}}"
    if isinstance(value, list) and all(isinstance(each, str) for each in value) and value:
        lines, line = [], inner
        for word in (json.dumps(each) for each in value):
            if line.strip() and len(line.expandtabs(8)) + len(word) > 106:
                lines.append(line.rstrip())
                line = inner
            line += f"{word}, "
        return "[\n" + "\n".join([*lines, line.rstrip(", ")]) + f"\n{indent}]"
    if isinstance(value, list) and value:
        body = ",\n".join(f"{inner}{dump(each, inner)}" for each in value)
        return f"[\n{body}\n{indent}]"
    return json.dumps(value)
