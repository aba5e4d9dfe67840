# SPDX-License-Identifier: MIT
"""A second, short boot of a guest with initd as its process 1, from the first mount to the power off."""

import shutil
from pathlib import Path

from tests.guest import qemu
from tests.guest.arches import Arch
from tests.guest.kernel import Kernel
from tests.guest.shell import GuestError

HERE = Path(__file__).resolve().parent
FILES = HERE.parents[1] / "initd/files"
LIMIT_S = 600
GOOD = (
    *("process 1", "mounts", "loopback", "host name", "object system"),
    *("steady runs", "crashing runs", "reloading runs", "steady in its jail", "crashing in its jail"),
    *("crashing again", "nothing new, nothing restarted", "reloading again", "steady is the same"),
    "orphans reaped",
)
# what initd and the scripts say themselves, in this order; there is no log daemon, so it all is on the console
SAID = (
    "steady was started",
    "all scripts of the boot were run",
    "poweroff: stopping all services",
    "crashing was stopped",
    "steady was stopped",
    "reloading has ended",
    "initd: poweroff now",
)


def add_files(place: Path) -> None:
    """initd as /sbin/init, the shell files, and the scripts of this boot, in a guest's root."""
    for tree in (FILES, HERE / "boot"):
        shutil.copytree(tree, place, symlinks=True, dirs_exist_ok=True)
    for name in ("check.sh", "words.sh"):
        shutil.copy(HERE / name, place / "guest" / name)
    init = place / "sbin/init"
    init.unlink(missing_ok=True)
    init.symlink_to("/usr/bin/initd")


def check(arch: Arch, kernel: Kernel, work: Path, token: str) -> None:
    """Boot; raises GuestError unless every check is good, all was said in its order, and the machine is off."""
    (work / "results.img").write_bytes(bytes(1024 * 1024))
    words = qemu.command(arch, kernel, work, token, "boot")
    good: list[str] = []
    said = list(SAID)
    with qemu.running(words, work / "boot-console", LIMIT_S) as (process, console):
        while (line := console.next_line()) is not None:
            if line.startswith(f"@{token} good "):
                good.append(line.split(" ", 2)[2])
            elif line.startswith(f"@{token} failed ") or qemu.PANIC.search(line):
                raise GuestError(f"{line}\n{console.tail()}")
            elif said and said[0] in line:
                del said[0]
        status = process.wait(30)
    if status or good != list(GOOD) or said:
        missing = [*said, *(what for what in GOOD if what not in good)]
        raise GuestError(f"boot: ended with {status}; not seen: {'; '.join(missing)}\n{console.tail()}")
