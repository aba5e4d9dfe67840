# SPDX-License-Identifier: MIT
"""What a jail shows, in little memory: kept of the one that made it, for the services that enter it later.

Each word of such a service has to hold in the jail as it is: the same file at the same place with the same rights,
and nothing below it with more. Anything else is refused. Reads what the host has at those places; no effects.
"""

import os

from jail._native import lib
from jail.errors import ConfigError
from jail.rootfs import LIVE, Bind, Rootfs
from jail.shares import miss_mask, present_shares
from jail.spec import JailSpec, Share
from jail.staging import bind_flags, is_seen_live
from jail.tree import Tree, follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.plan import Plan

# what is said of a jail as a whole, and how scripts call it: what has to be alike, and what the jail may have besides
ALIKE = {"extroot": "extroot", "overlay_dir": "overlaydir", "overlay_size": "tmpoverlaysize"}
HAVING = {
    "hostname": "hostname",
    "netns": "netns",
    "userns": "userns",
    "cgroupns": "cgroupsns",
    "sysfs": "sysfs",
    "proc": "proc",
}
RIGHTS = (
    (lib.BIND_READ_ONLY, "read-only", "writable"),
    (lib.BIND_NO_EXEC, "noexec", "exec"),
    (lib.BIND_DEVICES, "dev", "nodev"),
    (lib.BIND_SLAVE, "slave", "private"),
)
PROTECTING = lib.BIND_READ_ONLY | lib.BIND_NO_EXEC  # the other flags take a protection away
SAME = "every service that shares a jail has to ask for the same"


class Shown:
    """`binds`: target → source, its device and inode, BIND_ flags. `tmpfs`: those asked for."""

    # fmt: off
    __slots__ = ("binds", "has_proc", "is_read_only", "joins", "links", "masks", "mounts", "tmpfs", "words")
    # fmt: on

    def __init__(self, spec: JailSpec, rootfs: Rootfs) -> None:
        self.binds = {
            target: (bound.source, (bound.status.st_dev, bound.status.st_ino), bound.flags)
            for target, bound in rootfs.binds.items()
        }
        self.links = dict(rootfs.links)
        self.mounts = frozenset(rootfs.mounts)
        self.tmpfs = dict(rootfs.asked)
        self.masks = frozenset([*rootfs.hidden, *(path for path, _ in rootfs.masks)])
        self.words = {name: getattr(spec, name) for name in (*ALIKE, *HAVING)}
        self.has_proc = spec.has_proc()
        self.is_read_only = spec.is_root_read_only()
        self.joins = list(spec.joins)

    def sources(self) -> dict[str, str]:
        """As of the model that it was made of."""
        binds = {path: source for path, (source, _, _) in self.binds.items()}
        return binds | dict.fromkeys((*self.mounts, *self.masks), "")

    def check(self, spec: JailSpec, plan: "Plan", root: str) -> None:
        """Raise ConfigError for the first thing that `spec` asks for and the jail at `root` has in another way.

        Shares that the host has not, and masks of what is not there, are put into `plan.missing`.
        """
        name = f"the jail {spec.name}"
        self._check_words(spec, name)
        masks = self._check_masks(spec, plan, name, root)
        places = {}
        shares = {share.target: share for share in reversed(present_shares(spec, plan))}
        for share in shares.values():
            place = self._place(Tree(spec.extroot).real(share.target) if spec.extroot else share.target)
            # what it masks itself, it has asked to be without
            if not any(_is_in(place, mask) for mask in masks):
                self._check_share(share, place, name)
                places[place] = share
        places_of_memory = self._check_tmpfs(spec, name)
        for place, share in places.items():
            self._check_below(place, share, {*places, *places_of_memory}, name)

    def _check_words(self, spec: JailSpec, name: str) -> None:
        for word, key in (ALIKE | HAVING).items():
            asked, there = getattr(spec, word), self.words[word]
            if asked != there and (asked or word in ALIKE):
                raise ConfigError(f"{key}: {name} has {there or 'none'}: {SAME}")
        if spec.is_root_read_only() != self.is_read_only:
            raise ConfigError(
                f"ronly: the root of {name} is{'' if self.is_read_only else ' not'} read-only: {SAME}"
            )
        if spec.has_proc() and not self.has_proc:
            raise ConfigError(f"procfs: {name} has none: {SAME}")
        for join in spec.joins:
            if join not in self.joins:
                raise ConfigError(f"setns: {name} has not joined {', '.join(join[1])} of {join[0]}: {SAME}")

    def _place(self, path: str) -> str:
        """Where a path leads in the jail, by our links and by those of the host's directories in it."""

        def link_at(place: str) -> str | None:
            text = self.links.get(place)
            if text is not None or place in self.binds:
                return text
            host = self._host(place)
            return os.readlink(host) if host and os.path.islink(host) else None

        return follow(path, link_at)

    def _host(self, place: str) -> str:
        """The host's path of what a bound directory above a place shows there, "" if there is none."""
        above = self._above(place)
        return self.binds[above][0] + place[len(above) :] if above in self.binds else ""

    def _above(self, place: str) -> str:
        """The nearest mount or mask above a place."""
        while place:
            place = place.rpartition("/")[0]
            if place in self.binds or place in self.mounts or place in self.masks:
                break
        return place

    def _check_share(self, share: Share, place: str, name: str) -> None:
        source = os.path.realpath(share.source)
        at = place if place in self.binds else self._above(place)
        if place in self.masks or at in self.masks:
            raise ConfigError(f"{share.target}: {name} masks it: {SAME}")
        if at not in self.binds or place in self.mounts:
            raise ConfigError(f"{share.target}: not in {name}: {SAME}")
        shown, seen, flags = self.binds[at]
        if shown + place[len(at) :] != source:
            raise ConfigError(f"{share.target}: {name} shows {shown}{place[len(at) :]} there: {SAME}")
        if is_seen_live(share) and at == place:
            raise ConfigError(f"{share.target}: {name} does not show it live: {SAME}")
        # who has named a preset takes a file as it was, as the first one does
        if not share.is_quiet and not _is_same(shown, seen):
            raise ConfigError(
                f"{share.target}: {shown} was replaced since {name} was made: start the service again that made it,"
                " or let it be seen live"
            )
        asked = Bind(source, os.stat(source), bind_flags(share)).flags
        if words := _differences(asked, flags):
            raise ConfigError(f"{share.target}: {name} shows it {words}: {SAME}")

    def _check_below(self, place: str, share: Share, places: set[str], name: str) -> None:
        """What is mounted below a share and was not asked for must not give more than it."""
        asked = Bind(share.source, os.stat(share.source), bind_flags(share)).flags
        inner = {path: each[2] for path, each in self.binds.items()} | {
            path: 0 if flags & lib.MS_NOEXEC == 0 else lib.BIND_NO_EXEC
            for path, (flags, _) in self.tmpfs.items()
        }
        for path, flags in inner.items():
            # what is nearer to it and was asked for too is looked at by itself
            nearer = (each for each in places if each.startswith(f"{place}/"))
            if not path.startswith(f"{place}/") or any(_is_in(path, each) for each in nearer):
                continue
            if words := _differences(asked, flags, only_more=True):
                raise ConfigError(
                    f"{share.target}: {name} shows {path} {words}: ask for that too, or do not share it"
                )

    def _check_tmpfs(self, spec: JailSpec, name: str) -> list[str]:
        places = []
        if spec.tmpfs:
            from jail.fileargs import read_tmpfs

            for asked in map(read_tmpfs, spec.tmpfs):
                place = self._place(asked.path)
                flags = lib.MS_NOSUID | lib.MS_NODEV | (0 if asked.executable else lib.MS_NOEXEC)
                if self.tmpfs.get(place) != (flags, asked.options):
                    there = self.tmpfs.get(place, (0, "none"))[1]
                    raise ConfigError(f"tmpfs: {asked.path}: {name} has {there} there: {SAME}")
                places.append(place)
        return places

    def _check_masks(self, spec: JailSpec, plan: "Plan", name: str, root: str) -> list[str]:
        if not spec.masks:
            return []
        from jail.fileargs import read_mask

        places = []
        for path in map(read_mask, spec.masks):
            place = follow(path, self.links.get)
            places.append(place)
            above = self._above(place)
            if place in self.masks or above in self.masks:
                continue
            is_live = any(
                at.startswith(f"{LIVE}/") and _is_in(place, bound[0]) for at, bound in self.binds.items()
            )
            # what is not there could come to be there in a directory of the host, or in a root of layers
            could_come = above in self.binds or any(self.words[word] for word in ALIKE)
            if is_live or could_come or place in self.binds or Tree(root).stat(place) is not None:
                raise ConfigError(f"mask: {path}: {name} shows it: {SAME}")
            miss_mask(spec, plan, path)
        return places


def _differences(asked: int, there: int, *, only_more: bool = False) -> str:
    """How what is there differs from what was asked for, in words; "" if it does not."""
    out = []
    for flag, on, off in RIGHTS:
        is_more = bool(there & flag) != bool(flag & PROTECTING)
        if (asked ^ there) & flag and (is_more or not only_more):
            out.append(on if there & flag else off)
    return ", ".join(out)


def _is_in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


def _is_same(path: str, seen: tuple[int, int]) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == seen
