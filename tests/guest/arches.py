# SPDX-License-Identifier: MIT
"""The guests: everything about an architecture that is data."""

# Malta's 34Kf is what routers have, but this one looks up its page tables and its thread pointer itself, which software
# does on a 34Kf: the emulated kernel takes half as long. Its floating point knows the newer NaNs only, hence "relaxed".
MALTA = "-M malta -cpu P5600 -m 256"
# With the 16-byte exchange, as QEMU 7.2 emulates it, the memory allocator of Linux 6.12 ends in a double fault in one
# boot of three; without it the kernel has another way
PC = "-cpu qemu64,-cx16 -m 512"
# Malta gives interrupts to these PCI slots only; a device elsewhere hangs when its driver is loaded
MALTA_SLOTS = ("0x12", "0x13", "0x14", "0x0b")


class Arch:
    """One guest architecture, in the names of each of those who name it."""

    def __init__(
        self,
        name: str,
        debian: str,
        triple: str,
        kernel_package: str,
        qemu: str,
        machine: str,
        slots: tuple[str, ...] = (),
        kernel_words: str = "",
        is_kernel_backported: bool = False,
    ) -> None:
        self.name = name  # ours, and the policy compiler's
        self.debian = debian  # "" where Debian has no such architecture any more
        self.triple = triple  # of the glibc compiler
        self.kernel_package = kernel_package  # "" where the kernel is our own
        self.qemu = qemu
        self.machine = machine.split()
        self.slots = slots  # PCI slots for: root, results, virtio-serial, random numbers
        self.kernel_words = kernel_words
        # the newest that Debian has for the release: Landlock's port rules (Linux 6.7) and the calls since 6.1
        self.is_kernel_backported = is_kernel_backported

    @property
    def musl_triple(self) -> str:
        return self.triple.replace("-gnu", "-musl")


ARCHES = {
    arch.name: arch
    for arch in (
        Arch(
            "x86_64",
            "amd64",
            "x86_64-linux-gnu",
            "linux-image-cloud-amd64",
            "qemu-system-x86_64",
            PC,
            is_kernel_backported=True,
        ),
        Arch("i386", "i386", "i386-linux-gnu", "linux-image-686", "qemu-system-i386", "-m 512"),
        Arch(
            "mipsel",
            "mipsel",
            "mipsel-linux-gnu",
            "",
            "qemu-system-mipsel",
            MALTA,
            MALTA_SLOTS,
            "ieee754=relaxed",
        ),
        Arch("mips", "", "mips-linux-gnu", "", "qemu-system-mips", MALTA, MALTA_SLOTS, "ieee754=relaxed"),
    )
}
