# SPDX-License-Identifier: MIT
"""A supervisor of denied calls that a test is itself, of a program that nobody but the shim holds."""

import importlib.util
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervised import wait_until

from jail._native import ffi, lib
from jail.denial import Denial
from jail.notifier import Notifier, take

if TYPE_CHECKING:
    from jails import Host

NATIVE = ffi.string(lib.native_arch()).decode()


class ByHand:
    """A program under the shim alone, and this process as its supervisor."""

    def __init__(
        self, host: "Host", policy: Path, *verbs: object, program: str = "", complains: bool = False
    ) -> None:
        found = importlib.util.find_spec("jail._native")
        assert found and found.origin
        shim = str(Path(found.origin).parent / "libpreload-seccomp.so")
        mode = "complain,notify" if complains else "enforce,notify"
        env = {"SECCOMP_FILE": str(policy), "LD_PRELOAD": shim, "SECCOMP_MODE": mode}
        self.process = subprocess.Popen(
            [str(program or host.probes["glibc"]), *map(str, verbs)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.told: list[Denial] = []
        self.fd = -1
        wait_until(self._is_taken, lambda: "no listener")
        self.notifier = Notifier(
            self.fd, str(policy), NATIVE, self.process.pid, complains=complains, tell=self.told.append
        )

    def _is_taken(self) -> bool:
        self.fd = take(self.process.pid)
        return self.fd >= 0

    def serve_until(self, is_done: Any) -> None:
        def work() -> bool:
            if self.notifier.is_asked():
                self.notifier.serve()
            return bool(is_done())

        wait_until(work, lambda: [one.call for one in self.told])

    def finish(self) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        out = self.process.stdout.read().decode()
        self.process.stdout.close()
        self.process.wait()
        return out
