# SPDX-License-Identifier: MIT
"""What restarts a running instance when it changes: the values of its definition and what they stand for now.

That is, the contents of the files it names and of its policy and capability files, the numbers of its network
devices, the ids of its user. Only reads; never raises. The order counts in `command`, not in tables.
"""

import os
from stat import S_ISREG

from initd.slim import socket
from jail.errors import JailError
from jail.ids import lookup

try:
    from _blake2 import blake2b
except ImportError:  # hashlib loads OpenSSL, which is two megabytes that nobody else here needs
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initd.definition import Definition, JailDefinition

    Mark = tuple[object, ...]

# a larger file is known by its size, time and inode: to read it would hold up everybody else
HASHED_MAX_BYTES = 4 << 20
# fmt: off
PROTECTION = (  # what only a new process can get
    "bundle", "extroot", "overlaydir", "tmpoverlaysize", "nice", "user", "group", "pidfile", "seccomp",
    "seccomp_mode", "seccomp_log", "seccomp_notify", "capabilities", "trace", "no_new_privs", "vrf",
)
OTHERS = ("command", "facility", "respawn", "reload_signal", "term_timeout", "error")
# fmt: on


def identity(definition: "Definition") -> "tuple[Mark, Mark]":
    """Two values to be compared: what protects or confines the process, and the rest.

    Neither has data, stdout, stderr, watch, watchdog or triggers in it.
    """
    return (
        (
            *_values(definition, PROTECTION),
            _sorted(definition.limits),
            _sorted(definition.cgroup),
            *[file_mark(name) if name else () for name in (definition.seccomp, definition.capabilities)],
            _ids(definition),
            _jail(definition.jail),
        ),
        (
            *_values(definition, OTHERS),
            _sorted(definition.env),
            _sorted({name: file_mark(name) for name in definition.file}),
            _sorted({name: _ifindex(name) for name in definition.netdev}),
        ),
    )


def digest(identity: "Mark") -> bytes:
    """The same in few bytes. Not by hash(): that is one for -1 and -2, and has 32 bits on small machines."""
    return blake2b(repr(identity).encode(), digest_size=16).digest()


def _values(definition: "Definition", keys: tuple[str, ...]) -> list[object]:
    return [_frozen(getattr(definition, key)) for key in keys]


def _sorted(table: "Mapping[str, object]") -> "Mark":
    return tuple(sorted(table.items()))


def file_mark(path: str) -> "Mark":
    """What tells one content of a file from another; () where there is no file to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return ()
    try:
        status = os.fstat(fd)
        if not S_ISREG(status.st_mode) or status.st_size > HASHED_MAX_BYTES:
            return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        content = blake2b(digest_size=16)
        left = HASHED_MAX_BYTES
        while left > 0 and (part := os.read(fd, min(left, 1 << 16))):
            content.update(part)
            left -= len(part)
        return (content.digest(),)
    except OSError:
        return ()
    finally:
        os.close(fd)


def _ifindex(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        return 0


def _ids(definition: "Definition") -> "Mark":
    if not (definition.user or definition.group):
        return ()
    try:
        found = lookup(definition.user or None, definition.group or None)
    except (JailError, OSError):
        return ()
    return (found.uid, found.gid, found.groups)


def _jail(jail: "JailDefinition | None") -> "Mark":
    if jail is None:
        return ()
    out: list[object] = [True]
    for key in jail.__slots__:
        value = getattr(jail, key)
        out.append(_frozen(value))
    return tuple(out)


def _frozen(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, dict):
        return tuple([(key, _frozen(item)) for key, item in sorted(value.items())])
    return value
