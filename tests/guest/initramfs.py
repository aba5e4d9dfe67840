# SPDX-License-Identifier: MIT
"""The first root of a guest: BusyBox, the modules that its disks need, early.sh as /init, and how it goes on."""

import gzip
import stat
from pathlib import Path

EARLY = Path(__file__).with_name("early.sh")
THEN = Path(__file__).with_name("then.sh")


class Archive:
    """A cpio archive in the kernel's format ("newc")."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.count = 0

    def add(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.count += 1
        raw = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(raw), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self.parts += [header + raw, b"\0" * (-len(header + raw) % 4), content, b"\0" * (-len(content) % 4)]

    def close(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def write_initramfs(out: Path, busybox: Path, modules: list[Path], then: Path = THEN) -> None:
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "modules", "old", "new"):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes())
    archive.add("bin/sh", stat.S_IFLNK | 0o777, b"busybox")
    for number, path in enumerate(modules):
        # the shell sorts names: the number keeps the order
        archive.add(f"modules/{number:02}-{path.name}", stat.S_IFREG | 0o644, path.read_bytes())
    archive.add("init", stat.S_IFREG | 0o755, EARLY.read_bytes())
    archive.add("then", stat.S_IFREG | 0o644, then.read_bytes())
    out.write_bytes(gzip.compress(archive.close(), 1))
