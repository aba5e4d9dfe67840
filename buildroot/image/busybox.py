# SPDX-License-Identifier: MIT
"""The image's BusyBox: every applet that is on by default, linked with the C library that the image has anyway.

Debian's own have no ntpd. Built from Debian's source with the guest harness's compilers, and kept.
"""

import os
import shutil
from pathlib import Path

from tests.guest.arches import Arch
from tests.guest.cache import kept
from tests.guest.compilers import glibc
from tests.guest.packages import source
from tests.guest.shell import run

# tc needs kernel headers that are older than ours
LEFT_OUT = (
    *("TC", "FEATURE_TC_INGRESS", "LINUXRC", "RPM", "RPM2CPIO", "MAN", "DPKG", "DPKG_DEB"),
    *("RUNSVDIR", "RUNSV", "SV", "SVC", "SVOK", "SVLOGD", "CHPST", "FSCK_MINIX", "MKFS_MINIX"),
)


def busybox(arch: Arch) -> Path:
    """The program."""
    compiler = glibc(arch)

    def make(place: Path) -> None:
        log = place / "log"
        tree = source("busybox", log, place)
        command = ["make", "-C", tree, f"CC={' '.join(compiler)}"]
        if len(compiler) == 1:
            command.append(f"CROSS_COMPILE={compiler[0].removesuffix('gcc')}")
        run(*command, "defconfig", log=log)
        config = tree / ".config"
        changed = {f"CONFIG_{name}=y": f"# CONFIG_{name} is not set" for name in LEFT_OUT}
        config.write_text("".join(f"{changed.get(line, line)}\n" for line in config.read_text().splitlines()))
        run("sh", "-c", 'yes "" | "$@"', "sh", *command, "oldconfig", log=log)
        run(*command, f"-j{os.cpu_count()}", "busybox", log=log)
        shutil.copy(tree / "busybox", place / "program")
        run(*command, "busybox.links", log=log)
        shutil.copy(tree / "busybox.links", place / "links")
        shutil.rmtree(tree)

    return kept(f"busybox-image-{arch.name}", [LEFT_OUT, *compiler, "1"], make) / "program"
