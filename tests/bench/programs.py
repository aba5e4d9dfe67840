# SPDX-License-Identifier: MIT
"""For the filter and shim parts: a big policy, traces of real programs, the machine's call numbers."""

import json
import re
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

KEPT = ("write", "exit_group", "getppid")
# short, and each with a profile of its own
TRACED = {
    "ls": ["ls", "-lR", "/usr/share/doc"],
    "find": ["find", "/usr/lib", "-newer", "/etc/passwd"],
    "sh": ["sh", "-c", "for f in /etc/*; do [ -f $f ] && read -r line <$f; echo $line; done; true"],
    "tar": ["tar", "cf", "/dev/null", "-C", "/etc", "."],
}


@cache
def call_numbers() -> dict[str, int]:
    """This machine's system calls, from its headers."""
    line = ["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]
    text = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    return {
        name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)$", text, re.MULTILINE)
    }


def big_policy() -> bytes:
    """Two thirds of the calls there are, an errno for the rest, arguments on some: like a container's."""
    names = [name for place, name in enumerate(sorted(call_numbers())) if place % 3 or name in KEPT]
    syscalls = [
        {"names": names, "action": "SCMP_ACT_ALLOW"},
        {
            "names": ["socket", "personality", "clone"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "op": "SCMP_CMP_LT", "value": 40}],
        },
    ]
    policy = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": syscalls}
    return json.dumps(policy, indent="\t").encode()


def traces(shop_root: Path) -> dict[str, dict[str, int]]:
    """program → call → how often, by strace of real programs."""
    found = {}
    for name, argv in TRACED.items():
        if not shutil.which("strace") or not shutil.which(argv[0]):
            continue
        log = shop_root / f"trace-{name}"
        line = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), "--", *argv]
        subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        calls = re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE)
        found[name] = {call: times for call, times in Counter(calls).items() if call in call_numbers()}
    return found


def shipped_counts(folder: str) -> dict[str, tuple[bytes, dict[str, int]]]:
    """The shipped policies that say how often each call was seen: name → (text, counts)."""
    found = {}
    for path in sorted(Path(folder).glob("*.json")):
        text = path.read_bytes()
        policy = json.loads(text)
        counts = policy.get("counts") if isinstance(policy, dict) else None
        if counts:
            found[path.stem] = (
                text,
                {call: times for call, times in counts.items() if call in call_numbers()},
            )
    return found
