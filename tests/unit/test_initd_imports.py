# SPDX-License-Identifier: MIT
"""What initd imports when it starts: each module more is memory that stays for ever."""

import subprocess
import sys
import sysconfig

# initd/slim.py has the halves of the first ones that are enough; hashlib loads two megabytes of OpenSSL
HEAVY = {"signal", "socket", "selectors", "heapq", "collections", "functools", "enum", "hashlib", "_hashlib"} | {
    "re", "json", "typing", "subprocess", "logging", "dataclasses", "asyncio", "argparse", "traceback"
}  # fmt: skip
CODE = """
import sys
sys.path += {path!r}
import initd.main, initd.model, initd.children, initd.commands, initd.log, initd.output
print(*sorted(sys.modules))
"""


def test_nothing_heavy_is_loaded() -> None:
    path = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = [sys.executable, "-I", "-S", "-c", CODE.format(path=path)]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "initd.model" in loaded
    assert not loaded & HEAVY
