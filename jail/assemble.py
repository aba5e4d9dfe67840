# SPDX-License-Identifier: MIT
"""The model of a root → its steps, in an order in which each is safe, and what may be written of it.

Our own entries first, then masks of the kernel's file systems, then what comes from the host, then what was asked
for inside of that. Reads what is below binds, and asks the kernel which Landlock it has; no effects.
"""

import posix
from _stat import S_ISDIR, S_ISLNK

from jail import steps
from jail._native import lib
from jail.errors import ConfigError
from jail.rootfs import LIVE, Rootfs

MASK_NAME = ".mask"  # a file that exists only while the masks are put on
EMPTY = (lib.MS_RDONLY | lib.MS_NOSUID | lib.MS_NODEV | lib.MS_NOEXEC, "mode=0,size=4k,nr_inodes=2")
ABI_WITH_REFER = 2  # Linux 5.19: before, no file could be renamed into another directory
READ_ONLY_TYPES = ("sysfs",)


def assemble(rootfs: Rootfs) -> list[steps.Step]:
    """The steps. In a root of layers our directories are the uppermost one: all of them are made before it."""
    out: list[steps.Step] = []
    later: list[steps.Step] = []
    rootfs.covers.clear()
    covers = _covers(rootfs)
    for path in sorted(rootfs.nodes, key=_order):
        # most are below none: the nearest is looked for among those that are
        if not path.startswith(covers) or not rootfs.covering(path.rstrip("/")):
            is_later = rootfs.layers and _is_in_mount(rootfs, path)
            (later if is_later else out).append(rootfs.nodes[path])
    out += [*rootfs.layers, *later]
    hidden = _hidden(rootfs)
    mask = _mask_file(rootfs, hidden)
    if rootfs.has_proc_sys:
        out.append(steps.rebind("/proc/sys", "/proc/sys"))
    if mask:
        out.append(steps.file(mask, 0))
    out += _masks(mask, rootfs.masks, is_hosts=False)
    is_needed_later = not all(is_directory for _, is_directory in hidden)
    if mask and not is_needed_later:
        out.append(steps.unlink(mask))
    for target in sorted(rootfs.binds):
        bound = rootfs.binds[target]
        is_covered = target.startswith(covers)
        if not is_covered or not _is_redundant(rootfs, target):
            if is_covered:
                _check_place(rootfs, target)
            status = bound.status
            out.append(steps.bind(bound.source, target, bound.flags, status.st_dev, status.st_ino))
    out += _late_mounts(rootfs)
    out += _masks(mask, hidden, is_hosts=True)
    if mask and is_needed_later:
        out.append(steps.unlink(mask))
    return out


def _covers(rootfs: Rootfs) -> tuple[str, ...]:
    """Every directory, with a slash at its end, in which entries may not be ours to make."""
    mounted = [f"{path}/" for path, kind in rootfs.mounts.items() if kind != "tmpfs"]
    return (*mounted, *[f"{path}/" for path, bound in rootfs.binds.items() if bound.is_directory()])


def _masks(mask: str, paths: list[tuple[str, bool]], *, is_hosts: bool) -> list[steps.Step]:
    out = [steps.rebind(mask, path) for path, is_directory in paths if not is_directory]
    flags, options = EMPTY
    return out + [
        steps.mount(path, "tmpfs", flags, options, is_hosts) for path, is_directory in paths if is_directory
    ]


def _mask_file(rootfs: Rootfs, hidden: list[tuple[str, bool]]) -> str:
    """Where the empty file is made that covers others; "" if there is no file to cover."""
    if all(is_directory for _, is_directory in (*rootfs.masks, *hidden)):
        return ""
    if not rootfs.layers:
        return f"/{MASK_NAME}"
    # in a root of layers nothing can be made any more
    if not rootfs.has_own_dev():
        raise ConfigError("/dev of the host and masks do not go together in a root of layers")
    return f"/dev/{MASK_NAME}"


def _late_mounts(rootfs: Rootfs) -> list[steps.Step]:
    """What was asked for in a directory of the host, once that is there."""
    out = []
    for path in sorted(rootfs.asked):
        flags, options = rootfs.asked[path]
        cover = rootfs.covering(path)
        if not cover:
            continue
        if cover not in rootfs.binds:
            raise ConfigError(f"tmpfs: {path}: {cover} is the kernel's in a jail")
        for inner in (*rootfs.nodes, *rootfs.binds):
            if inner.startswith(f"{path}/") and inner != f"{path}/":
                raise ConfigError(f"tmpfs: {path}: it is in {cover} of the host, so {inner} cannot be in it")
        _check_place(rootfs, path)
        out.append(steps.mount(path, "tmpfs", flags, options, True))
    return out


def _hidden(rootfs: Rootfs) -> list[tuple[str, bool]]:
    """The masks that were asked for, and whether each is a directory. What nothing shows becomes `needless`."""
    out = []
    for path, is_directory in sorted(rootfs.hidden.items()):
        _check_live(rootfs, path)
        if is_directory is None:
            is_directory = _is_directory(rootfs, path)
        if is_directory is None:
            rootfs.needless.append(path)
        else:
            out.append((path, is_directory))
    return out


def _check_live(rootfs: Rootfs, path: str) -> None:
    """A file that is shown live brings its directory, at a place that the mask does not mean."""
    for place, bound in rootfs.binds.items():
        if place.startswith(f"{LIVE}/") and f"{path}/".startswith(f"{bound.source}/"):
            raise ConfigError(
                f"mask: {path}: {place} shows all of {bound.source}, for a file that is live; mask it there"
            )


def _is_directory(rootfs: Rootfs, path: str) -> bool | None:
    """None: there is nothing at that place, and nobody can make anything there."""
    if path in rootfs.binds:
        return rootfs.binds[path].is_directory()
    cover = rootfs.covering(path)
    if cover:
        bound = rootfs.binds.get(cover)
        host = bound.source + path[len(cover) :] if bound else path
        try:
            mode = posix.lstat(host).st_mode
        except OSError as error:
            raise ConfigError(f"mask: {host}: {error.strerror}, and it could come to be there") from error
        if S_ISLNK(mode):
            raise ConfigError(f"mask: {host}: a link; name what it leads to")
        return S_ISDIR(mode)
    if path in rootfs.nodes or path in rootfs.mounts:
        return path in rootfs.mounts or any(node.startswith(f"{path}/") for node in rootfs.nodes)
    if rootfs.layers:
        raise ConfigError(f"mask: {path}: not there, and it could come to be in a root of layers")
    return None


def _is_redundant(rootfs: Rootfs, target: str) -> bool:
    """Whether a bind shows what a bound directory above it shows already, with the same rights."""
    cover = rootfs.covering(target)
    above = rootfs.binds.get(cover)
    bound = rootfs.binds[target]
    return (
        above is not None
        and above.flags == bound.flags
        and bound.source == above.source + target[len(cover) :]
    )


def _check_place(rootfs: Rootfs, target: str) -> None:
    """Entries of a bound directory are the host's: what is not there cannot be mounted on."""
    from os.path import lexists

    cover = rootfs.covering(target)
    if cover in rootfs.binds and not lexists(rootfs.binds[cover].source + target[len(cover) :]):
        raise ConfigError(
            f"{target}: {cover} is {rootfs.binds[cover].source} in the jail, which has no such entry"
        )


def _is_in_mount(rootfs: Rootfs, path: str) -> bool:
    """Whether an entry is one of our own mounts (with its slash at the end) or stands in one."""
    return any(path.startswith(f"{mounted}/") for mounted in rootfs.mounts)


def _order(path: str) -> str:
    """Parents before children, a mount right after its directory: a slash comes before any other letter."""
    return path.replace("/", "\0")


def writable_places(rootfs: Rootfs) -> list[str] | None:
    """Where something may be written, for Landlock's rules; None where the kernel has none."""
    if lib.landlock_abi() < ABI_WITH_REFER:
        return None
    mounted = [path for path, kind in rootfs.mounts.items() if kind not in READ_ONLY_TYPES]
    bound = [path for path, each in rootfs.binds.items() if not each.flags & lib.BIND_READ_ONLY]
    places: list[str] = []
    for path in sorted({*mounted, *bound}):
        # what is below a mask is not there to be opened
        if not any(path.startswith(f"{above}/") for above in (*places, *rootfs.hidden)):
            places.append(path)
    return places
