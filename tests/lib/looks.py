# SPDX-License-Identifier: MIT
"""What can be seen of a process from outside."""

import os
from pathlib import Path


def mounts(pid: object = "self") -> list[str]:
    """The mounts of a process, one line each."""
    return Path(f"/proc/{pid}/mountinfo").read_text().splitlines()


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status as a dictionary."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def fds(pid: object = "self") -> dict[str, str]:
    """The descriptors of a process and what they are."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[name] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # the listing's own
    return found


def system_libraries() -> str:
    """The directory of this machine's C library."""
    [path] = {
        line.split()[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc.so.6" in line
    }
    return os.path.dirname(path)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return status_of(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
