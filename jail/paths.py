# SPDX-License-Identifier: MIT
"""What the start of a jail needs of `os` and `os.path` beside `posix`, the C half of `os`.

`os` itself makes thirty classes for its environment, a tenth of the whole start of `ujail`: nothing that each start
imports may import it. What only rare plans need does so inside its function.
"""

import posix
import sys
from _stat import S_ISDIR

_ENCODING = sys.getfilesystemencoding()


def as_name(raw: bytes) -> str:
    """As os.fsdecode."""
    return raw.decode(_ENCODING, "surrogateescape")


def as_bytes(name: str) -> bytes:
    """As os.fsencode."""
    return name.encode(_ENCODING, "surrogateescape")


def is_encodable(path: str) -> bool:
    """Whether a file can have the name."""
    try:
        as_bytes(path)
    except UnicodeEncodeError:
        return False
    return True


def basename(path: str) -> str:
    return path.rpartition("/")[2]


def dirname(path: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return folder.rstrip("/") or slash


def normal(path: str) -> str:
    """An absolute path without empty parts, `.` and `..`, by its letters alone; a link is not followed."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def absolute(path: str) -> str:
    return normal(path if path.startswith("/") else f"{posix.getcwd()}/{path}")


def exists(path: str) -> bool:
    """Whether something is there, links followed."""
    try:
        posix.stat(path)
    except (OSError, ValueError):
        return False
    return True


def is_directory(path: str) -> bool:
    try:
        return S_ISDIR(posix.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def real(path: str, strict: bool = False) -> str:
    """As os.path.realpath, which is asked only for a path that leads through a link, or nowhere."""
    from jail._native import lib

    if lib.is_straight(as_bytes(path)):
        return path
    from os.path import realpath

    return realpath(path, strict=strict)
