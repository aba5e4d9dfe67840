# SPDX-License-Identifier: MIT
"""The file system below one root, and what was found in it to be needed.

Everything is seen through a Tree, so that a foreign root (extroot, a cross-built image) can be examined as
well as our own. Only reads.
"""

import errno
import posix
from _stat import S_ISREG

from jail import paths
from jail.elffile import Elf, Script, open_regular, read, refuse, shown, version_of
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jail.elffile import Content

LOOK_UPS = 50_000  # of files for one program; a real one with hundreds of libraries needs some thousands
SYMLINKS = 40  # the kernel's own limit for one path
CACHED_FILES = 1024

_contents: "dict[tuple[int, ...], Content]" = {}


def load(path: str, name: str, info: posix.stat_result | None = None) -> "tuple[Content, posix.stat_result]":
    """Read the file at `path`, called `name` in messages; content None if it is neither ELF nor `#!`.

    Raises OSError where there is no such regular file. A file that has not changed is not read again. `info` is
    for who has looked at it just now.
    """
    info = info or posix.stat(path)
    if not S_ISREG(info.st_mode):  # before the open: opening a device can act on it
        raise OSError(errno.EINVAL, "not a regular file", path)
    key = version_of(info)
    if key in _contents:
        return _contents[key], info
    fd = open_regular(path)
    try:
        info = posix.fstat(fd)
        if not S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        content = read(fd, name, info.st_size)
    finally:
        posix.close(fd)
    if len(_contents) >= CACHED_FILES:
        _contents.clear()
    _contents[version_of(info)] = content
    return content, info


def follow(path: str, link_at: "Callable[[str], str | None]") -> str:
    """The path without links: `link_at` tells for each component what the link there says, if it is one."""
    todo = _parts(path)
    here = ""
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            here = here.rpartition("/")[0]
            continue
        text = link_at(f"{here}/{part}")
        if text is None:
            here = f"{here}/{part}"
            continue
        links += 1
        if links > SYMLINKS:
            raise ConfigError(f"{path}: too many levels of symbolic links")
        if text.startswith("/"):
            here = ""
        todo.extend(_parts(text))
    return here


def _parts(path: str) -> list[str]:
    """The components, last one first."""
    return [part for part in reversed(path.split("/")) if part and part != "."]


class Tree:
    """The file system below one root, in which absolute symlinks and `..` stay."""

    __slots__ = ("is_repeatable", "look_ups", "root", "seen")

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.look_ups = 0
        self.seen: dict[
            str, tuple[int, ...]
        ] = {}  # all that was looked at: version_of(), () for nothing there
        self.is_repeatable = not self.root  # `seen` is all that counted: no links were read one by one

    def is_as_seen(self) -> bool:
        """Whether all of it is still the same, what was not there included."""
        for path, version in self.seen.items():
            try:
                if version_of(posix.stat(path)) != version:
                    return False
            except OSError:
                if version:
                    return False
        return True

    def host(self, path: str) -> str:
        """The path for us of what lies at `path` inside the root."""
        if not self.root:
            return path
        todo = path.split("/")[::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            try:
                target = posix.readlink("/".join([self.root, *done, part]))
            except OSError:  # not a link, or nothing there; whoever opens it will know
                done.append(part)
                continue
            links += 1
            if links > SYMLINKS:
                raise OSError(errno.ELOOP, posix.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done.clear()
            todo.extend(target.split("/")[::-1])
        return "/".join([self.root, *done])

    def count(self, path: str) -> None:
        self.look_ups += 1
        if self.look_ups > LOOK_UPS:
            raise ConfigError(f"{path}: more than {LOOK_UPS} look-ups for the libraries of one program")

    def _note(self, path: str, version: tuple[int, ...]) -> None:
        if self.seen.setdefault(path, version) != version:
            self.is_repeatable = False  # it changes right now

    def load(self, path: str) -> "tuple[Content, posix.stat_result]":
        self.count(path)
        try:
            content, info = load(self.host(path), path)
        except OSError:
            self._note(path, ())
            raise
        self._note(path, version_of(info))
        return content, info

    def stat(self, path: str) -> posix.stat_result | None:
        self.count(path)
        try:
            info = posix.stat(self.host(path))
        except OSError:
            self._note(path, ())
            return None
        self._note(path, version_of(info))
        return info

    def real(self, path: str) -> str:
        """`path` without symlinks, as seen inside the root."""
        self.is_repeatable = False
        if not self.root:
            return paths.real(path)
        return self.host(path)[len(self.root) :] or "/"

    def read(self, path: str, limit: int) -> bytes | None:
        """A small file, None where there is none that can be read."""
        self.count(path)
        try:
            fd = open_regular(self.host(path))
        except OSError:
            self._note(path, ())
            return None
        try:
            self._note(path, version_of(posix.fstat(fd)))
            return posix.pread(fd, limit, 0)
        except OSError:
            return None
        finally:
            posix.close(fd)

    def executable(self, path: str, user: str, any_mode: bool = False) -> "Elf | Script":
        """Read what the kernel is to execute; `user` is the file that names it, "" for the program itself."""
        needed = f", needed by {shown(user)}" if user else ""
        try:
            content, info = self.load(path)
        except OSError as e:
            error = ConfigError(f"{shown(path)}: {_reason(e)}{needed}")
            error.status = EXIT_NOT_FOUND if isinstance(e, FileNotFoundError) else EXIT_CANNOT_EXECUTE
            raise error from e
        if content is None:
            raise refuse(path, f"not a program: neither ELF nor #!{needed}")
        if not any_mode and not info.st_mode & 0o111:
            raise refuse(path, f"not executable{needed}")
        return content


class Closure:
    """What must be in a jail for one program to reach `main`.

    files: as the kernel or the loader names them, symlinks not resolved, program first, no `..` in them.
    links: those of `files` that must be symlinks in the jail too, with their target (also in `files`):
    libraries are found relative to where the program really lies ($ORIGIN).
    dirs: further directories that a name leads through (`/a/b/../c` needs /a/b).
    needs_proc: the loader must be able to read /proc/self/exe in the jail: without it a library that is found
    relative to the program ($ORIGIN) is not found.
    preloaded: whether this program's loader takes the `preload` libraries; a static or foreign one does not.
    """

    __slots__ = (
        "_seen",
        "_tree",
        "abi",
        "dirs",
        "files",
        "interpreter",
        "kind",
        "libc",
        "links",
        "needs_proc",
        "preloaded",
    )

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._seen: set[str] = set()
        self.files: list[str] = []
        self.links: dict[str, str] = {}
        self.dirs: list[str] = []
        self.kind = ""  # "dynamic", "static", "script"
        self.libc = ""  # "glibc", "musl", "uclibc"
        self.abi = ""
        self.interpreter = ""
        self.preloaded = False
        self.needs_proc = False

    def add(self, path: str) -> str:
        """Note a file, and what its name leads through. Returns the name under which it will lie."""
        if path in self._seen:
            return path
        self._seen.add(path)
        plain = paths.normal(path) if "/." in path or "//" in path else path
        if plain != path:
            self._add_crooked(path, plain)
        if plain not in self.files:
            self.files.append(plain)
        return plain

    def _add_crooked(self, path: str, plain: str) -> None:
        parts = path.split("/")
        for number, part in enumerate(parts):
            through = paths.normal("/".join(parts[:number]) or "/")
            if part == ".." and through not in self.dirs:
                self.dirs.append(through)
        # Where a directory in the name is a symlink, `..` leaves it elsewhere than the letters say
        here, there = self._tree.stat(plain), self._tree.stat(path)
        if there and (not here or (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)):
            self.link(plain, self._tree.real(path))

    def link(self, path: str, target: str) -> None:
        """Note that `path` must be a symlink in the jail, because where its target lies matters."""
        if path != target:
            self.links[path] = target
            self.add(target)


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    return (error.strerror or "cannot be read").lower()
