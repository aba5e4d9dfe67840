# SPDX-License-Identifier: MIT
"""The file systems that process 1 finds missing, and their end at shutdown.

What is to be done is made by pure functions from the text of mountinfo; nothing here decides when.
"""

import os
import stat

from jail._native import lib
from jail.kernelfs import DEVICE_LINKS, DEVICES
from jail.procfs import open_mounts, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Warn = Callable[[str], None]

QUIET = lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC
# (name, mode, major, minor): what a /dev needs where the kernel makes none
NODES = (("console", 0o600, 5, 1), ("kmsg", 0o600, 1, 11), *DEVICES, ("ptmx", 0o666, 5, 2))
LINKS = tuple(link for link in DEVICE_LINKS if link[0] != "ptmx")  # of a jail, where it leads to pts
FOLDERS = ("/var/run", "/var/lock", "/var/log", "/var/tmp")
KEPT = frozenset(("/", "/proc", "/sys", "/dev"))


class Mount:
    """One file system of the kernel's own."""

    __slots__ = ("flags", "fstype", "options", "path")

    def __init__(self, path: str, fstype: str, flags: int, options: str = "") -> None:
        self.path = path
        self.fstype = fstype
        self.flags = flags
        self.options = options


# a mount point comes after what it lies in
WANTED = (
    Mount("/proc", "proc", QUIET),
    Mount("/sys", "sysfs", QUIET),
    Mount("/sys/fs/cgroup", "cgroup2", QUIET, "nsdelegate"),
    Mount("/dev", "devtmpfs", lib.MS_NOSUID, "mode=0755"),
    Mount("/dev/pts", "devpts", lib.MS_NOSUID | lib.MS_NOEXEC, "mode=0620,ptmxmode=0666"),
    Mount("/dev/shm", "tmpfs", lib.MS_NOSUID | lib.MS_NODEV, "mode=1777"),
    Mount("/run", "tmpfs", lib.MS_NOSUID | lib.MS_NODEV, "mode=0755"),
    Mount("/tmp", "tmpfs", lib.MS_NOSUID | lib.MS_NODEV, "mode=1777"),
)


def mount_points(mountinfo: str) -> list[str]:
    """Where something is mounted, in the order of the mounts."""
    return [unescape(line.split(" ")[4]) for line in mountinfo.split("\n") if line.count(" ") > 4]


def missing(mountinfo: str) -> list[Mount]:
    """What of WANTED is not there yet, in order."""
    there = set(mount_points(mountinfo))
    return [mount for mount in WANTED if mount.path not in there]


def leaving(mountinfo: str) -> tuple[list[str], list[str]]:
    """What is unmounted at the end, the last mounted first; and what is made read-only after that."""
    points = mount_points(mountinfo)[::-1]
    inner = tuple(f"{path}/" for path in KEPT - {"/"})
    gone = [path for path in points if path not in KEPT and not path.startswith(inner)]
    return gone, [*dict.fromkeys(gone), "/"]


def read_mountinfo() -> str:
    """The kernel's list; empty while there is no /proc."""
    try:
        with open_mounts() as file:
            return file.read()
    except OSError:
        return ""


def mount_missing(warn: "Warn") -> None:
    """Mount what is missing, as far as it goes: a machine without its /tmp can still be repaired."""
    if not read_mountinfo():
        _mount(WANTED[0], warn)
    for mount in missing(read_mountinfo()):
        if _mount(mount, warn) or mount.fstype != "devtmpfs":
            continue
        # a kernel without it
        if _mount(Mount(mount.path, "tmpfs", lib.MS_NOSUID, mount.options), warn):
            _make_nodes(mount.path, warn)
    _make_links("/dev")
    for path in FOLDERS:
        _make_folder(path, warn)


def _mount(mount: Mount, warn: "Warn") -> bool:
    try:
        os.makedirs(mount.path, exist_ok=True)
    except OSError as error:
        warn(f"mount {mount.path}: no such directory, and none can be made: {error.strerror}")
        return False
    name = mount.fstype.encode()
    status = lib.mount_host(name, mount.path.encode(), name, mount.flags, mount.options.encode())
    if status:
        warn(f"mount {mount.path}: {mount.fstype}: {os.strerror(-status)}")
    return not status


def _make_nodes(folder: str, warn: "Warn") -> None:
    for name, mode, major, minor in NODES:
        path = f"{folder}/{name}"
        try:
            os.mknod(path, stat.S_IFCHR | mode, os.makedev(major, minor))
            os.chmod(path, mode)  # past the umask
        except OSError as error:
            warn(f"{path}: {error.strerror}")


def _make_links(folder: str) -> None:
    for name, target in LINKS:
        if not os.path.lexists(f"{folder}/{name}"):
            try:
                os.symlink(target, f"{folder}/{name}")
            except OSError:
                return  # a read-only /dev; only shells want these names


def _make_folder(path: str, warn: "Warn") -> None:
    """Where scripts put locks and pids; through links, which lead into a file system that starts empty."""
    try:
        os.makedirs(os.path.realpath(path), exist_ok=True)
    except OSError as error:
        warn(f"{path}: {error.strerror}")


def leave(warn: "Warn") -> None:
    """Unmount what can be, and make the rest read-only: nothing on a disk is left half written."""
    os.sync()
    gone, kept = leaving(read_mountinfo())
    left = [path for path in gone if lib.unmount_host(_raw(path), 0)]
    for path in [path for path in kept if path in left or path == "/"]:
        error = lib.mount_host(b"none", _raw(path), b"none", lib.MS_REMOUNT | lib.MS_RDONLY, b"")
        if error:
            warn(f"{path}: cannot be made read-only: {os.strerror(-error)}")
    os.sync()


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
