# SPDX-License-Identifier: MIT
"""Boot an image in QEMU and believe nothing but the lines of its own check that bear this run's token."""

import subprocess
import time
from pathlib import Path

from tests.guest import qemu
from tests.guest.arches import Arch
from tests.guest.kernel import Kernel
from tests.guest.shell import GuestError

LIMIT_S = 900
JAILED, UNJAILED = "image", "unjailed"
# what initd itself says at the end, on the console
LAST = "initd: poweroff now"


class Booted:
    """What an image said of itself: checks that were good, and numbers by name."""

    def __init__(self) -> None:
        self.good: list[str] = []
        self.numbers: dict[str, float] = {}
        self.is_off = False

    def take(self, words: str) -> None:
        what, _, rest = words.partition(" ")
        if what == "good":
            self.good.append(rest)
        elif what == "number":
            name, _, value = rest.partition(" ")
            self.numbers[name] = float(value)


def boot(arch: Arch, kernel: Kernel, work: Path, token: str, mode: str) -> Booted:
    """Boot work/root.squashfs; raises GuestError unless every check was good and the machine went off by itself."""
    (work / "results.img").write_bytes(bytes(1024 * 1024))
    process = subprocess.Popen(
        qemu.command(arch, kernel, work, token, mode, "root.squashfs"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    console = qemu.Console(process, work / f"console-{mode}")
    console.end = time.monotonic() + LIMIT_S
    booted = Booted()
    failed: list[str] = []
    try:
        while (line := console.next_line()) is not None:
            if line.startswith(f"@{token} failed "):
                failed.append(line.split(" ", 2)[2])
            elif line.startswith(f"@{token} "):
                booted.take(line.split(" ", 1)[1])
                if "up-s" in line:
                    # what a busy host does to the seconds above it does not do to these
                    booted.numbers["processor-s"] = round(qemu.processor_s(process.pid), 1)
            elif qemu.PANIC.search(line):
                raise GuestError(f"{line}\n{console.tail()}")
            booted.is_off = booted.is_off or LAST in line
        status = process.wait(30)
    finally:
        process.kill()
        process.wait()
        console.close()
        assert process.stdout is not None
        process.stdout.close()
    if failed:
        raise GuestError(f"not so: {'; '.join(failed)}; see {console.file.name}\n{console.tail()}")
    if status or "end" not in booted.good or not booted.is_off:
        raise GuestError(f"ended with {status} after {len(booted.good)} checks\n{console.tail()}")
    return booted
