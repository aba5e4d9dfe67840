# SPDX-License-Identifier: MIT
"""A policy as the tools hold it: read and checked by the compiler, groups spelled out, as one kind of value.

Raises ConfigError with the place of a mistake; nothing here writes but save(), which does so at once.
"""

import json
import re
import sys
from copy import deepcopy

from jail import calls
from jail.errors import ConfigError
from jail.near import did_you_mean
from jail.policy import ARCHES, compile_filter
from jail.stdout import show

Rule = dict[str, object]

STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
GROUP = re.compile(rb'"@[^"\\]*"')
STAND_IN = b'"read"'  # as long as the shortest group with its quotes, "@aio", or shorter
PERMITS = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
ALLOW, KILL = "SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS"
KNOWN_FIRST = (
    *("comment", "defaultAction", "defaultErrnoRet", "architectures", "archMap", "flags"),
    "accepted",
)


class Policy:
    """`text` is compiled as it stands, `head` is all but its rules; a policy of 2015 has become one of today."""

    __slots__ = ("head", "path", "rules", "text")

    def __init__(self, path: str, head: dict[str, object], rules: list[Rule], text: bytes = b"") -> None:
        self.path = path
        self.head = head
        self.rules = rules
        self.text = text

    @property
    def counts(self) -> dict[str, int]:
        counts = self.head.get("counts")
        return counts if isinstance(counts, dict) else {}


def read_text(path: str) -> bytes:
    """A file, "-" for standard input. Raises OSError."""
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def load(path: str, arch: str = "") -> Policy:
    """Read a policy; `arch` is the one that it must be for, else any that it can be for. Raises ConfigError."""
    return parse(read_text(path), path, arch)


def parse(text: bytes, path: str, arch: str = "") -> Policy:
    _check(STRING.sub(lambda found: _hold_place(found, text, path), text), path, arch)
    plain = STRING.sub(lambda found: _spell_out(found, text), text)
    _check(plain, path, arch)  # the groups may have made it too long
    value = json.loads(plain)
    rules = value.pop("syscalls", [])
    if "whitelist" in value:
        value, rules = _modern(value)
    for rule in rules:
        if "name" in rule:
            rule["names"] = [rule.pop("name")]
    return Policy(path, value, rules, plain)


def _check(text: bytes, path: str, arch: str) -> None:
    """A policy may be for some architectures only; any of them will do if none is asked for."""
    first: ConfigError | None = None
    for each in (arch,) if arch else (calls.NATIVE, *ARCHES):
        try:
            compile_filter(text, each, path=path)
            return
        except ConfigError as error:
            first = first or error
    assert first is not None
    raise first


def _is_listed(found: "re.Match[bytes]", text: bytes) -> bool:
    """A group is one where it stands in a list; elsewhere it is a word like others."""
    before, after = text[: found.start()].rstrip()[-1:], text[found.end() :].lstrip()[:1]
    return bool(GROUP.fullmatch(found[0])) and before in (b"[", b",") and after in (b"]", b",")


def _hold_place(found: "re.Match[bytes]", text: bytes, path: str) -> bytes:
    """A call of the same length, so that the compiler's places are those of the file."""
    if not _is_listed(found, text):
        return found[0]
    group = found[0][1:-1].decode("utf-8", "replace")
    if group not in calls.group_names():
        line = text.count(b"\n", 0, found.start()) + 1
        column = found.start() - text.rfind(b"\n", 0, found.start())
        hint = did_you_mean(group, calls.group_names())
        raise ConfigError(f'{path}:{line}:{column}: unknown group "{group}"{hint}')
    return STAND_IN.ljust(len(found[0]))


def _spell_out(found: "re.Match[bytes]", text: bytes) -> bytes:
    """On the same line: the lines of what follows stay."""
    if not _is_listed(found, text):
        return found[0]
    return ", ".join(f'"{name}"' for name in calls.members(found[0][1:-1].decode())).encode()


def _modern(value: dict[str, object]) -> tuple[dict[str, object], list[Rule]]:
    """{"whitelist": names, "policy": n}: 0 kills, n fails with errno n and is logged."""
    code = value.pop("policy", 0)
    head: dict[str, object] = {"defaultAction": KILL}
    if code:
        head = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": code}
        head["flags"] = ["SECCOMP_FILTER_FLAG_LOG"]
    rules: list[Rule] = [{"names": value.pop("whitelist"), "action": ALLOW}]
    return {**head, **value}, rules


def names_of(rule: Rule) -> list[str]:
    names = rule["names"]
    assert isinstance(names, list)
    return names


def conditions_of(rule: Rule) -> list[dict[str, object]]:
    args = rule.get("args")
    return args if isinstance(args, list) else []


def is_plain(rule: Rule) -> bool:
    """Whatever the arguments, the architecture, the capabilities and the kernel."""
    return not any(rule.get(key) for key in ("args", "includes", "excludes"))


def said_by(rule: Rule) -> Rule:
    """What a rule says of its names. Nothing but errnoRet says something when it is 0."""
    return {
        key: rule[key] for key in rule if key not in ("names", "comment") and (rule[key] or key == "errnoRet")
    }


def chain(policy: Policy, name: str) -> list[Rule]:
    """The rules that can decide a call, without names and comments, up to the first that always does."""
    found: list[Rule] = []
    for rule in policy.rules:
        if name in names_of(rule):
            found.append(said_by(rule))
            if is_plain(rule):
                break
    return found


def allows_any(policy: Policy, name: str) -> bool:
    """Is the call allowed whatever its arguments?"""
    rules = chain(policy, name)
    if not rules:
        return policy.head["defaultAction"] in PERMITS
    return len(rules) == 1 and rules[0]["action"] in PERMITS and is_plain(rules[0])


def render(policy: Policy) -> str:
    """The file's text: keys in one order, a list of words over lines."""
    from jail.learn import dump

    head = {key: policy.head[key] for key in KNOWN_FIRST if key in policy.head}
    rest = {key: each for key, each in policy.head.items() if key not in head}
    rules = [{key: rule[key] for key in sorted(rule, key=_rank)} for rule in deepcopy(policy.rules)]
    return dump({**head, "syscalls": rules, **rest}) + "\n"


def _rank(key: str) -> int:
    order = ("comment", "names", "action", "errnoRet", "args", "includes", "excludes")
    return order.index(key) if key in order else len(order)


def save(text: str | bytes, path: str) -> None:
    """To standard output without a path; else the file is there when it is complete, or stays as it was."""
    from jail.tracefile import TraceFile

    if not path or path == "-":
        show(text)
        return
    TraceFile(path, replace=True).commit(text)
