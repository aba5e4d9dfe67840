# SPDX-License-Identifier: MIT
"""What initd imports when it starts: each module more is memory that stays for ever."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from jail.calls import NATIVE
from jail.policy import call_number

# initd/slim.py has the halves of the first ones that are enough; hashlib loads two megabytes of OpenSSL
HEAVY = {"signal", "socket", "selectors", "heapq", "collections", "functools", "enum", "hashlib", "_hashlib"} | {
    "re", "json", "typing", "subprocess", "logging", "dataclasses", "asyncio", "argparse", "traceback"
}  # fmt: skip
CODE = """
import sys
sys.path += {path!r}
import initd.main, initd.model, initd.children, initd.commands, initd.log, initd.output
{more}
print(*sorted(sys.modules))
"""
DENIAL = """
from jail.denial import Denial
from jail.eventlog import EventLog
denial = Denial({number}, {abi!r}, 7, service="s", policy={policy!r}, args=(0,) * 6)
assert 'add "write" to the "names"' in denial.words(), denial.words()
EventLog({log!r}).write(denial)
"""


def loaded(more: str = "") -> set[str]:
    path = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = [sys.executable, "-I", "-S", "-c", CODE.format(path=path, more=more)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_nothing_heavy_is_loaded() -> None:
    modules = loaded()
    assert "initd.model" in modules
    assert not modules & HEAVY
    assert not modules & {"initd.boot", "initd.mounts", "initd.first"}  # process 1 has them
    planning = {
        f"jail.{name}" for name in ("plan", "privilege", "capabilities", "elf", "loader", "libsearch")
    }
    assert not modules & planning  # until the first service starts


def test_nothing_heavy_is_loaded_for_a_denial(tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.json", tmp_path / "log"
    rule = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    policy.write_text(json.dumps({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [rule]}))
    number = call_number(NATIVE, "write")
    more = DENIAL.format(number=number, abi=NATIVE, policy=str(policy), log=str(log))
    assert not loaded(more) & HEAVY
    assert json.loads(log.read_text())["syscall"] == "write"
