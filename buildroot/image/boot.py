# SPDX-License-Identifier: MIT
"""Boot an image in QEMU and believe nothing but the lines of its own check that bear this run's token."""

import subprocess
from pathlib import Path

from tests.guest import qemu
from tests.guest.arches import Arch
from tests.guest.kernel import Kernel
from tests.guest.shell import GuestError

LIMIT_S = 900
JAILED, UNJAILED, SERVICE = "image", "unjailed", "service"
# how it boots → what is said at the end, on the console, by who is process 1
LAST = {
    JAILED: "initd: poweroff now",
    UNJAILED: "initd: poweroff now",
    SERVICE: "all services are gone",
}
# /etc/issue, which a getty prints when it has thrown away what was typed before
ISSUE = "a terminal to log in at"


class Booted:
    """What an image said of itself: checks that were good, and numbers by name."""

    def __init__(self) -> None:
        self.good: list[str] = []
        self.failed: list[str] = []
        self.numbers: dict[str, float] = {}
        self.is_off = False

    def take(self, what: str, rest: str) -> None:
        if what == "good":
            self.good.append(rest)
        elif what == "failed":
            self.failed.append(rest)
        elif what == "number":
            name, _, value = rest.partition(" ")
            self.numbers[name] = float(value)


def boot(arch: Arch, kernel: Kernel, work: Path, token: str, mode: str) -> Booted:
    """Boot work/root.squashfs; raises GuestError unless every check was good and the machine went off by itself."""
    (work / "results.img").write_bytes(bytes(1024 * 1024))
    words = qemu.command(arch, kernel, work, token, mode, "root.squashfs")
    with qemu.running(words, work / f"console-{mode}", LIMIT_S) as (process, console):
        booted = follow(process, console, f"@{token} ", LAST[mode])
        status = process.wait(30)
    if booted.failed:
        raise GuestError(f"not so: {'; '.join(booted.failed)}; see {console.file.name}\n{console.tail()}")
    if status or "end" not in booted.good or not booted.is_off:
        raise GuestError(f"ended with {status} after {len(booted.good)} checks\n{console.tail()}")
    return booted


def follow(process: "subprocess.Popen[bytes]", console: qemu.Console, mark: str, last: str) -> Booted:
    """Read a console to its end, and type what it asks for."""
    booted = Booted()
    is_login = False
    while (line := console.next_line()) is not None:
        what, _, rest = line.removeprefix(mark).partition(" ") if line.startswith(mark) else ("", "", "")
        if what == "login":
            is_login = True
        elif what == "type":
            is_login = False
            type_line(process, rest)
        elif is_login and ISSUE in line:
            type_line(process, "root")
        elif what:
            booted.take(what, rest)
            if rest.startswith("up-s "):
                # what a busy host does to the seconds above it does not do to these
                booted.numbers["processor-s"] = round(qemu.processor_s(process.pid), 1)
        elif qemu.PANIC.search(line):
            raise GuestError(f"{line}\n{console.tail()}")
        booted.is_off = booted.is_off or last in line
    return booted


def type_line(process: "subprocess.Popen[bytes]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()
