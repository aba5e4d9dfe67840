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
        described[program.name] = entry
    return described


def dump(policy: Policy) -> str:
    """JSON as procd's tools write it: indented by tabs."""
    import json

    return json.dumps(policy, indent="\t") + "\n"
