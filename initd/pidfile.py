# SPDX-License-Identifier: MIT
"""The file with the pid of a service: written whole or not at all, and gone when the process is."""

import os

MODE = 0o644


def write_pid(path: str, pid: int) -> None:
    """Put the number there at once. Raises OSError.

    What lies there already is replaced, not followed: a link that a service left would let it choose the
    file that root writes.
    """
    folder, name = os.path.split(path)
    passing = os.path.join(folder, f".{name}.{pid}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(passing, flags, MODE)
    except FileExistsError:
        os.unlink(passing)  # of an initd that was killed between the two steps
        fd = os.open(passing, flags, MODE)
    try:
        try:
            os.write(fd, b"%d\n" % pid)
        finally:
            os.close(fd)
        os.rename(passing, path)
    except OSError:
        os.unlink(passing)
        raise


def remove_pid(path: str) -> None:
    """Take it away. Raises OSError, but not for one that is gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
