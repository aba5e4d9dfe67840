# SPDX-License-Identifier: MIT
"""The filters that this machine's compiler makes, for the guest's own to be compared with: one JSON file.

    python -P filters.py ARCH OUT

Runs in a process of its own, because the checkout's `jail` (which has no native module) must not be found
before the installed one.
"""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SEED = 2026
RANDOM_POLICIES = 24
CALLS_EACH = 40
KERNEL = 6 << 16 | 1  # for minKernel
# These ignore their arguments, so that any can be tried; seccomp sees them all
HARMLESS = ("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "sched_yield")
OPERATORS = ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ")
COLUMNS = ("x86_64", "i386", "mips", "arm", "aarch64", "riscv64")


def call_numbers(arch: str) -> dict[str, int]:
    """Name → number of the calls that an architecture has."""
    column = COLUMNS.index("mips" if arch == "mipsel" else arch)
    text = (REPOSITORY / "preload/syscalls/table.h").read_text()
    found = {}
    for name, numbers in re.findall(r"^CALL\((\w+), ([-\d, ]+)\)", text, re.MULTILINE):
        number = int(numbers.split(",")[column])
        if number >= 0:
            found[name] = number
    return found


def interesting(dice: random.Random, bits: int) -> int:
    """A number near the edges of words and bytes."""
    base = 1 << dice.choice((0, 1, 7, 8, 15, 16, 31, 32, 33, 47, 63))
    return (
        dice.choice((base, base - 1, base + 1, dice.getrandbits(64), 0)) if dice.random() < 0.9 else 5
    ) % (1 << bits)


def random_action(dice: random.Random) -> dict[str, object]:
    """An action; its errno is one that no kernel gives."""
    kind = dice.choice(("ALLOW", "ERRNO", "ERRNO", "ERRNO", "KILL_PROCESS", "TRAP", "LOG"))
    found: dict[str, object] = {"action": f"SCMP_ACT_{kind}"}
    if kind == "ERRNO":
        found["errnoRet"] = dice.randrange(1000, 4096)
    return found


def random_policy(dice: random.Random, names: list[str], bits: int) -> dict[str, object]:
    rules = []
    for _ in range(dice.randrange(1, 12)):
        rule: dict[str, object] = {
            "names": dice.sample(names, dice.randrange(0, 30)) + dice.sample(HARMLESS, dice.randrange(1, 3)),
            **random_action(dice),
        }
        if dice.random() < 0.8:
            rule["args"] = [
                {
                    "index": index,
                    "op": f"SCMP_CMP_{dice.choice(OPERATORS)}",
                    "value": interesting(dice, bits),
                    "valueTwo": interesting(dice, bits),
                }
                for index in dice.sample(range(6), dice.randrange(1, 4))
            ]
        rules.append(rule)
    default = random_action(dice)
    policy: dict[str, object] = {"defaultAction": default["action"], "syscalls": rules}
    if "errnoRet" in default:
        policy["defaultErrnoRet"] = default["errnoRet"]
    return policy


def random_calls(
    dice: random.Random, policy: dict[str, object], numbers: dict[str, int], bits: int
) -> list[list[int]]:
    """Calls whose arguments are often those that the policy speaks of."""
    spoken = [0, 1]
    for rule in policy["syscalls"]:  # type: ignore[attr-defined]
        for condition in rule.get("args", ()):
            spoken += [condition["value"], condition["valueTwo"]]
    calls = []
    for _ in range(CALLS_EACH):
        args = [
            (dice.choice(spoken) + dice.choice((0, 0, 0, 1, -1, 1 << 32))) % (1 << bits)
            if dice.random() < 0.8
            else dice.getrandbits(bits)
            for _ in range(6)
        ]
        calls.append([numbers[dice.choice(HARMLESS)], *args])
    return calls


def cases(arch: str) -> list[dict[str, object]]:
    from jail.errors import ConfigError
    from jail.policy import ARCHES, compile_filter

    dice = random.Random(SEED)
    numbers = call_numbers(arch)
    bits = 64 if arch == "x86_64" else 32
    found: list[dict[str, object]] = []

    def add(name: str, policy: str, target: str, calls: list[list[int]], startup: str | None = None) -> None:
        try:
            made = compile_filter(
                policy.encode(),
                target,
                path=name,
                startup=startup.encode() if startup else None,
                door1=startup is not None,
                exec_pin=(0x1122334455667788, 0x7FFF0000, 0x10) if startup else (0, 0, 0),
                kernel=KERNEL,
            )
            code, error = made.code.hex(), ""
        except ConfigError as refused:
            code, error = "", str(refused)
        case = {
            "name": name,
            "arch": target,
            "policy": policy,
            "startup": startup,
            "code": code,
            "error": error,
        }
        found.append({**case, "calls": calls})

    startups = {
        path.stem: path.read_text() for path in sorted((REPOSITORY / "json-filters").glob("startup-*.json"))
    }
    for path in sorted((REPOSITORY / "json-filters").glob("*.json")):
        text = path.read_text()
        if "defaultAction" not in text and "whitelist" not in text:
            continue  # the schema
        for target in ARCHES:
            add(f"{path.stem}-{target}", text, target, [])
        if path.stem not in startups:
            for stem, startup in startups.items():
                add(f"{path.stem}-door1-{stem}", text, arch, [], startup)
    for number in range(RANDOM_POLICIES):
        policy = random_policy(dice, sorted(set(numbers) - set(HARMLESS)), bits)
        add(f"random-{number}", json.dumps(policy), arch, random_calls(dice, policy, numbers, bits))
    return found


def write_expected(arch: str, out: Path) -> None:
    """Write the file by a process that sees the installed `jail` only."""
    subprocess.run([sys.executable, "-P", __file__, arch, out], check=True)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(cases(sys.argv[1])))
