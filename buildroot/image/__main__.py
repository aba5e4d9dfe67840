# SPDX-License-Identifier: MIT
"""Make an image that boots into jailed services, boot it in QEMU, use it, and tell what it costs.

    python -m buildroot.image [--arch NAME] [--no-boot]

The image is the kernel and the root as squashfs; both, and the initramfs that lays a tmpfs over the root, stay in
buildroot/output/ARCH. It boots as it is; for comparison with the same services outside of jails; and with initd as
a service of BusyBox's init.
"""

import argparse
import json
import secrets
import shutil
import sys
import time
from pathlib import Path

from buildroot.image import boot
from buildroot.image.tree import Tree, make_tree
from tests.guest.arches import ARCHES, Arch
from tests.guest.initramfs import write_initramfs
from tests.guest.kernel import MODULES, Kernel, in_order, kernel
from tests.guest.root import REPOSITORY, static_busybox
from tests.guest.shell import GuestError, run

HERE = Path(__file__).resolve().parent
GUEST = REPOSITORY / "tests/guest"
# beside what the guests load, and of that what only their suites use
MORE_MODULES = ("squashfs",)
UNUSED = ("ext4", "jbd2", "mbcache", "crc16", "loop", "veth", "dummy", "bridge", "ip_set")
SQUASHFS = ("-noappend", "-all-root", "-no-progress", "-quiet", "-comp", "xz", "-b", "256K")
START = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def image_kernel(arch: Arch) -> Kernel:
    """The harness's, with the modules of this image: less than the suites need, and squashfs."""
    found = kernel(arch)
    if not arch.kernel_package:
        return found
    names = (*(name for name in MODULES if name not in UNUSED), *MORE_MODULES)
    return Kernel(found.image, in_order(found.image.parents[1] / "lib/modules", names))


def pack(tree: Tree, out: Path, log: Path) -> int:
    """The root as squashfs; returns its bytes."""
    out.unlink(missing_ok=True)
    run("mksquashfs", tree.place, out, *SQUASHFS, log=log)
    return out.stat().st_size


def make(arch: Arch, work: Path) -> tuple[Kernel, dict[str, float]]:
    """Kernel, initramfs and squashfs in `work`; returns the kernel and the sizes of everything."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    say("root …")
    tree = make_tree(arch, work)
    say("squashfs …")
    sizes: dict[str, float] = {f"part {part}": size for part, size in tree.sizes().items()}
    # what is on flash: without the check, which only this boot has
    sizes["squashfs"] = pack(tree, work / "firmware.squashfs", work / "log")
    sizes["root"] = sum(tree.sizes().values())
    for part in ("python", "stockade"):
        sizes[f"squashfs without {part}"] = without(tree, part, work)
    tree.add_tree("check", HERE / "check")
    tree.add("check", GUEST / "words.sh", "check/words.sh")
    tree.link("check", "etc/rc.d/S99checking", "../init.d/checking")
    tree.add("check", HERE.parent / "package/stockade/S15stockade", "check/service/etc/init.d/S15stockade")
    pack(tree, work / "root.squashfs", work / "log")
    found = image_kernel(arch)
    write_initramfs(work / "initramfs", static_busybox(arch), found.modules, HERE / "then.sh")
    shutil.copy(found.image, work / "kernel")
    for name in ("image", "source", "product", "python-headers", "installed"):
        shutil.rmtree(work / name, ignore_errors=True)
    return found, sizes


def without(tree: Tree, part: str, work: Path) -> int:
    """The size of the squashfs with a part left out: packages share blocks, so that it is not a sum."""
    place = work / "without"
    run("cp", "-a", tree.place, place, log=work / "log")
    for name, its in tree.parts.items():
        if its.startswith(part):
            (place / name).unlink()
    size = pack(Tree(place, work / "log"), work / "without.squashfs", work / "log")
    shutil.rmtree(place)
    (work / "without.squashfs").unlink()
    return size


def try_it(arch: Arch, found: Kernel, work: Path) -> dict[str, float]:
    """Boot it in each way; returns the numbers that it told."""
    numbers: dict[str, float] = {}
    for mode in boot.LAST:
        say(f"boot: {mode} …")
        booted = boot.boot(arch, found, work, secrets.token_hex(8), mode)
        say(f"boot: {mode}: {len(booted.good)} checks good")
        numbers |= {f"{mode} {name}": value for name, value in booted.numbers.items()}
    return numbers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m buildroot.image", description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="x86_64", choices=list(ARCHES))
    parser.add_argument("--no-boot", action="store_true", help="make it only")
    given = parser.parse_args()
    work = REPOSITORY / "buildroot/output" / given.arch
    try:
        found, numbers = make(ARCHES[given.arch], work)
        if not given.no_boot:
            numbers |= try_it(ARCHES[given.arch], found, work)
    except GuestError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    (work / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")
    for name, value in numbers.items():
        print(f"{name:32} {value:12.10g}")
    print(f"image: {given.arch}: {work}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
