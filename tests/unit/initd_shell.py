# SPDX-License-Identifier: MIT
"""The shell side of initd under the shells of this machine, with a `ubus` that writes down what it is told."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parents[2] / "initd/files"
SHELLS = {"ash": ["busybox", "sh"], "bash": ["bash"], "dash": ["dash"]}
# Only the first two are promised; Debian's /bin/sh, dash, has to do for the demo and for who tries a script there
INSTALLED = [name for name, command in SHELLS.items() if shutil.which(command[0])]
# an emulated machine has its hands full with one shell, the one that routers have
AVAILABLE = INSTALLED[:1] if "STOCKADE_GUEST" in os.environ else INSTALLED
# one for stubs of what is a part of busybox: its shell may prefer its own to what is on the PATH
WITH_STUBS = INSTALLED[-1]
# a call is its words, each with a NUL, and one more NUL
STUB = """#!/bin/sh
printf '%s\\0' "$@" '' >>"$UBUS_CALLS"
[ ! -e "$UBUS_ANSWER" ] || cat "$UBUS_ANSWER"
exit "${UBUS_STATUS:-0}"
"""


class Ran:
    """What a script did: status, output, and the calls of ubus without their first word, "call"."""

    def __init__(self, status: int, out: str, err: str, calls: list[list[str]]) -> None:
        self.status = status
        self.out = out
        self.err = err
        self.calls = calls

    @property
    def sent(self) -> Any:
        """The message of the only call."""
        assert len(self.calls) == 1, (self.calls, self.err)
        return json.loads(self.calls[0][2])

    def __repr__(self) -> str:
        return f"status {self.status}\n{self.out}\n{self.err}\n{self.calls}"


class World:
    """A root with our files and nothing else, under STOCKADE_ROOT."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for path in ("etc/rc.common", "lib", "usr", "sbin"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(FILES / path)
        for path in ("etc/init.d", "etc/config", "bin", "tmp"):
            (root / path).mkdir(parents=True)
        stub = root / "bin/ubus"
        stub.write_text(STUB)
        stub.chmod(0o755)
        self.environment = {
            "PATH": f"{root}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "STOCKADE_ROOT": str(root),
            "UBUS_CALLS": f"{root}/tmp/calls",
            "UBUS_ANSWER": f"{root}/tmp/answer",
        }

    def config(self, package: str, text: str) -> None:
        (self.root / "etc/config" / package).write_text(text)

    def answer(self, value: object) -> None:
        """What ubus prints from now on, as the real one does: with tabs, one value in a line."""
        (self.root / "tmp/answer").write_text(json.dumps(value, indent="\t", ensure_ascii=False) + "\n")

    def script(self, name: str, text: str) -> Path:
        path = self.root / "etc/init.d" / name
        path.write_text("#!/bin/sh /etc/rc.common\n" + text)
        path.chmod(0o755)
        return path

    def run(self, shell: str, *arguments: str | bytes | Path, **environment: str) -> Ran:
        """Run a shell with arguments and collect what it told ubus."""
        calls = self.root / "tmp/calls"
        calls.unlink(missing_ok=True)
        result = subprocess.run(
            [*SHELLS[shell], *arguments],
            capture_output=True,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            timeout=60,
            cwd=self.root,
        )
        told = os.fsdecode(calls.read_bytes()).split("\0\0")[:-1] if calls.exists() else []
        return Ran(
            result.returncode,
            os.fsdecode(result.stdout),
            os.fsdecode(result.stderr),
            [call.split("\0")[1:] for call in told],
        )

    def call(self, shell: str, name: str, *words: str, **environment: str) -> Ran:
        """`/etc/init.d/NAME WORD...`, as the kernel would run its first line."""
        return self.run(shell, "etc/rc.common", f"etc/init.d/{name}", *words, **environment)

    def source(self, shell: str, text: str, *arguments: str | bytes, **environment: str) -> Ran:
        """A piece of a script after functions.sh and procd.sh."""
        start = '. "$STOCKADE_ROOT/lib/functions.sh"; . "$STOCKADE_ROOT/lib/functions/procd.sh"\n'
        return self.run(shell, "-c", start + text, "sh", *arguments, **environment)
