# SPDX-License-Identifier: MIT
"""Programs in jails and outside of them: what the fixture `host` is."""

import errno
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import looks
import processes
from probes import TESTS, Probes
from processes import Process, run, start
from result import Result

DRIVER = TESTS / "host" / "driver.py"


class Host:
    """Runs things in jails and outside of them."""

    def __init__(self, ujail: str, probes: Probes, folder: Path) -> None:
        self.ujail = ujail
        self.probes = probes
        self.folder = folder
        self.utrace = str(Path(ujail).with_name("utrace"))
        self._policies = 0

    # before words whose mounts are to stay their own
    apart = ("unshare", "--mount", "--propagation", "private")
    # what tests use beside: they have it from the fixture
    children_of = staticmethod(looks.children_of)
    fds = staticmethod(looks.fds)
    finish = staticmethod(processes.finish)
    first_line = staticmethod(processes.first_line)
    is_gone = staticmethod(looks.is_gone)
    mounts = staticmethod(looks.mounts)
    run = staticmethod(run)
    spawn = staticmethod(start)
    status_of = staticmethod(looks.status_of)
    system_libraries = staticmethod(looks.system_libraries)
    until = staticmethod(processes.until)
    wait_ready = staticmethod(processes.wait_ready)

    def start(
        self, *verbs: object, options: Iterable[object] = (), kind: str = "glibc", **settings: object
    ) -> Process:
        """A jail that goes on: what `probe` runs, without waiting for its end."""
        return start(self.ujail, "-n", "t", *options, "--", self.probes[kind], *verbs, **settings)

    def jail(self, *options: object, **settings: object) -> Result:
        """`ujail` with exactly these words."""
        return run(self.ujail, *options, **settings)

    def probe(
        self, *verbs: object, options: Iterable[object] = (), kind: str = "glibc", **settings: object
    ) -> Result:
        """The probe in a jail named "t"."""
        return self.jail("-n", "t", *options, "--", self.probes[kind], *verbs, **settings)

    def outside(
        self, *verbs: object, kind: str = "glibc", prefix: Iterable[object] = (), **settings: object
    ) -> Result:
        """The probe without a jail, in a mount namespace of its own, so that a success changes nothing."""
        return run(*self.apart, *prefix, self.probes[kind], *verbs, **settings)

    def driver(self, request: dict[str, object], prefix: Iterable[object] = ()) -> Result:
        """A launch by library call, see host/driver.py; its report is the last line on stderr."""
        return run(*prefix, sys.executable, "-I", DRIVER, json.dumps(request))

    def spawn_driver(self, request: dict[str, object]) -> Process:
        """The same, without waiting for its end."""
        return start(sys.executable, "-I", DRIVER, json.dumps(request))

    def policy(self, *allowed: str, default: str = "SCMP_ACT_ERRNO", errno_ret: int = errno.EXFULL) -> Path:
        """A policy with these calls and those without which the probe cannot speak.

        What it denies gets EXFULL, an errno that nothing else in these tests gives.
        """
        self._policies += 1
        path = self.folder / f"policy-{self._policies}.json"
        names = ["write", "exit_group", *allowed]
        content: dict[str, object] = {"defaultAction": default}
        if default == "SCMP_ACT_ERRNO":
            content["defaultErrnoRet"] = errno_ret
        content["syscalls"] = [{"names": names, "action": "SCMP_ACT_ALLOW"}]
        path.write_text(json.dumps(content))
        path.chmod(0o644)
        return path
