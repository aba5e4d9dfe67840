# SPDX-License-Identifier: MIT
"""Who may do what: the ACL files of ubusd, read once and again when told.

Root may do all; everybody else only what a file grants to their user or group. A file that cannot be trusted
(owner, mode) or understood grants nothing, and says so. Must not write anything.
"""

import grp
import os
import pwd
import stat

from initd.ubus.jsontext import parse_table
from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from initd.ubus.blob import Table, Value

ACL_DIR = "/usr/share/acl.d"
FILE_MAX = 1 << 20
ACCESS, PUBLISH, SUBSCRIBE, LISTEN, SEND = "access", "publish", "subscribe", "listen", "send"
_LISTS = (PUBLISH, SUBSCRIBE, LISTEN, SEND)


class Credentials:
    """Who is at the other end of a socket, as the kernel says."""

    __slots__ = ("gid", "gids", "granted", "group", "uid", "user")

    def __init__(self, uid: int, gid: int, supplementary: "Iterable[int]" = ()) -> None:
        self.uid = uid
        self.gid = gid
        self.gids = frozenset((gid, *supplementary))
        self.granted: tuple[object, list[Grant]] = (None, [])  # of which grants these are ours
        self.user = _name(pwd.getpwuid, uid).encode("utf-8", "surrogateescape")
        self.group = _name(grp.getgrgid, gid).encode("utf-8", "surrogateescape")


def _name(lookup: "Callable[[int], tuple[object, ...]]", number: int) -> str:
    try:
        return str(lookup(number)[0])
    except KeyError:  # an id that no file names, as services in jails may have
        return str(number)


class Grant:
    """One thing that one user or group may do: `kind` with objects or events called `pattern`."""

    __slots__ = ("acl", "gid", "group", "is_prefix", "kind", "methods", "pattern", "uid", "user")

    def __init__(self, kind: str, pattern: str) -> None:
        self.kind = kind
        raw = pattern.encode("utf-8", "surrogateescape")
        self.is_prefix = raw.endswith(b"*")
        self.pattern = raw[:-1] if self.is_prefix else raw
        self.methods: frozenset[bytes] = frozenset()
        self.acl: Table | None = None
        self.user = self.group = ""
        self.uid = self.gid = -1

    def covers(self, name: bytes, is_prefix: bool = False) -> bool:
        """Whether the pattern holds for a name, or for every name that starts with it."""
        if self.is_prefix:
            return name.startswith(self.pattern)
        return not is_prefix and name == self.pattern

    def has(self, method: bytes) -> bool:
        """Whether it holds for that method; the other kinds have none."""
        return self.kind != ACCESS or method in self.methods or b"*" in self.methods

    def is_for(self, who: Credentials) -> bool:
        """Whether it was given to that user or group."""
        return who.uid == self.uid or self.gid in who.gids


class Acl:
    """All grants. `sequence` counts the reloads."""

    __slots__ = ("grants", "sequence")

    def __init__(self) -> None:
        self.grants: list[Grant] = []
        self.sequence = 0

    def allows(
        self, who: Credentials, kind: str, name: bytes, *, method: bytes = b"", is_prefix: bool = False
    ) -> bool:
        """Whether `who` may do `kind` with `name`; for ACCESS, call its `method`."""
        if who.uid == 0:
            return True
        return any(
            grant.kind == kind and grant.covers(name, is_prefix) and grant.has(method)
            for grant in self._of(who)
        )

    def _of(self, who: Credentials) -> list[Grant]:
        """Looked for once: a lookup asks for each method of each object."""
        if who.granted[0] is not self.grants:
            who.granted = self.grants, [grant for grant in self.grants if grant.is_for(who)]
        return who.granted[1]

    def load(self, directory: str = ACL_DIR) -> list[str]:
        """Replace the grants by those of all *.json there. Returns one line for each file left out."""
        self.grants, self.sequence = [], self.sequence + 1
        warnings: list[str] = []
        try:
            names = sorted(name for name in os.listdir(directory) if name.endswith(".json"))
        except FileNotFoundError:
            return warnings
        except OSError as error:
            return [f"{directory}: {error.strerror}"]
        for name in names:
            if name.startswith("."):
                continue
            path = os.path.join(directory, name)
            try:
                self.grants += read_grants(parse_table(_trusted_text(path), path), path)
            except ConfigError as error:
                warnings.append(f"{error}; the file grants nothing")
        return warnings


def _trusted_text(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(f"{path}: not a regular file")
        if about.st_uid or about.st_gid:
            raise ConfigError(f"{path}: owner and group must be root")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigError(f"{path}: others than root may write it")
        with open(fd, "rb", closefd=False) as file:
            raw = file.read(FILE_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    finally:
        os.close(fd)
    if len(raw) > FILE_MAX:
        raise ConfigError(f"{path}: larger than {FILE_MAX} bytes")
    return raw.decode("utf-8", "surrogateescape")


def read_grants(table: "Table", path: str) -> list[Grant]:
    """The grants of one file. Raises ConfigError for a part of the wrong type or an unknown user.

    `inherit` is accepted and grants nothing, as in ubusd. A file without user and group is for nobody.
    """
    try:
        return _read_grants(table, path)
    except ValueError as error:  # a NUL or half of a pair of surrogates, by an escape
        raise ConfigError(f"{path}: {error}") from error


def _read_grants(table: "Table", path: str) -> list[Grant]:
    user, group = _string(table, "user", path), _string(table, "group", path)
    _strings(table.get("inherit"), f"{path}: inherit")
    grants = []
    access = table.get("access", {})
    if not isinstance(access, dict):
        raise ConfigError(f"{path}: access: not an object")
    for pattern, entry in access.items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: access: {pattern}: not an object")
        grant = Grant(ACCESS, pattern)
        methods = _strings(entry.get("methods"), f"{path}: access: {pattern}: methods")
        grant.methods = frozenset(method.encode("utf-8", "surrogateescape") for method in methods)
        acl = entry.get("acl")
        if acl is not None and not isinstance(acl, dict):
            raise ConfigError(f"{path}: access: {pattern}: acl: not an object")
        grant.acl = acl
        grants.append(grant)
    for kind in _LISTS:
        grants += [Grant(kind, pattern) for pattern in _strings(table.get(kind), f"{path}: {kind}")]
    # an empty pattern is nobody's name; only "*" stands for all
    return _given(user, group, path, [grant for grant in grants if grant.pattern or grant.is_prefix])


def _given(user: str, group: str, path: str, grants: list[Grant]) -> list[Grant]:
    uid = gid = -1
    try:
        if user:
            uid, group = pwd.getpwnam(user).pw_uid, ""  # as in ubusd: the user alone, if there is one
        elif group:
            gid = grp.getgrnam(group).gr_gid
        else:
            return []
    except KeyError:
        what = f"user {user}" if user else f"group {group}"
        raise ConfigError(f"{path}: no {what} on this system") from None
    for grant in grants:
        grant.uid, grant.gid, grant.user, grant.group = uid, gid, user, group
    return grants


def _string(table: "Table", key: str, path: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {key}: not a string")
    return value


def _strings(value: "Value", where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigError(f"{where}: not an array")
    strings = [item for item in value if isinstance(item, str)]
    if len(strings) != len(value):
        raise ConfigError(f"{where}: not an array of strings")
    return strings
