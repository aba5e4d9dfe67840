# SPDX-License-Identifier: MIT
"""What the jail's root will look like, path by path, and the steps that make it so.

A model only: it reads the host to see links and file types, and has no effects. A host path is staged as it
is seen: its symbolic links become links in the jail, its file is bound at its real place.
"""

import os
from stat import S_IFCHR, S_ISBLK, S_ISCHR, S_ISDIR, S_ISLNK

from jail import steps
from jail._native import lib
from jail.errors import ConfigError
from jail.kernelfs import DEVICE_LINKS, DEVICES, PROC_MASKS, SYS_MASKS, present

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LINKS_MAX = 40  # as the kernel's own limit on links in one path
MASK_NAME = ".mask"  # a file that exists only while the masks are put on


class _Bind:
    __slots__ = ("devices", "read_only", "source", "status")

    def __init__(self, source: str, status: os.stat_result, read_only: bool) -> None:
        self.source = source
        self.status = status
        self.read_only = read_only
        # nodev everywhere but where device nodes are the point
        self.devices = (
            S_ISCHR(status.st_mode) or S_ISBLK(status.st_mode) or (source + "/").startswith("/dev/")
        )

    def is_directory(self) -> bool:
        return S_ISDIR(self.status.st_mode)


class Rootfs:
    """The model: nodes that we make ourselves, and binds on top of some. Keys are paths without links."""

    __slots__ = ("asked", "binds", "covers", "layers", "links", "masks", "mounts", "nodes", "real", "seen")

    def __init__(self, layers: list[steps.Step] | None = None) -> None:
        """`layers` are the steps that put a root of layers together, on top of which is what we make."""
        self.layers = layers or []
        self.nodes: dict[str, steps.Step] = {}  # links too
        self.links: dict[str, str] = {}
        self.binds: dict[str, _Bind] = {}
        self.mounts: dict[str, str] = {}  # our own mounts and their types
        self.asked: dict[str, tuple[int, str]] = {}  # of those, what was asked for: flags and options
        self.masks: list[tuple[str, bool]] = []
        self.seen: dict[str, os.stat_result] = {}  # host paths, without their last link followed
        self.real: dict[str, str] = {}  # directories of the host, and what they are without links
        self.covers: dict[str, str] = {}  # while it is built: directories, and what _cover says of them

    # --- host paths ---

    def _lstat(self, path: str) -> os.stat_result:
        status = self.seen.get(path)
        if status is None:
            status = self.seen[path] = os.lstat(path)
        return status

    def _host_link(self, path: str) -> str | None:
        """What a link of the host says, which from now on is a link of the jail too; None for anything else."""
        if not S_ISLNK(self._lstat(path).st_mode):
            return None
        text = os.readlink(path)
        self._add_link(path, text)
        return text

    def stage(self, path: str, *, writable: bool = False) -> None:
        """Show a host path at the same place, with every link on the way to it.

        Raises OSError if it does not exist, ConfigError if it cannot be staged.
        """
        folder, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            folder, name = path, ""
        here = self.real.get(folder)
        if here is None:
            here = self.real[folder] = follow(folder, self._host_link)
        if name:
            here = f"{here}/{name}"
            if S_ISLNK(self._lstat(here).st_mode):
                here = follow(here, self._host_link)
        if not here:
            raise ConfigError(f"{path}: the host's root cannot be shared whole")
        self._add_bind(here, here, self._lstat(here), not writable)

    def stage_at(self, source: str, target: str, *, writable: bool = False) -> None:
        """Show a host path at another place of the jail. Links that are staged already are followed there."""
        real = os.path.realpath(source, strict=True)
        self._add_bind(self._resolve(target), real, self._lstat(real), not writable)

    def stage_link(self, path: str, target: str) -> None:
        """Make a link as the loader will need it, if nothing stands there yet."""
        self._add_link(path, target)

    def stage_directory(self, path: str) -> None:
        self._add_directory(self._resolve(path))

    # --- kernel file systems ---

    def add_dev(self) -> None:
        if not self._add_mount(
            "/dev", "tmpfs", lib.MS_NOSUID | lib.MS_NOEXEC, "mode=0755,size=64k,nr_inodes=256"
        ):
            return
        quiet = lib.MS_NOSUID | lib.MS_NOEXEC
        self._add_mount("/dev/shm", "tmpfs", quiet | lib.MS_NODEV, "mode=1777,size=16m")
        self._add_mount("/dev/pts", "devpts", quiet, "newinstance,ptmxmode=0666,mode=0620,gid=5")
        for name, mode, major, minor in DEVICES:
            path = f"/dev/{name}"
            self.nodes.setdefault(path, steps.node(path, S_IFCHR | mode, major, minor))
        for name, target in DEVICE_LINKS:
            self._add_link(f"/dev/{name}", target)

    def add_proc(self) -> None:
        if self._add_mount("/proc", "proc", lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC):
            self.masks.extend(present("/proc", PROC_MASKS))

    def add_sys(self) -> None:
        flags = lib.MS_RDONLY | lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC
        if self._add_mount("/sys", "sysfs", flags):
            self.masks.extend(present("/sys", SYS_MASKS))

    def add_tmpfs(self, path: str, options: str, *, executable: bool = False) -> None:
        """A file system in memory that was asked for."""
        path = self._resolve(path)
        flags = lib.MS_NOSUID | lib.MS_NODEV | (0 if executable else lib.MS_NOEXEC)
        if path in self.mounts or path in self.binds:
            raise ConfigError(f"tmpfs: {path} is taken: it was asked for in two ways")
        self._add_mount(path, "tmpfs", flags, options)
        self.asked[path] = (flags, options)

    def has_own_dev(self) -> bool:
        return "/dev" in self.mounts

    # --- the model ---

    def _covering(self, path: str) -> str:
        """The nearest directory above `path` in which entries are not ours to make, or ""."""
        folder = path.rpartition("/")[0]
        cover = self.covers.get(folder)
        if cover is None:
            cover = self.covers[folder] = self._cover(folder)
        return cover

    def _cover(self, path: str) -> str:
        while path:
            if path in self.mounts:
                # in a tmpfs of ours we make them, in /proc and its like the kernel has them
                return "" if self.mounts[path] == "tmpfs" else path
            bound = self.binds.get(path)
            if bound and bound.is_directory():
                return path
            path = path.rpartition("/")[0]
        return ""

    def _add_directory(self, path: str) -> None:
        missing = []
        while path and path not in self.nodes:
            missing.append(path)
            path = path.rpartition("/")[0]
        if path in self.links:
            raise ConfigError(f"{path}: a link is in the way of a directory")
        for each in missing:
            self.nodes[each] = steps.directory(each)

    def _add_link(self, path: str, text: str) -> None:
        if path in self.nodes:
            return
        self._add_directory(path.rpartition("/")[0])
        self.links[path] = text
        self.nodes[path] = steps.symlink(path, text)

    def _add_bind(self, target: str, source: str, status: os.stat_result, read_only: bool) -> None:
        if target in self.binds:
            return  # the first one counts, as in procd
        self._add_directory(target.rpartition("/")[0])
        self.binds[target] = _Bind(source, status, read_only)
        if target not in self.nodes:
            is_directory = S_ISDIR(status.st_mode)
            self.nodes[target] = steps.directory(target) if is_directory else steps.file(target)

    def _add_mount(self, path: str, fstype: str, flags: int, options: str = "") -> bool:
        if path in self.binds or path in self.mounts:
            return False  # asked for by name
        self._add_directory(path)
        self.mounts[path] = fstype
        self.nodes[f"{path}/"] = steps.mount(
            path, fstype, flags, options
        )  # sorts between path and its children
        return True

    def _resolve(self, path: str) -> str:
        """Follow the links of the model; the result has none. Links in bound directories are not followed."""
        return follow(path, self.links.get)

    # --- steps ---

    def _is_redundant(self, target: str) -> bool:
        """Whether a bind shows what a bound directory above it shows already, with the same rights."""
        cover = self._covering(target)
        above = self.binds.get(cover)
        bound = self.binds[target]
        return (
            above is not None
            and above.read_only == bound.read_only
            and above.devices == bound.devices
            and bound.source == above.source + target[len(cover) :]
        )

    def _check_place(self, target: str) -> None:
        """Entries of a bound directory are the host's: what is not there cannot be mounted on."""
        cover = self._covering(target)
        if cover in self.binds and not os.path.lexists(self.binds[cover].source + target[len(cover) :]):
            raise ConfigError(
                f"{target}: {cover} is {self.binds[cover].source} in the jail, which has no such entry"
            )

    def build(self) -> list[steps.Step]:
        """The steps in a safe order: our own nodes, masks, then what comes from the host.

        In a root of layers our directories are the uppermost one: all of them are made before it.
        """
        out: list[steps.Step] = []
        later: list[steps.Step] = []
        self.covers.clear()
        for path in sorted(self.nodes, key=_order):
            if not self._covering(path.rstrip("/")):
                is_later = self.layers and self._is_in_mount(path)
                (later if is_later else out).append(self.nodes[path])
        out += [*self.layers, *later]
        out.extend(self._build_masks())
        for target in sorted(self.binds):
            bound = self.binds[target]
            if not self._is_redundant(target):
                self._check_place(target)
                status = bound.status
                out.append(
                    steps.bind(
                        bound.source, target, bound.read_only, bound.devices, status.st_dev, status.st_ino
                    )
                )
        return out + self._build_late()

    def _build_late(self) -> list[steps.Step]:
        """What was asked for in a directory of the host, once that is there."""
        out = []
        for path in sorted(self.asked):
            flags, options = self.asked[path]
            cover = self._covering(path)
            if not cover:
                continue
            if cover not in self.binds:
                raise ConfigError(f"tmpfs: {path}: {cover} is the kernel's in a jail")
            if inner := [
                node
                for node in (*self.nodes, *self.binds)
                if node.startswith(f"{path}/") and node != f"{path}/"
            ]:
                raise ConfigError(
                    f"tmpfs: {path}: it is in {cover} of the host, so {inner[0]} cannot be in it"
                )
            self._check_place(path)
            out.append(steps.mount(path, "tmpfs", flags, options, True))
        return out

    def _is_in_mount(self, path: str) -> bool:
        """Whether an entry is one of our own mounts (with its slash at the end) or stands in one."""
        return any(path.startswith(f"{mounted}/") for mounted in self.mounts)

    def _build_masks(self) -> list[steps.Step]:
        out: list[steps.Step] = []
        if "/proc" in self.mounts:
            out.append(steps.rebind("/proc/sys", "/proc/sys"))
        files = [path for path, is_directory in self.masks if not is_directory]
        if files:
            if self.layers and not self.has_own_dev():
                raise ConfigError(
                    "/dev of the host and kernel file systems do not go together in a root of layers"
                )
            # in a root of layers nothing can be made any more
            mask = f"/dev/{MASK_NAME}" if self.layers else f"/{MASK_NAME}"
            out.append(steps.file(mask, 0))
            out.extend(steps.rebind(mask, path) for path in files)
            out.append(steps.unlink(mask))
        flags = lib.MS_RDONLY | lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC
        for path, is_directory in self.masks:
            if is_directory:
                out.append(steps.mount(path, "tmpfs", flags, "mode=0,size=4k,nr_inodes=2"))
        return out


def follow(path: str, link_at: "Callable[[str], str | None]") -> str:
    """The path without links: `link_at` tells for each component what the link there says, if it is one."""
    todo = _parts(path)
    here = ""
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            here = here.rpartition("/")[0]
            continue
        text = link_at(f"{here}/{part}")
        if text is None:
            here = f"{here}/{part}"
            continue
        links += 1
        if links > LINKS_MAX:
            raise ConfigError(f"{path}: too many levels of symbolic links")
        if text.startswith("/"):
            here = ""
        todo.extend(_parts(text))
    return here


def _parts(path: str) -> list[str]:
    """The components, last one first."""
    return [part for part in reversed(path.split("/")) if part and part != "."]


def _order(path: str) -> str:
    """Parents before children, a mount right after its directory: a slash comes before any other letter."""
    return path.replace("/", "\0")
