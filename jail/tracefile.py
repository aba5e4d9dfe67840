# SPDX-License-Identifier: MIT
"""Where a trace goes: claimed before anything runs, written at once when all has ended.

In /tmp, where anybody can put a link or a file of any name: no link is followed, nothing is overwritten.
"""

import errno
import os
import stat

from jail.errors import JailError

FOLDER = "/tmp"
ATTEMPTS = 100  # files of earlier runs with the same name
MODE = 0o644
IN_NAMES = "._-+@%=:,"  # beside letters and digits
NAME_BYTES = 220  # of a file and a program; the rest is for numbers


class TraceFile:
    """One file to be. Until commit() there is only a hidden one beside it."""

    __slots__ = ("_fd", "_hidden", "_may_be_special", "_replace", "path")

    def __init__(self, path: str, *, replace: bool, may_be_special: bool = True) -> None:
        """Claim `path`; with `replace` it may exist, and may be a terminal or a pipe where somebody has named it so.

        Raises JailError if it could not be written.
        """
        self.path = path
        self._replace = replace
        self._may_be_special = may_be_special
        self._hidden = ""
        try:
            self._fd = self._open()
        except OSError as error:
            raise JailError(f"{path}: {error.strerror}") from error

    def _open(self) -> int:
        if self._replace and self._may_be_special and self._is_special():
            return os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
        folder, name = os.path.split(self.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for number in range(ATTEMPTS):
            hidden = os.path.join(folder, f".{name}.{os.getpid()}.{number}")
            try:
                fd = os.open(hidden, flags, MODE)
            except FileExistsError:
                continue
            self._hidden = hidden
            return fd
        raise FileExistsError(errno.EEXIST, "too many files of that name", self.path)

    def _is_special(self) -> bool:
        """A terminal, a pipe: written in place. A directory is refused.

        Reached by a link, as /dev/stdout is, but not by one that anybody can have put there.
        """
        try:
            mode = (os.lstat if is_everybodys(self.path) else os.stat)(self.path).st_mode
        except OSError:
            return False
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory", self.path)
        return not stat.S_ISREG(mode) and not stat.S_ISLNK(mode)

    def commit(self, text: str | bytes) -> str:
        """Write everything and give the file its name, which is returned."""
        fd, self._fd = self._fd, -1
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text.encode() if isinstance(text, str) else text)
                file.flush()
                if self._hidden:
                    os.fsync(file.fileno())
            if not self._hidden:
                return self.path
            if self._replace:
                os.rename(self._hidden, self.path)
                self._hidden = ""
                return self.path
            return self._link()
        except OSError as error:
            raise JailError(f"{self.path}: {error.strerror}") from error
        finally:
            self._remove()

    def _link(self) -> str:
        """A name that nobody has: a link is made or not, where a rename would replace."""
        for number in range(ATTEMPTS):
            path = f"{self.path}.{number}" if number else self.path
            try:
                os.link(self._hidden, path)
            except FileExistsError:
                continue
            return path
        raise FileExistsError(errno.EEXIST, "too many files of that name", self.path)

    def drop(self) -> None:
        """Nothing more is to be written."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._remove()

    def _remove(self) -> None:
        if self._hidden:
            os.unlink(self._hidden)
            self._hidden = ""


def beside(path: str, program: str, taken: set[str], *, replace: bool) -> TraceFile:
    """PATH.NAME, which no other program of the run has; `taken` are the names of those before it.

    What was traced has chosen its name, and may have put something there: of the name letters, digits and what a shell
    takes as it is are left, and only with `replace` a file is replaced, if it is a plain one of our own.
    """
    room = max(NAME_BYTES - len(os.fsencode(os.path.basename(path))), 1)
    first = name = f"{path}.{_plain(os.path.basename(program))[:room]}"
    number = 0
    while name in taken or (replace and not _is_ours(name)):
        number += 1
        name = f"{first}.{number}"
    taken.add(name)
    return TraceFile(name, replace=replace, may_be_special=False)


def _plain(name: str) -> str:
    return "".join(
        [letter if letter.isascii() and (letter.isalnum() or letter in IN_NAMES) else "_" for letter in name]
    )


def _is_ours(path: str) -> bool:
    """Whether there is nothing, or a plain file of our own."""
    try:
        info = os.lstat(path)
    except OSError:
        return True
    return stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid()


def is_everybodys(path: str) -> bool:
    """Whether it is in a directory where anybody can have put it. Raises OSError."""
    return bool(os.stat(os.path.dirname(path) or ".").st_mode & stat.S_ISVTX)


def read_earlier(path: str) -> bytes | None:
    """What an earlier run has written there, None if there is nothing; what another user has put there is refused.

    Raises OSError, JailError.
    """
    is_open = is_everybodys(path)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (os.O_NOFOLLOW if is_open else 0)
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        if is_open and os.fstat(fd).st_uid not in (0, os.geteuid()):
            raise JailError(f"{path}: is another user's, who may have put anything there")
        return file.read()


def default_path(program: str, pid: int) -> str:
    """/tmp/NAME.json.PID."""
    return f"{FOLDER}/{os.path.basename(program)}.json.{pid}"
