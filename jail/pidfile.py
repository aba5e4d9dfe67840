# SPDX-License-Identifier: MIT
"""`ujail -P`: a file with the pid of the service. Imported where one is asked for."""

import posix
from _stat import S_ISCHR, S_ISREG
from errno import EINVAL, EMLINK

FLAGS = (
    posix.O_WRONLY | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
)


def write_pid(path: str, pid: int) -> None:
    """Into the file of that name and no other, /dev/null say. Raises OSError with its name.

    Who may write the directory could have left a link; or a FIFO, for whose reader we would wait with all
    signals held.
    """
    fd = posix.open(path, FLAGS, 0o644)
    try:
        info = posix.fstat(fd)
        is_file = S_ISREG(info.st_mode)
        if info.st_nlink > 1 or not (is_file or S_ISCHR(info.st_mode)):
            number = EMLINK if is_file else EINVAL
            raise OSError(number, posix.strerror(number), path)
        if is_file:
            posix.ftruncate(fd, 0)
        posix.write(fd, b"%d\n" % pid)
    except OSError as error:
        error.filename = path  # a call with a descriptor does not know it
        raise
    finally:
        posix.close(fd)
