# SPDX-License-Identifier: MIT
"""The daemons of routers for big-endian mips, which no Debian has any more: dnsmasq against glibc, dropbear against
musl (glibc has no crypt(3)), and iproute2's `ip`, built from the sources of the Debian that the other guests run.
"""

import os
import shutil
from pathlib import Path

from tests.guest import bigendian, compilers
from tests.guest.cache import kept
from tests.guest.packages import source
from tests.guest.shell import run

ARCH = bigendian.ARCH
JOBS = f"-j{os.cpu_count()}"
DROPBEAR = (
    *("--disable-zlib", "--enable-bundled-libtom", "--disable-lastlog", "--disable-utmp", "--disable-utmpx"),
    *("--disable-wtmp", "--disable-wtmpx"),
)
# program of dropbear → its directory
PROGRAMS = {"dropbear": "usr/sbin", "dbclient": "usr/bin", "dropbearkey": "usr/bin"}


def tools() -> dict[str, str]:
    return {"AR": f"{bigendian.compiler()}ar", "RANLIB": f"{bigendian.compiler()}ranlib"}


def dnsmasq(place: Path, log: Path) -> None:
    tree = source("dnsmasq", log, place)
    run("make", JOBS, f"CC={compilers.glibc(ARCH)[0]}", log=log, cwd=tree)
    shutil.copy(tree / "src/dnsmasq", place / "usr/sbin/dnsmasq")
    shutil.rmtree(tree)


def dropbear(place: Path, log: Path) -> None:
    tree = source("dropbear", log, place)
    env = {"CC": compilers.musl(ARCH)[0], **tools()}
    run("./configure", f"--host={ARCH.musl_triple}", *DROPBEAR, log=log, cwd=tree, env=env)
    run("make", JOBS, f"PROGRAMS={' '.join(PROGRAMS)}", log=log, cwd=tree, env=env)
    for name, folder in PROGRAMS.items():
        shutil.copy(tree / name, place / folder / name)
    shutil.rmtree(tree)


def ip(place: Path, log: Path) -> None:
    """BusyBox's cannot make the links of dnsmasq's scenario."""
    tree = source("iproute2", log, place)
    env = {"CC": compilers.glibc(ARCH)[0], "PKG_CONFIG": "false", **tools()}
    run("./configure", log=log, cwd=tree, env=env)
    words = [f"{name}={value}" for name, value in env.items()]
    run("make", JOBS, "SUBDIRS=lib ip", "HOSTCC=gcc", *words, log=log, cwd=tree)
    shutil.copy(tree / "ip/ip", place / "usr/sbin/ip")
    shutil.rmtree(tree)


def daemons() -> Path:
    """What is laid over the root."""

    def make(place: Path) -> None:
        for folder in ("usr/bin", "usr/sbin"):
            (place / folder).mkdir(parents=True)
        for build in (dnsmasq, dropbear, ip):
            build(place, place / "log")

    return kept("daemons-mips", ["1", DROPBEAR], make)
