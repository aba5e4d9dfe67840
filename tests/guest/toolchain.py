# SPDX-License-Identifier: MIT
"""Debian's cross compilers, unpacked beside the machine's own: gcc-multilib, which the host tests need, and
the packaged cross compilers exclude each other."""

from pathlib import Path

from tests.guest.cache import kept
from tests.guest.packages import machine_arch, unpack

TOOLS = (
    "addr2line",
    "ar",
    "as",
    "gcc",
    "ld",
    "ld.bfd",
    "nm",
    "objcopy",
    "objdump",
    "ranlib",
    "readelf",
    "size",
    "strip",
)
VERSION = "12"


def packages(triple: str, arch: str) -> list[str]:
    return [
        *(f"{name}-{VERSION}-{triple}" for name in ("gcc", "cpp")),
        f"binutils-{triple}",
        f"libgcc-{VERSION}-dev-{arch}-cross",
        *(
            f"{name}-{arch}-cross"
            for name in ("libgcc-s1", "libatomic1", "libc6", "libc6-dev", "linux-libc-dev")
        ),
    ]


def toolchain(triple: str, arch: str) -> Path:
    """The directory whose bin/ has TRIPLE-gcc and the rest."""
    names = packages(triple, arch)

    def make(place: Path) -> None:
        unpack(machine_arch(), names, place)
        # The linker scripts name the place where Debian would have installed them
        for script in (place / f"usr/{triple}/lib").glob("lib*.so"):
            if not script.is_symlink() and script.read_bytes()[:4] != b"\x7fELF":
                script.write_text(script.read_text().replace(f"/usr/{triple}/lib/", ""))
        # binutils' own libraries; the path is relative, so that the directory can move
        libraries = next(place.glob("usr/lib/*/libopcodes-*.so")).parent.relative_to(place)
        (place / "bin").mkdir()
        for tool in TOOLS:
            real = f"{triple}-{tool}-{VERSION}" if tool == "gcc" else f"{triple}-{tool}"
            script = place / f"bin/{triple}-{tool}"
            script.write_text(
                "#!/bin/sh\nroot=${0%/*}/..\n"
                f'LD_LIBRARY_PATH="$root/{libraries}" exec "$root/usr/bin/{real}" "$@"\n'
            )
            script.chmod(0o755)

    return kept(f"toolchain-{triple}", names, make)
