# SPDX-License-Identifier: MIT
"""What the jail's root will look like, path by path; assemble.py turns it into steps.

A model only: it reads the host to see links and file types, and has no effects. A host path is staged as it
is seen: its symbolic links become links in the jail, its file is bound at its real place.
"""

import posix
from _stat import S_IFCHR, S_ISBLK, S_ISCHR, S_ISDIR, S_ISLNK

from jail import paths, steps
from jail._native import lib
from jail.errors import ConfigError
from jail.kernelfs import DEVICE_LINKS, DEVICES, PROC_MASKS, SYS_MASKS, TERMINALS, access_times, present
from jail.tree import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.idmap import IdMaps
    from jail.processargs import ProcOptions

BIND_NO_DEVICES = 1 << 31  # never below /dev either; for us alone, the launcher does not see it
LIVE = "/.live"  # holds the directories of files that are to be seen as they are replaced


class Bind:
    """A file or directory of the host; `flags` are BIND_* of jail._native."""

    __slots__ = ("flags", "source", "status")

    def __init__(self, source: str, status: posix.stat_result, flags: int) -> None:
        self.source = source
        self.status = status
        self.flags = flags & ~BIND_NO_DEVICES
        # nodev everywhere but where device nodes are the point
        is_device = S_ISCHR(status.st_mode) or S_ISBLK(status.st_mode) or (source + "/").startswith("/dev/")
        if is_device and not flags & BIND_NO_DEVICES:
            self.flags |= lib.BIND_DEVICES

    def is_directory(self) -> bool:
        return S_ISDIR(self.status.st_mode)


class Rootfs:
    """The model: nodes that we make ourselves, and binds on top of some. Keys are paths without links."""

    # fmt: off
    __slots__ = (
        "asked", "binds", "covers", "has_proc_sys", "hidden", "layers", "links", "masks", "mounts",
        "needless", "nodes", "real", "seen",
    )
    # fmt: on

    def __init__(self, layers: list[steps.Step] | None = None) -> None:
        """`layers` are the steps that put a root of layers together, on top of which is what we make."""
        self.layers = layers or []
        self.has_proc_sys = False  # /proc is the jail's own, and has more than processes
        self.nodes: dict[str, steps.Step] = {}  # links too
        self.links: dict[str, str] = {}
        self.binds: dict[str, Bind] = {}
        self.mounts: dict[str, str] = {}  # our own mounts and their types
        self.asked: dict[str, tuple[int, str]] = {}  # of those, what was asked for: flags and options
        self.masks: list[tuple[str, bool]] = []  # of the kernel's: path, is it a directory
        self.hidden: dict[str, bool | None] = {}  # masks that were asked for; None: the model has to tell
        self.needless: list[str] = []  # of `hidden`, what nothing shows; assemble.py tells
        self.seen: dict[str, posix.stat_result] = {}  # host paths, without their last link followed
        self.real: dict[str, str] = {}  # directories of the host, and what they are without links
        self.covers: dict[str, str] = {}  # while it is built: directories, and what _cover says of them

    # --- host paths ---

    def _lstat(self, path: str) -> posix.stat_result:
        status = self.seen.get(path)
        if status is None:
            status = self.seen[path] = posix.lstat(path)
        return status

    def status_of(self, path: str) -> posix.stat_result | None:
        """What was seen at a host path, if it is one without links."""
        status = self.seen.get(path)
        return None if status is None or S_ISLNK(status.st_mode) else status

    def _host_link(self, path: str) -> str | None:
        """What a link of the host says, which from now on is a link of the jail too; None for anything else."""
        if not S_ISLNK(self._lstat(path).st_mode):
            return None
        text = posix.readlink(path)
        self._add_link(path, text)
        return text

    def stage(self, path: str, flags: int = lib.BIND_READ_ONLY) -> str:
        """Show a host path at the same place, with every link on the way to it; returns that without links.

        `flags` are BIND_*. Raises OSError if it does not exist, ConfigError if it cannot be staged.
        """
        folder, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            folder, name = path, ""
        here = self.real.get(folder)
        if here is None:
            is_straight = lib.is_straight(steps.as_bytes(folder))
            here = self.real[folder] = folder if is_straight else follow(folder, self._host_link)
        if name:
            here = f"{here}/{name}"
            if S_ISLNK(self._lstat(here).st_mode):
                here = follow(here, self._host_link)
        if not here:
            raise ConfigError(f"{path}: the host's root cannot be shared whole")
        self._add_bind(here, here, self._lstat(here), flags)
        return here

    def stage_at(self, source: str, target: str, flags: int = lib.BIND_READ_ONLY) -> str:
        """Show a host path at another place of the jail. Links that are staged already are followed there.

        Returns the path without links.
        """
        real = paths.real(source, strict=True)
        self._add_bind(self._resolve(target), real, self._lstat(real), flags)
        return real

    def stage_live(self, source: str, target: str, flags: int = lib.BIND_READ_ONLY) -> str:
        """Show a file as it is replaced: its directory somewhere else, and a link. Returns the directory.

        A bind of the file itself would hold on to the one that was there at the start.
        """
        folder, _, name = paths.real(source, strict=True).rpartition("/")
        if not folder:
            raise ConfigError(f"{source}: it is in the host's root, which cannot be shared whole")
        target = self._resolve(target)
        self.covers.clear()  # something may have come since
        if cover := self.covering(target):
            raise ConfigError(f"{target}: {cover} is shown whole, so no link can be there")
        if target in self.nodes:
            raise ConfigError(f"{target}: asked for in two ways")
        shown = Bind(folder, self._lstat(folder), flags)
        live = {path: each for path, each in self.binds.items() if path.startswith(f"{LIVE}/")}
        # one for all files with the same rights, for which it is the directory's that count
        alike = (path for path, each in live.items() if (each.source, each.flags) == (folder, shown.flags))
        place = next(alike, "")
        if not place:
            place = f"{LIVE}/{len(live)}"
            self._add_bind(place, folder, shown.status, flags)
        self._add_link(target, f"{place}/{name}")
        return folder

    def stage_link(self, path: str, target: str) -> None:
        """Make a link as the loader will need it, if nothing stands there yet."""
        self._add_link(path, target)

    def stage_text(self, path: str, content: str) -> None:
        """A file of the jail's own, unless the host's was asked for by name."""
        path = self._resolve(path)
        self._add_directory(path.rpartition("/")[0])
        self.nodes.setdefault(path, steps.file(path, 0o444, content))

    def stage_directory(self, path: str) -> None:
        self._add_directory(self._resolve(path))

    # --- kernel file systems ---

    def add_dev(self, maps: "IdMaps | None" = None) -> None:
        if maps or "/dev" in self.nodes:
            self._make_dev(maps)
            return
        # nothing was asked for in it: as in all such jails
        if not _own_dev:
            _own_dev.append(Rootfs())
            _own_dev[0]._make_dev(None)
        self.nodes.update(_own_dev[0].nodes)
        self.links.update(_own_dev[0].links)
        self.mounts.update(_own_dev[0].mounts)

    def _make_dev(self, maps: "IdMaps | None") -> None:
        if not self._add_mount(
            "/dev", "tmpfs", lib.MS_NOSUID | lib.MS_NOEXEC, "mode=0755,size=64k,nr_inodes=256"
        ):
            return
        quiet = lib.MS_NOSUID | lib.MS_NOEXEC
        group = maps.terminals() if maps else TERMINALS
        self._add_mount("/dev/shm", "tmpfs", quiet | lib.MS_NODEV, "mode=1777,size=16m")
        self._add_mount("/dev/pts", "devpts", quiet, f"newinstance,ptmxmode=0666,mode=0620,gid={group}")
        for name, mode, major, minor in DEVICES:
            path = f"/dev/{name}"
            if maps and path not in self.nodes:  # no device can be made in a user namespace
                self._add_bind(path, path, self._lstat(path), 0)
            self.nodes.setdefault(path, steps.node(path, S_IFCHR | mode, major, minor))
        for name, target in DEVICE_LINKS:
            self._add_link(f"/dev/{name}", target)

    def add_console(self) -> None:
        """A place for a terminal of the jail's own. Raises ConfigError where /dev is not as add_dev() makes it."""
        if self.mounts.get("/dev/pts") != "devpts" or "/dev/console" in self.nodes:
            raise ConfigError("console: /dev, /dev/pts or /dev/console was asked for in another way")
        self.nodes["/dev/console"] = steps.file("/dev/console", 0)

    def add_proc(self, options: "ProcOptions | None" = None) -> None:
        # a user namespace gets no mount that tells more of access times than the host's
        flags = lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC | access_times("/proc")
        is_ours = self._add_mount("/proc", "proc", flags, options.text if options else "")
        self.has_proc_sys = is_ours and not (options and options.only_pids)
        if self.has_proc_sys:
            self.masks.extend(present("/proc", PROC_MASKS))

    def add_sys(self, *, is_shown: bool = False) -> None:
        """A new one, or the host's where `is_shown`."""
        if is_shown:
            if "/sys" not in self.binds:
                flags = lib.BIND_READ_ONLY | lib.BIND_NO_EXEC | BIND_NO_DEVICES
                self._add_bind("/sys", "/sys", posix.stat("/sys"), flags)
                # a new sysfs has no mounts in it, the host's has all control groups
                self.hidden.update(present("/sys", (*SYS_MASKS, "fs/cgroup")))
            return
        flags = lib.MS_RDONLY | lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC | access_times("/sys")
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

    def hide(self, path: str, is_directory: bool | None = None) -> None:
        """Mask what other options show. `is_directory` where it is not in the model: in a layer below."""
        self.hidden[self._resolve(path)] = is_directory

    def has_own_dev(self) -> bool:
        return "/dev" in self.mounts

    # --- the model ---

    def sources(self) -> dict[str, str]:
        """Where the host's files are seen, and which; "" for a mount or a mask, which cover them."""
        binds = {path: bind.source for path, bind in self.binds.items()}
        return binds | dict.fromkeys((*self.mounts, *self.hidden), "")

    def covering(self, path: str) -> str:
        """The nearest directory above `path` in which entries are not ours to make, or ""."""
        folder = path.rpartition("/")[0]
        unknown = []
        while (cover := self.covers.get(folder)) is None and (cover := self._cover(folder)) is None:
            unknown.append(folder)
            folder = folder.rpartition("/")[0]
        self.covers.update(dict.fromkeys([*unknown, folder], cover))
        return cover

    def _cover(self, path: str) -> str | None:
        """The directory itself where entries in it are not ours to make, "" where they are; None: as above it."""
        if path in self.mounts:
            # in a tmpfs of ours we make them, in /proc and its like the kernel has them
            return "" if self.mounts[path] == "tmpfs" else path
        bound = self.binds.get(path)
        if bound and bound.is_directory():
            return path
        return None if path else ""

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

    def _add_bind(self, target: str, source: str, status: posix.stat_result, flags: int) -> None:
        if target in self.binds:
            return  # the first one counts, as in procd
        self._add_directory(target.rpartition("/")[0])
        self.binds[target] = Bind(source, status, flags)
        if target not in self.nodes:
            is_directory = S_ISDIR(status.st_mode)
            self.nodes[target] = steps.directory(target) if is_directory else steps.file(target)

    def _add_mount(self, path: str, fstype: str, flags: int, options: str = "") -> bool:
        if path in self.binds or path in self.mounts:
            return False  # asked for by name
        self._add_directory(path)
        self.mounts[path] = fstype
        # sorts between path and its children
        self.nodes[f"{path}/"] = steps.mount(path, fstype, flags, options)
        return True

    def _resolve(self, path: str) -> str:
        """Follow the links of the model; the result has none. Links in bound directories are not followed."""
        return follow(path, self.links.get)


_own_dev: list[Rootfs] = []  # the model of a /dev alone, once it was needed
