# SPDX-License-Identifier: MIT
"""Which of the shares that were asked for are there, which cannot be trusted, and what one of them opens.

Reads the host; no effects.
"""

import posix
from _stat import S_ISBLK, S_ISCHR

from jail import paths, procfs
from jail.capabilities import file_of
from jail.errors import ConfigError
from jail.spec import TRACE, JailSpec, Share
from jail.tree import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jail.plan import Plan


def present_shares(spec: JailSpec, plan: "Plan", others: "Iterable[Share]" = ()) -> list[Share]:
    """The shares whose source exists. Init scripts list files that may be absent: those are skipped aloud.

    They are put into `plan.missing` with the reason, patterns into `plan.patterns` with what they match. `others`
    are shown without being asked for.
    """
    out, absent = [], []
    for share in _asked(spec, plan):
        try:
            status = posix.stat(share.source)
        except OSError as error:
            if share.required or (spec.required and not share.is_quiet):
                raise ConfigError(f"{share.source}: {error.strerror}") from error
            plan.missing[share.source] = "" if share.is_quiet else error.strerror or "not there"
            absent.append(share)
            continue
        if share.is_device and not (S_ISCHR(status.st_mode) or S_ISBLK(status.st_mode)):
            raise ConfigError(f"{share.source}: not a device")
        if share.is_slave and not _is_on_shared_mount(share.source):
            raise ConfigError(
                f"{share.source}: slave: the host's mount is not shared, so nothing would come from it"
                " (mount --make-shared)"
            )
        out.append(share)
    written, moved = _written(out)
    if written:
        _check_links([*out, *others], written)
        _check_absent(absent, written)
        _check_decisive(spec, written, moved)
        _check_outputs(spec, written)
    return out


def miss_mask(spec: JailSpec, plan: "Plan", path: str) -> None:
    """A mask of what nothing shows: said as for a share that is not there, and refused where that is."""
    if spec.required:
        raise ConfigError(f"mask: {path}: nothing shows it")
    plan.warnings.append(f"mask: {path}: nothing shows it, skipped")


def bus_warnings(spec: JailSpec, sources: dict[str, str], how: str) -> list[str]:
    """What to say of root that is shown ubus: a broker asks the kernel for a caller's user and for nothing else.

    `sources` are those of the root that the service sees, `how` is it_is_root()'s.
    """
    if not how or not _is_seen(_real(spec.ubus_socket), sources):
        return []
    return [
        f"{how}, and root on ubus may start anything outside the jail: give it a user or userns, and what it may"
        " call in /usr/share/acl.d"
    ]


def _real(path: str) -> str:
    """As paths.real(), without os.path, which a start can do without."""

    def link_at(place: str) -> str | None:
        try:
            return posix.readlink(place)
        except OSError:
            return None

    try:
        return follow(path, link_at)
    except ConfigError:  # links that lead to themselves show nothing
        return path


def _is_seen(path: str, sources: dict[str, str]) -> bool:
    """Whether a file of the host, by its real path, is below a bind, with no other mount or mask in between."""
    for target, source in sources.items():
        above = source.rstrip("/")
        if source and f"{path}/".startswith(f"{above}/"):
            place = target + path[len(above) :]
            while place not in sources:
                place = place.rpartition("/")[0]
            if place == target:
                return True
    return False


def _asked(spec: JailSpec, plan: "Plan") -> "Iterator[Share]":
    """All shares, patterns as what they match now."""
    shares = spec.shares
    if spec.binds or spec.devices:
        from jail.fileargs import all_shares

        shares = all_shares(spec)
    for share in shares:
        if not share.is_pattern:
            yield share
            continue
        from jail.patterns import expand

        found = expand(share.source)
        plan.patterns.append((share.source, tuple(found)))
        if not found:
            if spec.required:
                raise ConfigError(f"{share.source}: nothing matches")
            plan.missing[share.source] = "nothing matches"
        for path in found:
            yield Share(path, writable=share.writable)


def _written(present: list[Share]) -> tuple[set[str], set[str]]:
    """What the jail may write, and what of that it sees at another place."""
    written: set[str] = set()
    moved: set[str] = set()
    for share in present:
        if share.writable:
            real, folders = paths.real(share.source), _live_folders(share)
            written.update(folders, [real])
            moved.update(folders, [real] if share.target != share.source else [])
    return written, moved


def _live_folders(share: Share) -> set[str]:
    """The directories that a writable file which is seen live may bring along, now or at the start before.

    Where the service has put a link in its place, it is not in the directory of what that leads to.
    """
    if not (share.writable and share.is_live):
        return set()
    if share.is_asked_live:
        return {paths.real(paths.dirname(share.source))}
    from jail.presets import is_dedicated

    links: list[str] = []
    real = _follow(share.source, links.append)
    return {folder for folder in map(paths.dirname, [*links, real]) if is_dedicated(folder)}


def _check_absent(absent: list[Share], written: set[str]) -> None:
    """Raise ConfigError for a read-only share that is missing from a directory which the jail may write.

    The service would make what it was to be given, or has taken it away since the last start.
    """
    for share in absent:
        place = paths.real(share.source)
        for folder in written:
            if not share.writable and not share.is_quiet and place.startswith(f"{folder}/"):
                raise ConfigError(
                    f"{share.source}: to be shown read-only, and missing from {folder},"
                    " which the jail may write: it could make it itself"
                )


def _check_decisive(spec: JailSpec, written: set[str], moved: set[str]) -> None:
    """Raise ConfigError for what decides over the jail and lies where the jail may write.

    Its next start would go by what the service has put there: its capabilities, or a link in the place of its root.
    """
    # in the jail a policy is a read-only mount, which cannot be renamed or removed; a directory above it can be
    policy = spec.seccomp if spec.mode != TRACE else ""
    for path in (policy, file_of(spec.capabilities or ""), spec.overlay_dir, spec.extroot):
        if not path:
            continue
        real, folder = _way(path if path.startswith("/") else f"{posix.getcwd()}/{path}", written)
        above = {each for each in written if f"{real}/".startswith(f"{each}/")}
        if path == policy and above == {real.rpartition("/")[0]} - moved:
            above = set()
        if folder := folder or min(above, default=""):
            raise ConfigError(f"{path}: in {folder}, which the jail may write: it could change it")


def _check_outputs(spec: JailSpec, written: set[str]) -> None:
    """Raise ConfigError for a file of ours whose directory the jail could replace by a link to another one."""
    for path in spec.outputs:
        real, folder = _way(paths.dirname(path), written)
        if folder := folder or min((each for each in written if real.startswith(f"{each}/")), default=""):
            raise ConfigError(
                f"{path}: its directory is in {folder}, which the jail may write: it could put a link there"
            )


def _is_on_shared_mount(path: str) -> bool:
    """Whether mounts that the host makes below a path are told to others."""
    real = paths.real(path)
    best, is_shared = "", False
    with procfs.open_mounts() as file:
        for line in file:
            before, _, _ = line.partition(" - ")
            fields = before.split(" ")
            point = procfs.unescape(fields[4])
            # of two mounts at one place the later one is on top
            if f"{real}/".startswith(f"{point.rstrip('/')}/") and len(point) >= len(best):
                best, is_shared = point, any(field.startswith("shared:") for field in fields[6:])
    return is_shared


def _check_links(shares: list[Share], written: set[str]) -> None:
    """Raise ConfigError for a source that a link in a directory which the jail may write leads elsewhere.

    The service itself could have put it there, to see at its next start what nobody has shared.
    """
    ways = [(share, *_way(share.source, written)) for share in shares]
    named = {real for share, real, folder in ways if share.writable and not folder}
    named.update(*map(_live_folders, shares))
    for share, real, folder in ways:
        share.real = real
        if folder and not any(f"{real}/".startswith(f"{each}/") for each in named):
            raise ConfigError(
                f"{share.source}: a link in {folder}, which the jail may write, leads to {real}"
            )


def _way(path: str, written: set[str]) -> tuple[str, str]:
    """The path without links, and one of `written` that the links on the way were in, "" if none was."""
    links: list[str] = []
    real = _follow(path, links.append)
    passed = [folder for link in links for folder in written if link.startswith(f"{folder}/")]
    return real, passed[0] if passed else ""


def _follow(path: str, note: "Callable[[str], None]") -> str:
    """The path without links; `note` gets the place of each link on the way."""
    from os.path import islink

    def link_at(place: str) -> str | None:
        if not islink(place):
            return None
        note(place)
        return posix.readlink(place)

    return follow(path, link_at)
