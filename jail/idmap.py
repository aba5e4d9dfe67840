# SPDX-License-Identifier: MIT
"""-f, -U and the map options → who the ids of a user namespace are outside.

Id 0 inside is nobody outside, or who -U names; what follows it are ranges that were given, else those of /etc/subuid
and /etc/subgid. An ordinary user has the own id alone. Reads files of the host; no effects.
"""

import os

from jail.errors import ConfigError, UsageError
from jail.ids import ID_MAX, Identity, lookup
from jail.kernelfs import TERMINALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.spec import JailSpec

    Line = tuple[int, int, int]  # first id inside, first id outside, how many

NOBODY = "65534"
LINES_MAX = 340  # of a map, since Linux 4.15


class IdMaps:
    """Both maps; `groups` are the supplementary ones that root inside has, which are the same numbers outside."""

    __slots__ = ("gids", "groups", "is_own", "uids")

    def __init__(
        self, uids: "list[Line]", gids: "list[Line]", groups: tuple[int, ...] = (), *, is_own: bool = False
    ) -> None:
        self.uids = uids
        self.gids = gids
        self.groups = groups
        self.is_own = is_own  # made by an ordinary user, whose groups cannot be taken away

    def terminals(self) -> int:
        """The group that terminals get."""
        return TERMINALS if _inside(self.gids, TERMINALS) else 0

    def has_root_outside(self) -> bool:
        """Whether an id inside is the host's root."""
        return _outside(self.uids, 0)

    def root(self) -> Identity:
        """Who the service is inside; without groups where they cannot be set."""
        return Identity(0, 0, () if self.is_own else (0, *self.groups), "root")


def parse(option: str, text: str) -> "Line":
    """`INSIDE:OUTSIDE:COUNT`. Raises UsageError."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        raise UsageError(f"{option}: {text[:40]!r} is not INSIDE:OUTSIDE:COUNT")
    inside, outside, count = map(int, parts)
    if not count or max(inside, outside) + count - 1 > ID_MAX:
        raise UsageError(f"{option}: {text[:40]!r} leads beyond the last id")
    return inside, outside, count


def make_maps(spec: "JailSpec") -> IdMaps:
    """Raises ConfigError, UsageError."""
    if os.geteuid() != 0:
        if spec.user or spec.group or spec.uidmap or spec.gidmap:
            raise UsageError(
                "userns: an ordinary user is root inside with the own id; -U, -G and maps need root"
            )
        return IdMaps([(0, os.geteuid(), 1)], [(0, os.getegid(), 1)], is_own=True)
    outside = lookup(spec.user or NOBODY, spec.group or None)
    uids = _lines("uidmap", outside.uid, spec.uidmap, "/etc/subuid", outside)
    gids = _lines("gidmap", outside.gid, spec.gidmap, "/etc/subgid", outside)
    groups = []
    for gid in outside.groups[1:] if spec.user else ():
        # the group of root inside is 0 already
        if gid and not _inside(gids, gid) and not _outside(gids, gid):
            gids.append((gid, gid, 1))
            groups.append(gid)
    return IdMaps(uids, gids, tuple(groups))


def warnings(maps: IdMaps) -> list[str]:
    """What holds less than one may think."""
    kinds = [kind for kind, lines in (("uid", maps.uids), ("gid", maps.gids)) if _outside(lines, 0)]
    return [f"userns: the host's {kind} 0 is in the map" for kind in kinds]


def _lines(option: str, first: int, given: list[str], path: str, outside: Identity) -> "list[Line]":
    lines = [parse(option, text) for text in given] or _subordinate(path, outside, first)
    if not _inside(lines, 0):
        lines.insert(0, (0, first, 1))
    if len(lines) > LINES_MAX:
        raise UsageError(f"{option}: more than {LINES_MAX} ranges")
    for side, name in ((0, "inside"), (1, "outside")):
        end = 0
        for line in sorted(lines, key=lambda line: line[side]):
            if line[side] < end:
                raise UsageError(f"{option}: id {line[side]} is twice {name}")
            end = line[side] + line[2]
    return lines


def _subordinate(path: str, outside: Identity, first: int) -> "list[Line]":
    """The ranges that the host gives to this user, from 1 on inside."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.strip().split(":") for line in file if not line.startswith("#")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    lines: list[Line] = []
    inside = 1
    for row in rows:
        if len(row) != 3 or row[0] not in (outside.name, str(outside.uid)):
            continue
        try:
            line = parse(path, f"{inside}:{row[1]}:{row[2]}")
        except UsageError as error:
            raise ConfigError(str(error)) from None
        if _outside([line], first) or any(_overlap(line, other) for other in lines):
            raise ConfigError(f"{path}: a range of {outside.name} has ids twice, or its own in it")
        lines.append(line)
        inside += line[2]
    return lines


def _overlap(one: "Line", other: "Line") -> bool:
    return one[1] < other[1] + other[2] and other[1] < one[1] + one[2]


def _inside(lines: "list[Line]", number: int) -> bool:
    return any(inside <= number < inside + count for inside, _, count in lines)


def _outside(lines: "list[Line]", number: int) -> bool:
    return any(outside <= number < outside + count for _, outside, count in lines)
