# SPDX-License-Identifier: MIT
"""The user space of big-endian mips, which no Debian has any more: CPython, cffi's backend, BusyBox and musl,
built from the sources of the Debian that the other guests run, against the C library of its cross compiler.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.guest.arches import ARCHES
from tests.guest.cache import kept
from tests.guest.packages import source
from tests.guest.shell import GuestError, output, run
from tests.guest.toolchain import toolchain

ARCH = ARCHES["mips"]
RELEASE = "3.11"
JOBS = f"-j{os.cpu_count()}"
# For the interpreter alone, which is no shared object: a call is a jump, where position-independent code of mips loads
# each address from a table and the emulator looks each up
STRAIGHT = "-fno-pie -mplt -mno-shared"
# What of the compiler's C library goes into the root
LIBRARIES = (
    *("ld", "libc", "libm", "libdl", "libpthread", "librt", "libutil", "libresolv", "libgcc_s", "libatomic"),
    *("libnss_files", "libnss_dns"),
)


def compiler() -> str:
    return str(toolchain(ARCH.triple, ARCH.name) / f"bin/{ARCH.triple}-")


def musl() -> Path:
    """musl where Debian's packages have it: usr/lib and usr/include/mips-linux-musl."""
    triple = ARCH.musl_triple

    def make(place: Path) -> None:
        log = place / "log"
        tree = source("musl", log, place)
        options = ["--prefix=/usr", f"--libdir=/usr/lib/{triple}", f"--includedir=/usr/include/{triple}"]
        tools = [f"CC={compiler()}gcc", f"CROSS_COMPILE={compiler()}"]
        run("./configure", *options, "--disable-wrapper", "--target=mips", *tools, log=log, cwd=tree)
        run("make", JOBS, log=log, cwd=tree)
        run("make", "install", f"DESTDIR={place}", log=log, cwd=tree)
        (place / "lib").mkdir(exist_ok=True)
        loader = place / "lib/ld-musl-mips.so.1"
        loader.unlink(missing_ok=True)
        loader.symlink_to(f"../usr/lib/{triple}/libc.so")
        shutil.rmtree(tree)

    return kept("musl-mips", "1", make)


def busybox() -> Path:
    """bin/busybox, static, with everything that is on by default."""

    def make(place: Path) -> None:
        log = place / "log"
        tree = source("busybox", log, place)
        command = ["make", "-C", tree, "ARCH=mips", f"CROSS_COMPILE={compiler()}"]
        run(*command, "defconfig", log=log)
        config = (tree / ".config").read_text()
        # tc needs kernel headers that are older than ours
        for name, value in (("STATIC", "y"), ("TC", "n"), ("FEATURE_TC_INGRESS", "n")):
            config = "\n".join(
                line for line in config.splitlines() if f"CONFIG_{name} " not in f"{line} ".replace("=", " ")
            )
            config += f"\nCONFIG_{name}=y\n" if value == "y" else f"\n# CONFIG_{name} is not set\n"
        (tree / ".config").write_text(config)
        run("sh", "-c", f"yes '' | make -C {tree} ARCH=mips CROSS_COMPILE={compiler()} oldconfig", log=log)
        run(*command, JOBS, log=log)
        (place / "bin").mkdir()
        shutil.copy(tree / "busybox", place / "bin/busybox")
        shutil.rmtree(tree)

    return kept("busybox-mips", "1", make)


def python() -> Path:
    """A root with CPython in /usr, its standard library, cffi's backend and the C library.

    usr/include/python3.11 is there for the cross build of our own module and does not go into the image.
    """

    def make(place: Path) -> None:
        if sys.version_info[:2] != (3, 11):
            raise GuestError(
                f"CPython {RELEASE} is cross-built with a python{RELEASE}; this is {sys.version.split()[0]}"
            )
        log = place / "log"
        prefix = compiler()
        build = output("gcc", "-dumpmachine").strip()
        tools = {
            "CC": f"{prefix}gcc",
            "AR": f"{prefix}ar",
            "RANLIB": f"{prefix}ranlib",
            "READELF": f"{prefix}readelf",
        }
        near = place / "near"
        # both are linked into the modules that use them
        libffi = [
            f"--host={ARCH.triple}",
            f"--build={build}",
            "--disable-docs",
            "--disable-shared",
            "--with-pic",
        ]
        for name, options in (("zlib", ["--static"]), ("libffi", [*libffi, "--disable-multi-os-directory"])):
            tree = source(name, log, place)
            static = {**tools, "CFLAGS": "-O2 -fPIC"}
            run(
                "./configure",
                f"--prefix={near}",
                f"--libdir={near}/lib",
                *options,
                log=log,
                cwd=tree,
                env=static,
            )
            run("make", JOBS, "install", log=log, cwd=tree)
            shutil.rmtree(tree)
        flags = {"CPPFLAGS": f"-I{near}/include", "LDFLAGS": f"-L{near}/lib", "PKG_CONFIG": "false"}
        tree = source(f"python{RELEASE}", log, place)
        run(
            *(
                "./configure",
                "--prefix=/usr",
                f"--host={ARCH.triple}",
                f"--build={build}",
                "--without-ensurepip",
            ),
            *(f"--with-build-python={sys.executable}", "--disable-test-modules", "--with-pkg-config=no"),
            *(
                "ac_cv_file__dev_ptmx=yes",
                "ac_cv_buggy_getaddrinfo=no",
                "ac_cv_file__dev_ptc=no",
                "LIBFFI_INCLUDEDIR=" + str(near / "include"),
            ),
            log=log,
            cwd=tree,
            env={**tools, **flags},
        )
        make_python = [
            "make",
            f"PY_CORE_CFLAGS=$(PY_STDMODULE_CFLAGS) -DPy_BUILD_CORE {STRAIGHT}",
            f"PY_BUILTIN_MODULE_CFLAGS=$(PY_STDMODULE_CFLAGS) -DPy_BUILD_CORE_BUILTIN {STRAIGHT}",
            "PY_CORE_LDFLAGS=$(PY_LDFLAGS) $(PY_LDFLAGS_NODIST) -no-pie",
        ]
        run(*make_python, JOBS, log=log, cwd=tree)
        run(*make_python, "install", f"DESTDIR={place}", log=log, cwd=tree)
        shutil.rmtree(tree)
        for path in (place / "usr/lib").rglob("libpython*.a"):
            path.unlink()
        cffi_backend(place, near, log)
        libraries(place)
        shutil.rmtree(near)

    return kept("python-mips", [RELEASE, LIBRARIES, STRAIGHT], make)


def cffi_backend(place: Path, near: Path, log: Path) -> None:
    tree = source("python-cffi", log, place)
    packages = place / f"usr/lib/python{RELEASE}/site-packages"
    run(
        *(f"{compiler()}gcc", "-shared", "-fPIC", "-O2", "-DUSE__THREAD", "-DHAVE_SYNC_SYNCHRONIZE"),
        *(f"-I{place}/usr/include/python{RELEASE}", f"-I{near}/include", "c/_cffi_backend.c"),
        *("-o", packages / "_cffi_backend.so", f"-L{near}/lib", "-lffi"),
        log=log,
        cwd=tree,
    )
    shutil.rmtree(tree)


def libraries(place: Path) -> None:
    """The shared libraries that programs of this root are linked with, in /lib."""
    there = toolchain(ARCH.triple, ARCH.name) / f"usr/{ARCH.triple}/lib"
    (place / "lib").mkdir()
    for name in LIBRARIES:
        for path in there.glob(f"{name}.so.*"):
            shutil.copy(path, place / "lib" / path.name)
