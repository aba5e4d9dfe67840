# SPDX-License-Identifier: MIT
"""Run the suites in QEMU guests.

    python -m tests.guest [--arch NAME]... [--only WORD]...
    python -m tests.guest --shell NAME

--only gives words to pytest in place of the suites: a file or a test, -k, …

Results go to tests/results/guests/ (console, JUnit, kernel log, what the guest left), times and all JUnit
results together beside it. Exit status 0: every guest ran to its end, no test failed, and nothing was skipped
that is not in allowed-skips.txt.
"""

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.guest import boot, compilers, qemu
from tests.guest.arches import ARCHES, Arch
from tests.guest.cache import cache_folder
from tests.guest.deadline import left_s, why_left_out
from tests.guest.image import write_image
from tests.guest.initramfs import write_initramfs
from tests.guest.kernel import Kernel, kernel
from tests.guest.report import Outcome, costs, describe, unused_rules, write_junit
from tests.guest.root import REPOSITORY, root, static_busybox
from tests.guest.shell import GuestError

RESULTS = REPOSITORY / "tests/results"
AT_ONCE = 2
SUITES = 4  # of suites.sh
START = time.monotonic()
printing = threading.Lock()


def say(who: str, text: str) -> None:
    with printing:
        print(f"[{time.monotonic() - START:6.1f} s] {who}: {text}", flush=True)


class Run:
    """One guest from nothing to its results, and the seconds of each stage."""

    def __init__(self, arch: Arch, only: list[str]) -> None:
        self.arch = arch
        self.only = only
        self.seconds: dict[str, float] = {}
        self.outcome: Outcome | None = None
        self.fault = ""
        self.costs: dict[str, float] = {}
        self.left_out = ""  # why

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        say(self.arch.name, f"{name} …")
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)
        say(self.arch.name, f"{name}: {self.seconds[name]} s")

    def make(self) -> Kernel:
        """What is slow and kept: all that does not change with the product."""
        arch = self.arch
        with self.stage("compilers"):
            compilers.glibc(arch)
            compilers.musl(arch)
        with self.stage("kernel"):
            found = kernel(arch)
        with self.stage("root"):
            root(arch)
        return found

    def prepare(self, work: Path) -> Kernel:
        """Everything that the guest boots from, in `work`."""
        arch = self.arch
        found = self.make()
        with self.stage("build and image"):
            write_image(arch, work, work / "log", self.only)
            write_initramfs(work / "initramfs", static_busybox(arch), found.modules)
        return found

    def test(self, work: Path) -> None:
        try:
            found = self.prepare(work)
            with self.stage("guest"):
                token = secrets.token_hex(8)
                status, used_s = qemu.run_guest(
                    self.arch, found, work, token, lambda text: say(self.arch.name, text)
                )
            self.seconds["of a processor"] = round(used_s, 1)
            self.outcome = Outcome(self.arch.name, work / "results")
            self.costs = costs(work / "results")
            # in which another guest could have had the processor
            self.seconds["idle"] = float((work / "results/uptime").read_text().split()[1])
            wanted = 1 if self.only else SUITES
            if len(self.outcome.suites) != wanted:
                raise GuestError(
                    f"{len(self.outcome.suites)} suites of {wanted} have results; see its console"
                )
            if status not in (0, 1) or not self.outcome.passed:
                self.fault = f"pytest ended with {status}"
            with self.stage("boot by initd"):
                boot.check(self.arch, found, work, secrets.token_hex(8))
        except GuestError as error:
            self.fault = str(error)
        except Exception:
            self.fault = traceback.format_exc()

    @property
    def numbers(self) -> dict[str, object]:
        """For guests.json."""
        return {"seconds": self.seconds, "costs": self.costs, "left out": self.left_out}

    @property
    def is_good(self) -> bool:
        found = self.outcome
        return found is not None and not (self.fault or found.failed or found.not_allowed)


def keep_results(work: Path, arch: str) -> None:
    place = RESULTS / "guests" / arch
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("console", "boot-console", "log"):
        if (work / name).exists():
            shutil.copy(work / name, place / name)
    if (work / "results").is_dir():
        shutil.copytree(work / "results", place / "results")


def remove_old_runs(folder: Path) -> None:
    """What a run that was killed left behind: images are large."""
    for path in folder.glob("run-*"):
        pid = path.name.split("-")[1]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(path, ignore_errors=True)


def test(names: list[str], only: list[str]) -> int:
    runs = [Run(ARCHES[name], only) for name in names]

    def whole(run: Run) -> None:
        run.left_out = why_left_out(run.arch.name, left_s())
        if run.left_out:
            say(run.arch.name, f"left out: {run.left_out}")
            return
        # not in /tmp: an image is large, and that may be memory
        with tempfile.TemporaryDirectory(prefix=f"run-{os.getpid()}-", dir=cache_folder()) as folder:
            run.test(Path(folder))
            keep_results(Path(folder), run.arch.name)
        say(run.arch.name, run.outcome.counts() if run.outcome else "no results")

    cache_folder().mkdir(parents=True, exist_ok=True)
    remove_old_runs(cache_folder())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # the last is the one with the most to build and to do
        list(pool.map(whole, reversed(runs)))
    outcomes = [run.outcome for run in runs if run.outcome]
    write_junit(outcomes, RESULTS / "guests.xml")
    (RESULTS / "guests.json").write_text(
        json.dumps({run.arch.name: run.numbers for run in runs}, indent=1) + "\n"
    )
    print()
    for run in runs:
        if run.outcome:
            print(describe(run.outcome))
        if run.fault:
            print(f"{run.arch.name}: {run.fault}")
    for run in runs:
        print(f"{run.arch.name:8}", *(f"{name} {seconds} s," for name, seconds in run.seconds.items()))
        print(f"{run.arch.name:8}", *(f"{name} {value}," for name, value in run.costs.items()))
    is_whole = all(run.is_good for run in runs) and {*names} == {*ARCHES} and not only
    unused = unused_rules(outcomes) if is_whole else []
    for rule in unused:
        print(f"nothing was skipped by this line of allowed-skips.txt: {' | '.join(rule)}")
    bad = [run.arch.name for run in runs if not (run.is_good or run.left_out)]
    bad += ["allowed-skips.txt"] * bool(unused)
    out = [run.arch.name for run in runs if run.left_out]
    print(
        f"guests: {', '.join(name for name in names if name not in out) or 'none'};",
        f"left out for want of time: {', '.join(out)};" if out else "",
        f"failed: {', '.join(bad)}" if bad else "all good",
    )
    passed, failed = sum(one.passed for one in outcomes), sum(len(one.failed) for one in outcomes)
    print(f"{passed} passed, {failed} failed, {sum(len(one.skipped) for one in outcomes)} skipped")
    return 1 if bad else 0


def prepare(names: list[str]) -> int:
    """Make what is kept, for a run that comes later."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: Run(ARCHES[name], []).make(), reversed(names)))
    return 0


def shell(name: str) -> int:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"shell-{name}-", dir=cache_folder()) as folder:
        work = Path(folder)
        found = Run(ARCHES[name], []).prepare(work)
        print("Ctrl-A X ends the guest at once.")
        return qemu.shell(ARCHES[name], found, work, "shell")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.guest", description="Run the suites in QEMU guests."
    )
    parser.add_argument(
        "--arch", action="append", choices=list(ARCHES), help="only this guest; may be repeated"
    )
    parser.add_argument("--only", action="append", default=[], help="pytest's words in place of the suites")
    parser.add_argument("--prepare", action="store_true", help="make what is slow and kept, and end")
    parser.add_argument("--shell", choices=list(ARCHES), help="a shell in this guest")
    given = parser.parse_args()
    try:
        if given.shell:
            return shell(given.shell)
        names = given.arch or list(ARCHES)
        return prepare(names) if given.prepare else test(names, given.only)
    except GuestError as error:
        print(f"guest: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
