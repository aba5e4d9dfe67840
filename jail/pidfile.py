# SPDX-License-Identifier: MIT
"""`ujail -P`: a file with the pid of the service. Imported where one is asked for."""

import posix
from _stat import S_ISREG
from errno import EMLINK


def write_pid(path: str, pid: int) -> None:
    """Into the file of that name and no other: who may write the directory could have left a link."""
    fd = posix.open(
        path, posix.O_WRONLY | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_NOCTTY | posix.O_CLOEXEC, 0o644
    )
    info = posix.fstat(fd)
    if info.st_nlink > 1:
        raise OSError(EMLINK, posix.strerror(EMLINK), path)
    if S_ISREG(info.st_mode):
        posix.ftruncate(fd, 0)
    posix.write(fd, b"%d\n" % pid)
    posix.close(fd)
