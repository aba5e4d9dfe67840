# SPDX-License-Identifier: MIT
"""All suites, on this machine and in the guests, whatever fails; the last line counts them together.

    python -m tests.everything [pytest's words for this machine]

STOCKADE_GUESTS names the guests to run; 0 leaves them out. They are left out as well where QEMU is not installed, and
those that there is no time for before STOCKADE_DEADLINE (tests/guest/deadline.py). The last line says so. Exit status
0: everything that ran has passed.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from tests.guest.arches import ARCHES

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "tests/results"
SUITES = ("tests/unit", "tests/host", "tests/attack", "tests/packaging")
WIDTH = 80


class Part:
    """The run of one set of suites and what its JUnit file says of it."""

    def __init__(self, command: list[str], junit: Path) -> None:
        junit.unlink(missing_ok=True)
        self.status = subprocess.call(command, cwd=REPOSITORY)
        self.counts: Counter[str] = Counter()
        if junit.exists():
            for case in ET.parse(junit).getroot().iter("testcase"):
                self.counts[verdict(case)] += 1
        if self.status and not self.counts["failed"] + self.counts["error"]:
            self.counts["error"] += 1  # no test's, but one: a guest that did not boot, say


def verdict(case: ET.Element) -> str:
    found = [name for name in ("failure", "error", "skipped") if case.find(name) is not None]
    return {"failure": "failed"}.get(found[0], found[0]) if found else "passed"


def why_no_guests(names: list[str]) -> str:
    """The reason to leave the guests out, or ""."""
    if names == ["0"]:
        return "STOCKADE_GUESTS=0"
    missing = sorted({ARCHES[name].qemu for name in names if not shutil.which(ARCHES[name].qemu)})
    return f"{' and '.join(missing)} not installed" if missing else ""


def made_meanwhile(guests: list[str]) -> "subprocess.Popen[bytes]":
    """Begin to make what guests are made of, which needs minutes where nothing is kept, behind all else."""
    with open(RESULTS / "guests-prepare.log", "wb") as log:
        return subprocess.Popen(
            # a run that is broken off ends it as well
            ["setpriv", "--pdeathsig", "TERM", "nice", "-n", "19", *guests, "--prepare"],
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )


def left_out(path: Path) -> list[str]:
    """The guests that there was no time for (STOCKADE_DEADLINE)."""
    return (
        [name for name, run in json.loads(path.read_text()).items() if run["left out"]]
        if path.exists()
        else []
    )


def last_line(counts: Counter[str], note: str, took_s: float) -> str:
    """As pytest's own."""
    order = ("failed", "passed", "skipped", "error")
    text = ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
    line = f" {text or 'no tests ran'}{note} in {took_s:.2f}s "
    return line.center(max(WIDTH, len(line) + 2), "=")


def main(words: list[str]) -> int:
    start = time.monotonic()
    names = os.environ.get("STOCKADE_GUESTS", "").split() or list(ARCHES)
    unknown = set(names) - {*ARCHES, "0"}
    if unknown:
        print(f"STOCKADE_GUESTS: no guest {' '.join(sorted(unknown))}; there are {' '.join(ARCHES)}")
        return 2
    RESULTS.mkdir(exist_ok=True)
    here = RESULTS / "here.xml"
    reason = why_no_guests(names)
    guests = [sys.executable, "-m", "tests.guest", *[word for name in names for word in ("--arch", name)]]
    making = None if reason else made_meanwhile(guests)
    if making:
        os.environ["STOCKADE_MAKING"] = "1"  # what needs a part of it waits for it
    # not `python -m`: the checkout, whose `jail` has no native module, would come before the installed one
    pytest = str(Path(sys.executable).with_name("pytest"))
    parts = [Part([pytest, *SUITES, f"--junitxml={here}", *words], here)]
    if making is None:
        reason = f"none ({reason})"
        print(f"guests: {reason}")
    else:
        making.wait()  # whatever went wrong there is met, and told, again
        (RESULTS / "guests.json").unlink(missing_ok=True)
        parts.append(Part(guests, RESULTS / "guests.xml"))
        if out := left_out(RESULTS / "guests.json"):
            reason = f"no time for {' '.join(out)}"
    total = sum((part.counts for part in parts), Counter[str]())
    note = f", guests: {reason}" if reason else ""
    print(last_line(total, note, time.monotonic() - start))
    return 1 if any(part.status for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
