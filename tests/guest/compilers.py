# SPDX-License-Identifier: MIT
"""The C compilers of a guest's architecture: one for glibc, one for musl."""

import shlex
import shutil
from pathlib import Path

from tests.guest import bigendian
from tests.guest.arches import Arch
from tests.guest.cache import kept
from tests.guest.packages import unpacked
from tests.guest.shell import GuestError
from tests.guest.toolchain import toolchain

# As musl's own musl-gcc.specs, with the places that this musl is at
SPECS = """\
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem {include} -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem {include} -isystem include%s

*link_libgcc:
-L{shared} -L{lib} -L .%s

*libgcc:
libgcc.a%s %:if-exists(libgcc_eh.a%s)

*startfile:
%{{!shared: {lib}/Scrt1.o}} {lib}/crti.o crtbeginS.o%s

*endfile:
crtendS.o%s {lib}/crtn.o

*link:
{emulation} -dynamic-linker /lib/ld-musl-{musl}.so.1 -nostdlib %{{shared:-shared}} %{{static:-static}} \
%{{rdynamic:-export-dynamic}}

*esp_link:


*esp_options:


*esp_cpp_options:


"""


def glibc(arch: Arch) -> list[str]:
    if arch.name == "x86_64":
        return ["gcc"]
    if arch.name == "i386":
        return ["gcc", "-m32"]
    return [str(toolchain(arch.triple, arch.name) / f"bin/{arch.triple}-gcc")]


def kernel_headers(arch: Arch) -> list[Path]:
    if arch.name in ("x86_64", "i386"):
        return [Path("/usr/include"), Path(f"/usr/include/{ARCHES_HOST}")]
    return [toolchain(arch.triple, arch.name) / f"usr/{arch.triple}/include"]


# gcc -m32 reads the headers of the machine's own architecture
ARCHES_HOST = "x86_64-linux-gnu"


def musl_files(arch: Arch) -> Path:
    """A directory with usr/lib/TRIPLE and usr/include/TRIPLE of musl."""
    if not arch.debian:
        return bigendian.musl()
    return unpacked(arch.debian, "musl", ["musl", "musl-dev"])


def musl(arch: Arch) -> list[str]:
    """A musl-gcc, with the kernel headers of the other: last, so that nothing of its libc is seen."""
    files = musl_files(arch)
    real = glibc(arch)
    if not shutil.which(real[0]):
        raise GuestError(f"{real[0]} is not installed")
    text = SPECS.format(
        include=files / f"usr/include/{arch.musl_triple}",
        lib=files / f"usr/lib/{arch.musl_triple}",
        # Debian's shared libc.so is apart from libc.a, which would be taken without a word
        shared=files / f"lib/{arch.musl_triple}",
        emulation="-m elf_i386" if arch.name == "i386" else "",
        musl=arch.name,
    )

    headers = [word for path in kernel_headers(arch) for word in ("-idirafter", str(path))]
    name = f"{arch.musl_triple}-gcc"  # setup.py knows a compiler of musl by its name

    def make(place: Path) -> None:
        (place / "specs").write_text(text)
        wrapper = place / name
        words = shlex.join([*real, *headers])
        wrapper.write_text(f'#!/bin/sh\nexec {words} -specs "${{0%/*}}/specs" "$@"\n')
        wrapper.chmod(0o755)

    return [str(kept(f"musl-gcc-{arch.name}", [text, *real, *headers], make) / name)]
