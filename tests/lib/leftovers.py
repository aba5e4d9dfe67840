# SPDX-License-Identifier: MIT
"""What a test could leave behind: processes of a jail, children, files in /tmp."""

import os
from pathlib import Path


def survivors(folder: Path) -> dict[int, str]:
    """The processes of this run: their root is a jail with our directory in it, or their program is ours."""
    found = {}
    device = os.stat("/").st_dev
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            program = os.readlink(f"/proc/{name}/exe")  # first: most are kernel threads, which have none
            in_jail = os.stat(f"/proc/{name}/root").st_dev != device
            is_ours = in_jail and os.path.lexists(f"/proc/{name}/root{folder}")
        except OSError:
            continue  # gone, a kernel thread or a zombie
        if is_ours or program.startswith(f"{folder}/"):
            found[int(name)] = program
    return found


def own_children() -> list[str]:
    while True:
        try:
            tasks = Path("/proc/self/task").iterdir()
            return " ".join((task / "children").read_text() for task in tasks).split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread ended meanwhile, and what it had is another's: one that may have been read


def stray_entries() -> set[str]:
    """What a jailer could leave in /tmp, by its name: other programs use it at the same time."""
    return {name for name in os.listdir("/tmp") if "jail" in name or name.startswith(".")}
