# SPDX-License-Identifier: MIT
"""Make the policies of json-filters anew, by watching the daemons in their scenarios.

    python tests/host/policies.py NAME...

A policy has three kinds of rules: what was watched, of all builds together; the same under the names of other libcs
and architectures, as `jailctl policy port` guesses; and what was not seen and will be called one day. Of the last
kind are those that utrace adds because of chance, those below and those that somebody wrote into the file: they stay.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from daemons import DAEMONS, SCENARIOS, Daemon

from jail import calls, policyfile
from jail.chance import CHANCE
from jail.policy import ARCHES
from jail.policy_merge import merge
from jail.policy_port import port
from jail.policyfile import Policy, Rule, names_of

FILTERS = Path(__file__).resolve().parents[2] / "json-filters"
BIN = Path(sys.executable).parent
LIBCS = ("glibc", "musl")
TIME64 = "_time64"
WATCHED = "watched"
REASONS = {reason for _, _, reason in CHANCE}
PORTED = "ported: the same calls under the names of other libcs and architectures"
# (reason, names)
RESERVE = (
    (
        "memory, which a bigger cache, another allocator or a busier day asks for",
        "brk mmap munmap mremap madvise mprotect",
    ),
    (
        "how a process ends; abort() must be seen as such, and a stop be gone on from",
        "exit exit_group rt_sigreturn rt_sigprocmask gettid getpid tgkill tkill restart_syscall",
    ),
    ("locks of the allocator and of stdio", "futex"),
    ("clocks that are read without a system call elsewhere", "clock_gettime gettimeofday time"),
    (
        "processors, entropy and limits, asked by allocators and random number generators",
        "getrandom sched_getaffinity sysinfo getrlimit prlimit64",
    ),
)


def watch(daemon: Daemon, folder: Path) -> list[Policy]:
    """A policy for each build of a daemon that is here, of what it called in its scenario."""
    seen = []
    for build in daemon.builds():
        environment = daemon.environment(build)
        if isinstance(environment, str):
            raise SystemExit(f"{daemon.name}: {environment}")
        path = folder / f"{daemon.name}-{build}.json"
        words: list[str | Path] = [BIN / "utrace", "--jail", "--add", "-f", path, "--", BIN / "ujail"]
        subprocess.run([SCENARIOS / daemon.name, *words], check=True, env={**os.environ, **environment})
        seen.append(policyfile.load(str(path)))
    return seen


def _ported(policy: Policy) -> list[str]:
    """What other architectures and libcs call in place of the names of a policy, each once."""
    names: dict[str, None] = {}
    for arch in ARCHES:
        for libc in LIBCS:
            # only of what is allowed: a twin of what is denied is not
            rules = [rule for rule in port(policy, arch, libc)[0].rules if rule["action"] == policyfile.ALLOW]
            names.update(dict.fromkeys(name for rule in rules for name in names_of(rule)))
    known = {name for rule in policy.rules for name in names_of(rule)}
    # what is itself a twin has one, too
    names.update({name + TIME64: None for name in (*known, *names) if name + TIME64 in calls.all_names()})
    return [name for name in names if name not in known]


def compose(before: Policy, seen: list[Policy]) -> Policy:
    """What was watched, its twins, the reserve, and the rules of `before` that are none of these."""
    merged = merge(seen)[0]
    chance = [rule for rule in merged.rules if rule.get("comment") in REASONS]
    plain = [rule for rule in merged.rules if rule not in chance]
    always = [name for rule in plain for name in names_of(rule) if name not in merged.counts]
    rules: list[Rule] = [_rule(WATCHED, list(merged.counts))]
    rules += [_rule(reason, names.split()) for reason, names in RESERVE]
    rules += chance
    names_of(rules[2]).extend(always)
    made = {str(rule["comment"]) for rule in rules} | {PORTED} | REASONS
    rules += [rule for rule in before.rules if rule.get("comment") not in made]
    taken: set[str] = set()
    for rule in rules:
        rule["names"] = [name for name in dict.fromkeys(names_of(rule)) if name not in taken]
        taken.update(names_of(rule))
    whole = Policy(before.path, {**before.head, "counts": merged.counts}, rules)
    rules.insert(1, _rule(PORTED, _ported(whole)))
    whole.rules = [rule for rule in rules if names_of(rule)]
    return whole


def _rule(comment: str, names: list[str]) -> Rule:
    return {"comment": comment, "names": names, "action": policyfile.ALLOW}


def existing(name: str) -> Policy:
    path = FILTERS / f"{name}.json"
    if path.exists():
        return policyfile.load(str(path))
    return Policy(str(path), {"comment": f"{name}: ", "defaultAction": policyfile.KILL}, [])


def main(names: list[str]) -> None:
    for name in names or DAEMONS:
        with tempfile.TemporaryDirectory() as folder:
            policy = compose(existing(name), watch(DAEMONS[name], Path(folder)))
        text = policyfile.render(policy)
        json.loads(text)
        (FILTERS / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
