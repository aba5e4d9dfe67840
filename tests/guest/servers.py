# SPDX-License-Identifier: MIT
"""A BusyBox with its servers alone, linked dynamically, as a router has it: Debian's own lacks ntpd, or is static.

Built from Debian's source, for musl with the compiler that makes the tests' programs for musl.
"""

import os
import shutil
from pathlib import Path

from tests.guest.arches import Arch
from tests.guest.cache import kept
from tests.guest.compilers import glibc, musl
from tests.guest.packages import source
from tests.guest.shell import GuestError, run

OPTIONS = (
    *("HTTPD", "FEATURE_HTTPD_RANGES", "FEATURE_HTTPD_SETUID", "FEATURE_HTTPD_BASIC_AUTH"),
    *("FEATURE_HTTPD_AUTH_MD5", "FEATURE_HTTPD_ERROR_PAGES", "FEATURE_HTTPD_GZIP", "FEATURE_HTTPD_ETAG"),
    *("FEATURE_HTTPD_LAST_MODIFIED", "FEATURE_HTTPD_DATE", "FEATURE_HTTPD_ACL_IP", "FEATURE_IPV6"),
    *("NTPD", "FEATURE_NTPD_SERVER", "FEATURE_NTPD_CONF", "FEATURE_NTP_AUTH"),
    *("TELNETD", "FEATURE_TELNETD_STANDALONE", "FEATURE_DEVPTS"),
    *("UDHCPC", "UDHCPC6", "FEATURE_UDHCPC_ARPING", "FEATURE_UDHCPC_SANITIZEOPT", "FEATURE_UDHCP_8021Q"),
    *("LFS", "LONG_OPTS", "BUSYBOX", "FEATURE_USE_SENDFILE", "FEATURE_SYSLOG"),
    "USE_BB_CRYPT",  # musl of Debian comes without crypt.h
)
COMPILERS = {"glibc": glibc, "musl": musl}
# what such a program asks for by name
LIBRARIES = {"glibc": b"libc.so.6\0", "musl": b"libc.so\0"}


def busybox(arch: Arch, libc: str) -> Path:
    """The program; its first argument has to be the server's name."""
    compiler = COMPILERS[libc](arch)

    def make(place: Path) -> None:
        log = place / "log"
        tree = source("busybox", log, place)
        # nothing of the prefix's own compiler is used, only its ar and the like
        prefix = glibc(arch)[0].removesuffix("gcc")
        command = ["make", "-C", tree, f"CC={' '.join(compiler)}", f"CROSS_COMPILE={prefix}"]
        run(*command, "allnoconfig", log=log)
        config = tree / ".config"
        wanted = {f"# CONFIG_{name} is not set": f"CONFIG_{name}=y" for name in OPTIONS}
        config.write_text("".join(f"{wanted.get(line, line)}\n" for line in config.read_text().splitlines()))
        run("sh", "-c", 'yes "" | "$@"', "sh", *command, "oldconfig", log=log)
        run(*command, f"-j{os.cpu_count()}", "busybox_unstripped", log=log)
        program = place / f"busybox-{libc}"
        shutil.copy(tree / "busybox_unstripped", program)
        if LIBRARIES[libc] not in program.read_bytes():
            raise GuestError(f"{program.name} was linked statically")
        shutil.rmtree(tree)

    return kept(f"servers-{libc}-{arch.name}", [OPTIONS, *compiler, "1"], make) / f"busybox-{libc}"
