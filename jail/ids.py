# SPDX-License-Identifier: MIT
"""-U and -G → the numbers that the service runs with. Reads the users and groups of the host; no effects."""

import posix

from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd

# what the C library reads for that
DATABASES = ("/etc/nsswitch.conf", "/etc/passwd", "/etc/group")
ID_MAX = 0xFFFFFFFE  # the number above means "leave unchanged" to setresuid(2)


class Identity:
    """groups: every group of the process, `gid` first, as initgroups(3) would set them."""

    __slots__ = ("gid", "groups", "name", "uid")

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...], name: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.name = name

    def __repr__(self) -> str:
        return f"Identity(uid={self.uid}, gid={self.gid}, groups={self.groups}, name={self.name!r})"


def lookup(user: str | None, group: str | None) -> Identity:
    """Find the ids for a user and a group, each a name or a decimal number.

    Without a user: root. Without a group: the user's own; for a number that passwd does not list, the same
    number again.
    Supplementary groups are those of the group file that list the user, none for root without -U.
    Raises ConfigError for an unknown name (with a near match), for a number that is no id, and where a process
    holds a lease on what would be read, for which the C library would wait.
    """
    held = _hold()
    try:
        return _lookup(user, group)
    finally:
        for fd in held:
            posix.close(fd)


def _hold() -> list[int]:
    """Open what is read, without a wait: as long as it is open nobody gets a lease on it."""
    held: list[int] = []
    for path in DATABASES:
        try:
            held.append(posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK))
        except BlockingIOError:
            for fd in held:
                posix.close(fd)
            raise ConfigError(f"{path}: a process holds a lease on it") from None
        except OSError:
            continue  # the C library has its own words for that
    return held


def _lookup(user: str | None, group: str | None) -> Identity:
    if user is None:
        gid = 0 if group is None else _gid(group)
        return Identity(0, gid, (gid,), "root")
    entry, uid = _user(user)
    if entry is None:
        gid = uid if group is None else _gid(group)
        return Identity(uid, gid, (gid,), str(uid))
    gid = entry.pw_gid if group is None else _gid(group)
    return Identity(uid, gid, _groups(entry.pw_name, gid), entry.pw_name)


def _user(user: str) -> "tuple[pwd.struct_passwd | None, int]":
    import pwd

    uid = _number(user, "user")
    try:
        # A name of digits only is not looked up as a name: useradd refuses it, and it would be two users
        entry = pwd.getpwnam(user) if uid is None else pwd.getpwuid(uid)
    except (KeyError, ValueError):  # ValueError: a NUL, or bytes that are no text
        if uid is None:
            raise _unknown("user", user, [known.pw_name for known in pwd.getpwall()]) from None
        return None, uid
    return entry, _checked(entry.pw_uid, "user", user)


def _gid(group: str) -> int:
    import grp

    gid = _number(group, "group")
    if gid is not None:
        return gid
    try:
        return _checked(grp.getgrnam(group).gr_gid, "group", group)
    except (KeyError, ValueError):
        raise _unknown("group", group, [known.gr_name for known in grp.getgrall()]) from None


def _groups(name: str, gid: int) -> tuple[int, ...]:
    found = posix.getgrouplist(name, gid)
    return (gid, *sorted({number for number in found if number != gid}))


def _number(text: str, kind: str) -> int | None:
    """A decimal id; None if the text is a name."""
    digits = text.removeprefix("-") if len(text) > 1 else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if text.startswith("-") or len(text) > 10 or int(text) > ID_MAX:
        raise ConfigError(f'{kind} "{text[:40]}": not an id, which are 0 to {ID_MAX}')
    return int(text)


def _checked(number: int, kind: str, text: str) -> int:
    if not 0 <= number <= ID_MAX:
        raise ConfigError(f'{kind} "{text}": its id {number} means "unchanged" to the kernel')
    return number


def _unknown(kind: str, name: str, known: list[str]) -> ConfigError:
    from jail.near import did_you_mean

    shown = name if name.isprintable() and name else ascii(name)[1:-1]
    return ConfigError(f'unknown {kind} "{shown}"{did_you_mean(name, known)}')
