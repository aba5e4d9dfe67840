# SPDX-License-Identifier: MIT
"""What restarts a running instance when it changes: the values of its definition and what they stand for now.

That is, the contents of the files it names and of its policy and capability files, the numbers of its network
devices, the ids of its user. Only reads; never raises. The order counts in `command`, not in tables.
"""

import hashlib
import os
import socket
from stat import S_ISREG

from jail.errors import JailError
from jail.ids import lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.definition import Definition, JailDefinition

    Mark = tuple[object, ...]

# a larger file is known by its size, time and inode: to read it would hold up everybody else
HASHED_MAX_BYTES = 4 << 20
# fmt: off
COMPARED = (
    "command", "bundle", "extroot", "overlaydir", "tmpoverlaysize", "nice", "facility", "user", "group",
    "pidfile", "respawn", "reload_signal", "term_timeout", "seccomp", "seccomp_mode", "seccomp_log",
    "capabilities", "error", "trace", "no_new_privs", "vrf",
)
TABLES = ("env", "limits", "cgroup")
# fmt: on


def identity(definition: "Definition") -> "Mark":
    """A value to be compared. Not in it: data, stdout, stderr, watch, watchdog, triggers."""
    values = [_frozen(getattr(definition, key)) for key in COMPARED]
    tables = [tuple(sorted(getattr(definition, key).items())) for key in TABLES]
    files = {name: file_mark(name) for name in definition.file}
    protection = [file_mark(name) if name else () for name in (definition.seccomp, definition.capabilities)]
    devices = {name: _ifindex(name) for name in definition.netdev}
    return (
        *values,
        *tables,
        tuple(sorted(files.items())),
        *protection,
        tuple(sorted(devices.items())),
        _ids(definition),
        _jail(definition.jail),
    )


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
        content = hashlib.blake2b(digest_size=16)
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
        out.append(tuple(sorted(value.items())) if isinstance(value, dict) else _frozen(value))
    return tuple(out)


def _frozen(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple([_frozen(item) for item in value])
    return value
