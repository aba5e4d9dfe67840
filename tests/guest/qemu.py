# SPDX-License-Identifier: MIT
"""Start a guest, follow its console, and tell a run that ended as it should from one that did not."""

import os
import re
import selectors
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.guest.arches import Arch
from tests.guest.kernel import Kernel
from tests.guest.shell import GuestError

if TYPE_CHECKING:
    from typing import TypeAlias

    Machine: TypeAlias = subprocess.Popen[bytes]

# The one limit of a guest, from its start to its end
LIMIT_S = int(os.environ.get("STOCKADE_GUEST_LIMIT_S", "3600"))
# It says each test's name, and no test has longer than 600 s (STANDSTILL_S of tests/conftest.py)
SILENCE_S = 900
RESULTS_BYTES = 32 * 1024 * 1024
SHOWN_LINES = 40
# no_timer_check: on a busy host the emulated timer may be late for the kernel's test of it, which then panics.
# norandmaps: the emulator keeps translated code by its virtual address, and would translate Python anew for each start
BOOT = "console=ttyS0 panic=-1 loglevel=4 mitigations=off no_timer_check norandmaps"
PANIC = re.compile(r"Kernel panic|BUG: |Oops[: ]|Unable to handle kernel|guest: no ")


def command(
    arch: Arch, kernel: Kernel, work: Path, token: str, mode: str, disk: str = "root.ext4"
) -> list[str]:
    """QEMU's command line: two disks, random numbers (Python would wait for them), and nothing else."""
    root, results, _, entropy = arch.slots or ("", "", "", "")

    def device(text: str, slot: str) -> list[str]:
        return ["-device", f"{text},addr={slot}" if slot else text]

    # `-accel tcg`: /dev/kvm may exist and not work
    return [
        # an emulator whose harness was killed would run on
        *("setpriv", "--pdeathsig", "KILL"),
        *(arch.qemu, *arch.machine, "-accel", "tcg", "-vga", "none", "-nodefaults", "-nographic"),
        # Ctrl-C belongs to a guest with a shell; Ctrl-A X ends it
        *(("-serial", "mon:stdio") if mode == "shell" else ("-serial", "stdio", "-monitor", "none")),
        "-no-reboot",
        *("-kernel", str(kernel.image), "-initrd", str(work / "initramfs")),
        # an emulator has none of the processors' leaks, and is slow where kernels guard against them
        *("-append", f"{BOOT} {arch.kernel_words} stockade.token={token} stockade.mode={mode}"),
        *("-drive", f"id=d0,file={work}/{disk},format=raw,if=none,readonly=on"),
        *device("virtio-blk-pci,drive=d0", root),
        *("-drive", f"id=d1,file={work}/results.img,format=raw,if=none"),
        *device("virtio-blk-pci,drive=d1", results),
        *device("virtio-rng-pci", entropy),
    ]


class Console:
    """What a guest prints, line by line, kept in a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", path: Path) -> None:
        assert process.stdout is not None
        self.stream = process.stdout
        self.file = open(path, "w")
        self.end = time.monotonic() + LIMIT_S
        self.rest = b""
        self.last: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.stream, selectors.EVENT_READ)

    def next_line(self) -> str | None:
        """The next line, None at the end; an error when the guest's time is up."""
        while b"\n" not in self.rest:
            rest_s = max(0, self.end - time.monotonic())
            if not self.selector.select(min(rest_s, SILENCE_S)):
                late = f"no word for {SILENCE_S} s" if rest_s > SILENCE_S else f"no end within {LIMIT_S} s"
                raise GuestError(f"{late}\n{self.tail()}")
            more = os.read(self.stream.fileno(), 65536)
            if not more:
                return None
            self.rest += more
        raw, _, self.rest = self.rest.partition(b"\n")
        line = raw.decode("utf-8", "replace").rstrip("\r")
        self.file.write(line + "\n")
        self.file.flush()
        self.last = [*self.last[1 - SHOWN_LINES :], line]
        return line

    def tail(self) -> str:
        return "the last lines of its console:\n" + "\n".join(f"  {line}" for line in self.last)

    def close(self) -> None:
        self.selector.close()
        self.file.close()


@contextmanager
def running(words: list[str], log: Path, limit_s: int = LIMIT_S) -> Iterator["tuple[Machine, Console]"]:
    """A machine whose console is followed; whatever happens, it is gone afterwards."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    console = Console(process, log)
    console.end = time.monotonic() + limit_s
    try:
        yield process, console
    finally:
        process.kill()
        process.wait()
        console.close()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def follow(console: Console, token: str, tell: Callable[[str], None]) -> int:
    """Read a console up to the run's own last line; returns the status that it states."""
    mark = f"@{token} "
    while (line := console.next_line()) is not None:
        if line.startswith(mark):
            what, value = line.removeprefix(mark).split(" ", 1)
            if what == "ended":
                return int(value)
            tell(f"{what} after {float(value):.1f} s of its own time")
        elif PANIC.search(line):
            more = [console.next_line() for _ in range(3)]
            raise GuestError(f"{line} {more[-1] or ''}\n{console.tail()}")
    raise GuestError(f"the console ended before the run did\n{console.tail()}")


def processor_s(pid: int) -> float:
    """What a process has used so far: other than its seconds, it says little of what else ran here."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_guest(
    arch: Arch, kernel: Kernel, work: Path, token: str, tell: Callable[[str], None]
) -> tuple[int, float]:
    """Boot, wait for the suites, bring out what they left to work/results.

    Returns their exit status and the seconds of processor time.
    """
    results = work / "results.img"
    with open(results, "wb") as file:
        file.truncate(RESULTS_BYTES)
    with running(command(arch, kernel, work, token, "test"), work / "console") as (process, console):
        try:
            status = follow(console, token, tell)
            used_s = processor_s(process.pid)
            process.wait(max(1, console.end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise GuestError(f"said that it was done and did not power off\n{console.tail()}") from None
    if process.returncode:
        raise GuestError(f"{arch.qemu} ended with {process.returncode}\n{console.tail()}")
    unpack_results(results, work / "results", token)
    return status, used_s


def unpack_results(image: Path, into: Path, token: str) -> None:
    """The archive that the guest wrote to its second disk; it must be of this run."""
    into.mkdir()
    try:
        with tarfile.open(image) as archive:
            for entry in archive:
                unpack(archive, entry, into)
        found = (into / "token").read_text().strip()
    except (tarfile.TarError, OSError) as error:
        raise GuestError(f"its results cannot be read: {error}") from error
    if found != token:
        raise GuestError("its results are not of this run")


def unpack(archive: tarfile.TarFile, entry: tarfile.TarInfo, into: Path) -> None:
    """One file. Not by extractall(): what keeps names of others in their place came with Python 3.11.4."""
    path = Path(os.path.normpath(into / entry.name))
    if not path.is_relative_to(os.path.normpath(into)):
        raise GuestError(f"its results name {entry.name}")
    content = archive.extractfile(entry) if entry.isfile() else None
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())


def shell(arch: Arch, kernel: Kernel, work: Path, token: str) -> int:
    """A guest at this terminal, or with commands from a pipe."""
    (work / "results.img").write_bytes(bytes(1024 * 1024))
    words = command(arch, kernel, work, token, "shell")
    return subprocess.call(words) if sys.stdin.isatty() else shell_with_commands(words, f"@{token} up ")


def shell_with_commands(words: list[str], mark: str) -> int:
    """Hand on what comes on stdin once the guest has said its mark; until then its firmware eats it."""

    def hand_on() -> None:
        shutil.copyfileobj(sys.stdin.buffer, inlet)
        inlet.write(b"\nexit\n")
        inlet.close()

    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        inlet = process.stdin
        for line in process.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.flush()
            if mark.encode() in line:
                threading.Thread(target=hand_on, daemon=True).start()
    return process.returncode
