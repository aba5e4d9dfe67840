# SPDX-License-Identifier: MIT
"""What a jail has of the kernel's own file systems, and what of them it must not see. Tables."""

import posix
from _stat import S_ISDIR

from jail._native import lib

# (name, mode, major, minor): the devices of a jail; numbers are the kernel's admin-guide/devices.txt
DEVICES = (
    ("null", 0o666, 1, 3),
    ("zero", 0o666, 1, 5),
    ("full", 0o666, 1, 7),
    ("random", 0o666, 1, 8),
    ("urandom", 0o666, 1, 9),
    ("tty", 0o666, 5, 0),
)
DEVICE_LINKS = (
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)

TERMINALS = 5  # the group of terminals

# Kernel interfaces that tell about the host, or change it, whatever the caller's uid. Those which the running
# kernel has are masked; /proc/sys as a whole is read-only besides.
PROC_MASKS = (
    *("acpi", "asound", "bus", "fs", "irq", "kallsyms", "kcore", "keys", "key-users", "kmem"),
    *("dynamic_debug", "lock_stat", "profile"),  # no capability is asked for there, a uid is enough
    *(
        "kpagecgroup",
        "kpagecount",
        "kpageflags",
        "latency_stats",
        "mem",
        "sched_debug",
        "scsi",
        "sysrq-trigger",
    ),
    *("timer_list", "timer_stats", "sys/fs/binfmt_misc", "sys/kernel/core_pattern", "sys/kernel/hotplug"),
    *("sys/kernel/modprobe", "sys/vm/panic_on_oom"),
)
SYS_MASKS = (
    *(
        "devices/virtual/powercap",
        "firmware",
        "fs/bpf",
        "fs/pstore",
        "fs/selinux",
        "hypervisor",
        "kernel/debug",
    ),
    *("kernel/security", "kernel/tracing", "kernel/uevent_helper", "kernel/vmcoreinfo", "power"),
)


def access_times(path: str) -> int:
    """The host's way of keeping access times there, as flags of mount; 0 is the kernel's default."""
    flags = posix.statvfs(path).f_flag
    kept = lib.MS_NODIRATIME if flags & posix.ST_NODIRATIME else 0
    if flags & posix.ST_NOATIME:
        return int(kept | lib.MS_NOATIME)
    return int(kept if flags & posix.ST_RELATIME else kept | lib.MS_STRICTATIME)


def present(folder: str, names: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Those of `names` that the kernel shows below `folder`, and whether each is a directory."""
    found = []
    for name in names:
        try:
            mode = posix.lstat(f"{folder}/{name}").st_mode
        except OSError:
            continue  # not in this kernel
        found.append((f"{folder}/{name}", S_ISDIR(mode)))
    return found
