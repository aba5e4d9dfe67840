# SPDX-License-Identifier: MIT
"""The mounts of a jail → Landlock rules for its files. Asks the kernel what it knows; no effects."""

from jail import steps
from jail._native import lib
from jail.rootfs import Rootfs

ABI_WITH_REFER = 2  # Linux 5.19: before, no file could be renamed into another directory
READ_ONLY_TYPES = ("sysfs",)


def file_rules(rootfs: Rootfs) -> list[steps.Step]:
    """Two steps, or none where the kernel has no such rules."""
    if lib.landlock_abi() < ABI_WITH_REFER:
        return []
    mounted = [path for path, kind in rootfs.mounts.items() if kind not in READ_ONLY_TYPES]
    bound = [path for path, each in rootfs.binds.items() if not each.flags & lib.BIND_READ_ONLY]
    places: list[str] = []
    for path in sorted({*mounted, *bound}):
        if not any(path.startswith(f"{above}/") for above in places):
            places.append(path)
    return [steps.file_rules(places), steps.file_rules_hold()]
