# SPDX-License-Identifier: MIT
"""`ujail -P`: a file with the pid of the service. Imported where one is asked for."""

import os
from errno import EMLINK
from stat import S_ISREG


def write_pid(path: str, pid: int) -> None:
    """Into the file of that name and no other: who may write the directory could have left a link."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC, 0o644)
    info = os.fstat(fd)
    if info.st_nlink > 1:
        raise OSError(EMLINK, os.strerror(EMLINK), path)
    if S_ISREG(info.st_mode):
        os.ftruncate(fd, 0)
    os.write(fd, b"%d\n" % pid)
    os.close(fd)
