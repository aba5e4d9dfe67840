# SPDX-License-Identifier: MIT
"""A policy read as a human would: top to bottom, for one call at a time, with no thought for speed.

Written from the text of the formats, not from the compiler, so that the two can be held against each other.
"""

from typing import Any

import system_calls

SYSCALLS = system_calls.syscalls()
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0, 0x30000, 0x50000
NOTIFY, TRACE, LOG, ALLOW = 0x7FC00000, 0x7FF00000, 0x7FFC0000, 0x7FFF0000
ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_ERROR": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_NOTIFY": NOTIFY,
}


class Target:
    """One architecture: what the kernel puts into seccomp_data there."""

    def __init__(self, name: str, table: str, audit: int, big_endian: bool, bits: int, docker: str) -> None:
        self.name = name
        self.audit = audit
        self.big_endian = big_endian
        self.bits = bits
        self.docker = docker
        self.numbers: dict[str, int] = SYSCALLS.load_arch_table(table)

    def __repr__(self) -> str:
        return self.name


# audit: EM_* | __AUDIT_ARCH_64BIT (1 << 31) | __AUDIT_ARCH_LE (1 << 30)
TARGETS = [
    Target("x86_64", "x86_64", 62 | 3 << 30, False, 64, "amd64"),
    Target("i386", "i386", 3 | 1 << 30, False, 32, "x86"),
    Target("mips", "mipso32", 8, True, 32, "mips"),
    Target("mipsel", "mipso32", 8 | 1 << 30, False, 32, "mipsel"),
    Target("arm", "arm", 40 | 1 << 30, False, 32, "arm"),
    Target("aarch64", "arm64", 183 | 3 << 30, False, 64, "arm64"),
    Target("riscv64", "riscv64", 243 | 3 << 30, False, 64, "riscv64"),
]


def action(name: str, errno_ret: int | None) -> int:
    value = ACTIONS[name]
    return value | (1 if errno_ret is None else errno_ret) if value in (ERRNO, TRACE) else value


def holds(condition: dict[str, Any], args: tuple[int, ...]) -> bool:
    value, given = condition["value"], args[condition["index"]]
    found: bool = {
        "SCMP_CMP_NE": given != value,
        "SCMP_CMP_LT": given < value,
        "SCMP_CMP_LE": given <= value,
        "SCMP_CMP_EQ": given == value,
        "SCMP_CMP_GE": given >= value,
        "SCMP_CMP_GT": given > value,
        "SCMP_CMP_MASKED_EQ": given & value == condition.get("valueTwo", 0),
    }[condition["op"]]
    return found


def conditions_hold(conditions: list[dict[str, Any]], args: tuple[int, ...]) -> bool:
    indexes = [condition["index"] for condition in conditions]
    several = len(set(indexes)) < len(indexes)
    each = [holds(condition, args) for condition in conditions]
    return any(each) if several else all(each)


def is_selected(
    rule: dict[str, Any], target: Target, capabilities: set[str], kernel: tuple[int, int]
) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}

    def version(text: str) -> tuple[int, int]:
        major, minor = text.split(".")
        return int(major), int(minor)

    if includes.get("arches") and target.docker not in includes["arches"]:
        return False
    if not set(includes.get("caps", [])) <= capabilities:
        return False
    if "minKernel" in includes and kernel < version(includes["minKernel"]):
        return False
    if target.docker in excludes.get("arches", []) or set(excludes.get("caps", [])) & capabilities:
        return False
    return not ("minKernel" in excludes and kernel >= version(excludes["minKernel"]))


def verdict(
    policy: dict[str, Any],
    target: Target,
    audit: int,
    nr: int,
    args: tuple[int, ...],
    capabilities: set[str] = frozenset(),  # type: ignore[assignment]
    kernel: tuple[int, int] = (6, 1),
) -> int:
    """Return what a filter made from the policy must return."""
    if audit != target.audit or (target.name == "x86_64" and nr >= 0x40000000):
        return KILL_PROCESS
    if "whitelist" in policy:
        default = ERRNO | policy["policy"] if policy.get("policy") else KILL_PROCESS
        return ALLOW if any(target.numbers.get(name) == nr for name in policy["whitelist"]) else default
    for rule in policy.get("syscalls", []):
        names = rule["names"] if "names" in rule else [rule["name"]]
        if (
            any(target.numbers.get(name) == nr for name in names)
            and is_selected(rule, target, capabilities, kernel)
            and conditions_hold(rule.get("args") or [], args)
        ):
            return action(rule["action"], rule.get("errnoRet"))
    return action(policy["defaultAction"], policy.get("defaultErrnoRet"))
