# SPDX-License-Identifier: MIT
"""A guest's kernel and the modules that it loads before its root is mounted: Debian's, or for both byte orders of mips
one built from Debian's source. Debian has none for big-endian mips, and its own for the other has pages of 4 KiB."""

import lzma
import os
import re
import shutil
from pathlib import Path

from tests.guest.arches import Arch
from tests.guest.cache import kept
from tests.guest.packages import Apt, unpack, unpack_from
from tests.guest.shell import GuestError, run
from tests.guest.toolchain import toolchain

CONFIG = Path(__file__).with_name("mips.config")
BYTE_ORDER = {"mips": "CONFIG_CPU_BIG_ENDIAN=y", "mipsel": "CONFIG_CPU_LITTLE_ENDIAN=y"}
SOURCE = "linux-source-6.1"
# What the root needs to be found and what the suites need; each after those that it depends on
MODULES = (
    *("virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *(
        "virtio_blk",
        "virtio_console",
        "rng_core",
        "virtio-rng",
        "overlay",
        "mbcache",
        "jbd2",
        "crc16",
        "crc32c_generic",
        "libcrc32c",
    ),
    *("ext4", "loop", "veth", "tun", "dummy", "bridge", "nfnetlink", "ip_set"),
    *("macvlan", "nf_tables", "nft_ct", "nft_reject_inet"),
)


class Kernel:
    """A kernel image and the modules to insert, in order."""

    def __init__(self, image: Path, modules: list[Path]) -> None:
        self.image = image
        self.modules = modules


def kernel(arch: Arch) -> Kernel:
    if not arch.kernel_package:
        return Kernel(build(arch) / "vmlinux", [])
    apt = Apt(arch.debian, arch.is_kernel_backported)
    package = apt.newest(arch.kernel_package)

    def make(place: Path) -> None:
        unpack_from(apt, [package], place)
        for path in place.rglob("*.ko.xz"):  # their names and what they depend on are read here
            path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
            path.unlink()

    place = kept(f"kernel-{package}-{apt.arch}", [package], make)
    image = next((place / "boot").glob("vmlinu*"))
    return Kernel(image, in_order(place / "lib/modules"))


def in_order(folder: Path, names: tuple[str, ...] = MODULES) -> list[Path]:
    """The files of these modules and of all that they depend on, dependencies first.

    There is no modules.dep in a package that was only unpacked: each module says itself what it needs.
    """
    files = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    found: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name)
        if path is None or path in found:
            return  # built in
        depends = re.search(rb"\0depends=([^\0]*)\0", b"\0" + path.read_bytes())
        for other in depends[1].decode().split(",") if depends else ():
            add(other.replace("-", "_"))
        found.append(path)

    for name in names:
        add(name.replace("-", "_"))
    return found


def fragment(arch: Arch) -> str:
    """What is set in a kernel of our own; comments are left out, for the kept kernel is named after this."""
    lines = [*CONFIG.read_text().splitlines(), BYTE_ORDER[arch.name]]
    return "".join(f"{line}\n" for line in lines if re.match("(# )?CONFIG_", line))


def build(arch: Arch) -> Path:
    """The kept directory with the vmlinux of a mips, built in six minutes on two cores."""
    prefix = str(toolchain(arch.triple, arch.name) / f"bin/{arch.triple}-")
    wanted = fragment(arch)

    def make(place: Path) -> None:
        log = place / "log"
        unpack("amd64", [SOURCE], place / "package")
        run("tar", "-xf", place / f"package/usr/src/{SOURCE}.tar.xz", "-C", place, log=log)
        tree = place / SOURCE
        (place / "fragment").write_text(wanted)
        command = ["make", "-C", tree, "ARCH=mips", f"CROSS_COMPILE={prefix}"]
        run(*command, f"KCONFIG_ALLCONFIG={place}/fragment", "allnoconfig", log=log)
        check_config(wanted, (tree / ".config").read_text())
        run(*command, f"-j{os.cpu_count()}", "vmlinux", log=log)
        run(f"{prefix}strip", "-o", place / "vmlinux", tree / "vmlinux", log=log)
        shutil.copy(tree / ".config", place / "config")
        shutil.rmtree(tree)
        shutil.rmtree(place / "package")

    return kept(f"kernel-{arch.name}", [SOURCE, wanted], make)


def check_config(wanted: str, text: str) -> None:
    """Kconfig drops what it cannot satisfy without a word."""
    got = set(text.splitlines())
    lost = [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line not in got]
    if lost:
        raise GuestError(f"the kernel's configuration lost {' '.join(lost)}")
