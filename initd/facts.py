# SPDX-License-Identifier: MIT
"""What this machine is and how it does, in the words of `ubus call system board` and `info`.

Reads files of the kernel and of the firmware; a file that is missing leaves its field out. `root` is a
prefix for the firmware's files.
"""

import os
import time
from stat import S_ISDIR, S_ISREG

from initd.ubus.blob import Int64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table, Value

FILE_MAX = 1 << 16
# the lines of /proc/cpuinfo that name the processor; which one there is depends on the architecture
CPU_KEYS = ("system type", "machine", "Processor", "model name", "cpu model", "cpu", "uarch")
# field of `release` ← key of openwrt_release, key of os-release
RELEASE = (
    ("distribution", "DISTRIB_ID", "NAME"),
    ("version", "DISTRIB_RELEASE", "VERSION_ID"),
    ("codename", "DISTRIB_CODENAME", "VERSION_CODENAME"),
    ("revision", "DISTRIB_REVISION", "BUILD_ID"),
    ("target", "DISTRIB_TARGET", "OPENWRT_BOARD"),
    ("description", "DISTRIB_DESCRIPTION", "PRETTY_NAME"),
)
MEMORY = (
    ("total", "MemTotal"),
    ("free", "MemFree"),
    ("shared", "Shmem"),
    ("buffered", "Buffers"),
    ("available", "MemAvailable"),
    ("cached", "Cached"),
)
SWAP = (("total", "SwapTotal"), ("free", "SwapFree"))


def read_text(path: str) -> str:
    """A small file, without blanks and NULs at its end; "" if it cannot be read. Never waits at a FIFO."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if not S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return ""
        with open(fd, "rb") as file:
            return file.read(FILE_MAX).decode("utf-8", "replace").strip(" \t\r\n\0")
    except OSError:
        return ""


def sysinfo(root: str, name: str) -> str:
    """What the boot has found out about the board; not what anybody else has put there, for /tmp is everybody's."""
    folder = f"{root}/tmp/sysinfo"
    try:
        about = os.lstat(folder)
    except OSError:
        return ""
    is_ours = S_ISDIR(about.st_mode) and about.st_uid in (0, os.geteuid()) and not about.st_mode & 0o022
    return read_text(f"{folder}/{name}") if is_ours else ""


def processor(cpuinfo: str, machine: str) -> str:
    """The processor's name out of /proc/cpuinfo, else the architecture."""
    found: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon and value.strip():
            found.setdefault(key.strip(), value.strip())
    return next((found[key] for key in CPU_KEYS if key in found), machine)


def assignments(text: str) -> dict[str, str]:
    """The lines NAME=value of a shell file, unquoted."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
            found[name] = value[1:-1] if quoted else value
    return found


def release(openwrt: str, os_release: str) -> "Table":
    """Distribution, version and so on, from /etc/openwrt_release, else from os-release."""
    first, second = assignments(openwrt), assignments(os_release)
    keys = {
        field: first.get(ours, "") if first else second.get(theirs, "") for field, ours, theirs in RELEASE
    }
    return {field: value for field, value in keys.items() if value}


def rootfs_type(mountinfo: str) -> str:
    """What the firmware is on: the type of /rom below an overlay, else of /."""
    types = {}
    for line in mountinfo.split("\n"):
        left, dash, right = line.partition(" - ")
        if dash and left.count(" ") >= 4:
            types[left.split(" ")[4]] = right.split(" ")[0]
    root = types.get("/", "")
    return types.get("/rom", root) if root == "overlay" else root


def amounts(meminfo: str, fields: tuple[tuple[str, str], ...]) -> "Table":
    """Fields of /proc/meminfo in bytes; 0 for what this kernel does not say."""
    found = {}
    for line in meminfo.splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[key] = int(words[0]) << 10
    return {field: Int64(found.get(key, 0)) for field, key in fields}


def space(path: str) -> "Table":
    """Size and use of a file system, in KiB."""
    try:
        about = os.statvfs(path)
    except OSError:
        return {}
    unit = about.f_frsize or about.f_bsize
    total, free, avail = (count * unit >> 10 for count in (about.f_blocks, about.f_bfree, about.f_bavail))
    sizes = {"total": total, "free": free, "used": total - free, "avail": avail}
    return {field: Int64(size) for field, size in sizes.items()}


def load(loadavg: str) -> "list[Value]":
    """The three averages, as fixed-point numbers with 16 bits of fraction."""
    try:
        return [int(float(word) * 65536) for word in loadavg.split()[:3]]
    except ValueError:
        return []


def local_seconds(now_s: float) -> int:
    """The time of day here, written as if it were UTC, which is what `localtime` holds."""
    return int(now_s) + time.localtime(now_s).tm_gmtoff


def board(root: str = "") -> "Table":
    """The answer of `system board`."""
    about = os.uname()
    tree = read_text("/proc/device-tree/compatible").partition("\0")[0]
    model = sysinfo(root, "model") or read_text("/proc/device-tree/model")
    fields: Table = {
        "kernel": about.release,
        "hostname": about.nodename,
        "system": processor(read_text("/proc/cpuinfo"), about.machine),
        "model": model or read_text("/sys/class/dmi/id/product_name"),
        "board_name": sysinfo(root, "board_name") or tree,
        "rootfs_type": rootfs_type(read_text("/proc/self/mountinfo")),
    }
    files = f"{root}/etc/openwrt_release", f"{root}/etc/os-release"
    found: Table = {key: value for key, value in fields.items() if value}
    found["release"] = release(*(read_text(path) for path in files))
    return found


def info(root: str = "") -> "Table":
    """The answer of `system info`."""
    memory = read_text("/proc/meminfo")
    return {
        "localtime": local_seconds(time.time()),
        "uptime": int(time.clock_gettime(time.CLOCK_BOOTTIME)),
        "load": load(read_text("/proc/loadavg")),
        "memory": amounts(memory, MEMORY),
        "root": space(f"{root}/"),
        "tmp": space(f"{root}/tmp"),
        "swap": amounts(memory, SWAP),
    }
