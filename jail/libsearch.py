# SPDX-License-Identifier: MIT
"""Where a dynamic loader looks: its built-in directories, ld.so.cache, ld.so.conf, musl's path file.

Everything is seen through a Tree, so that a foreign root (extroot, a cross-built image) can be examined as well
as our own. Nothing here decides which library is the right one; elf.py does that.
"""

import errno
import os
import struct

from jail.elffile import Elf, load, open_regular, version_of
from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.elffile import Content

LOOK_UPS = 50_000  # of files for one program; a real one with hundreds of libraries needs some thousands
SYMLINKS = 40  # the kernel's own limit for one path
TEXT_BYTES = 65536  # of a configuration file
CACHE_BYTES = 16 << 20
CONSTANT_BYTES = 1 << 20  # of a loader's read-only data
CONF_FILES, CONF_DEPTH, CONF_DIRS = 64, 8, 1024
KEPT = 16

LD_SO_CACHE = "/etc/ld.so.cache"
LD_SO_CONF = "/etc/ld.so.conf"
MUSL_DIRS = ["/lib", "/usr/local/lib", "/usr/lib"]


class Tree:
    """The file system below one root, in which absolute symlinks and `..` stay."""

    __slots__ = ("look_ups", "root")

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.look_ups = 0

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
                target = os.readlink("/".join([self.root, *done, part]))
            except OSError:  # not a link, or nothing there; whoever opens it will know
                done.append(part)
                continue
            links += 1
            if links > SYMLINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done.clear()
            todo.extend(target.split("/")[::-1])
        return "/".join([self.root, *done])

    def count(self, path: str) -> None:
        self.look_ups += 1
        if self.look_ups > LOOK_UPS:
            raise ConfigError(f"{path}: more than {LOOK_UPS} look-ups for the libraries of one program")

    def load(self, path: str) -> "tuple[Content, os.stat_result]":
        self.count(path)
        return load(self.host(path), path)

    def stat(self, path: str) -> os.stat_result | None:
        self.count(path)
        try:
            return os.stat(self.host(path))
        except OSError:
            return None

    def real(self, path: str) -> str:
        """`path` without symlinks, as seen inside the root."""
        if not self.root:
            return os.path.realpath(path)
        return self.host(path)[len(self.root) :] or "/"

    def read(self, path: str, limit: int) -> bytes | None:
        """A small file, None where there is none that can be read."""
        self.count(path)
        try:
            fd = open_regular(self.host(path))
        except OSError:
            return None
        try:
            return os.pread(fd, limit, 0)
        except OSError:
            return None
        finally:
            os.close(fd)


# --- the loader's own directories ---------------------------------------------------------------------------

_built_in: dict[tuple[int, ...], list[str]] = {}


def built_in_dirs(tree: Tree, loader: str, elf: Elf) -> list[str]:
    """The directories that were compiled into a glibc loader, in its order; [] if they cannot be told.

    They differ by distribution (/lib64, /lib/x86_64-linux-gnu, a store path), and only the loader itself knows: in
    its read-only data they stand as NUL-terminated names one after the other, each ending in a slash.
    """
    info = tree.stat(loader)
    if info is None:
        return []
    key = version_of(info)
    if key not in _built_in:
        if len(_built_in) >= KEPT:
            _built_in.clear()
        _built_in[key] = _read_built_in(tree, loader, elf)
    return _built_in[key]


def _read_built_in(tree: Tree, loader: str, elf: Elf) -> list[str]:
    try:
        fd = open_regular(tree.host(loader))
    except OSError:
        return []
    try:
        for offset, size in elf.constants[:8]:
            if offset > CACHE_BYTES:
                continue
            dirs = _dir_list(os.pread(fd, min(size, CONSTANT_BYTES), offset))
            if dirs:
                return dirs
    except OSError:
        return []
    finally:
        os.close(fd)
    return []


def _dir_list(data: bytes) -> list[str]:
    at = data.find(b"/lib")
    while at >= 0:
        start = data.rfind(b"\0", max(0, at - 256), at) + 1
        dirs: list[str] = []
        while start and len(dirs) < 16:
            end = data.find(b"\0", start, start + 256)
            name = data[start:end] if end > start else b""
            if not (name.startswith(b"/") and name.endswith(b"/") and name.isascii()):
                break
            dirs.append(os.fsdecode(name[:-1]))
            start = end + 1
        if dirs:
            return dirs
        at = data.find(b"/lib", at + 1)
    return []


# --- glibc-hwcaps -------------------------------------------------------------------------------------------

# Flags of /proc/cpuinfo that each x86-64 level adds (x86-64 psABI, "micro-architecture levels")
X86_LEVELS = (
    ("x86-64-v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"),
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
)
_levels: list[str] | None = None


def cpu_levels() -> list[str]:
    """The glibc-hwcaps subdirectories that fit this x86-64 processor, best first."""
    global _levels
    if _levels is None:
        _levels = []
        data = Tree("/").read("/proc/cpuinfo", TEXT_BYTES) or b""
        line = data.partition(b"\nflags")[2].partition(b"\n")[0]
        flags = set(line.decode("ascii", "replace").split())
        for name, wanted in X86_LEVELS:
            if not flags.issuperset(wanted.split()):
                break
            _levels.insert(0, name)
    return _levels


# --- ld.so.cache --------------------------------------------------------------------------------------------

CACHE_MAGIC = b"glibc-ld.so.cache1.1"
CACHE_HEADER_BYTES = 48
CACHE_ENTRY_BYTES = 24
EXTENSION_MAGIC = 0xEAA42174
HWCAPS_TAG = 1
HWCAPS_BIT = 1 << 62  # in an entry's hwcap: the low word is an index into the list of subdirectory names
SAME_NAMES = 256


class Cache:
    """ld.so.cache, looked into where needed: reading all of it would cost more than the start has.

    Source: glibc, sysdeps/generic/dl-cache.h; the format since glibc 2.2, alone or behind the older one.
    """

    __slots__ = ("base", "count", "data", "entry", "hwcaps", "order")

    def __init__(self, data: bytes) -> None:
        self.base = max(data.find(CACHE_MAGIC), 0)
        self.data = data = data[self.base :] if self.base else data
        self.count = 0
        self.hwcaps: list[str] = []
        if len(data) < CACHE_HEADER_BYTES or not data.startswith(CACHE_MAGIC):
            return
        self.order = "<" if self._is_little(data) else ">"
        self.entry = struct.Struct(self.order + "iIIIQ")
        (count,) = struct.unpack_from(self.order + "I", data, 20)
        self.count = min(count, (len(data) - CACHE_HEADER_BYTES) // CACHE_ENTRY_BYTES)
        self._read_extension(struct.unpack_from(self.order + "I", data, 32)[0])

    @staticmethod
    def _is_little(data: bytes) -> bool:
        mark = data[28] & 3  # 2 little, 3 big; 0 before glibc 2.33, when the count must tell
        if mark in (2, 3):
            return mark == 2
        return int.from_bytes(data[20:24], "little") <= int.from_bytes(data[20:24], "big")

    def _read_extension(self, offset: int) -> None:
        try:
            magic, sections = struct.unpack_from(self.order + "2I", self.data, offset)
            if not offset or magic != EXTENSION_MAGIC:
                return
            for number in range(min(sections, 16)):
                tag, _, start, size = struct.unpack_from(
                    self.order + "4I", self.data, offset + 8 + 16 * number
                )
                if tag == HWCAPS_TAG:
                    names = struct.unpack_from(f"{self.order}{min(size, 1024) // 4}I", self.data, start)
                    self.hwcaps = [self._text(at) for at in names]
        except struct.error:
            self.hwcaps = []

    def _text(self, at: int) -> str:
        end = self.data.find(b"\0", at, at + 4096)
        return os.fsdecode(self.data[at:end]) if end >= 0 else ""

    def find(self, name: str, levels: "list[str]") -> list[str]:
        """The paths listed for a library, those for the best processor level first.

        Entries with the capability bits of glibc before 2.33 are passed over: the plain one always serves.
        """
        found: list[tuple[int, int, str]] = []
        wanted = os.fsencode(name) + b"\0"
        strings = CACHE_HEADER_BYTES + self.count * CACHE_ENTRY_BYTES
        at = self.data.find(wanted, strings) if self.count else -1
        for _ in range(SAME_NAMES):
            if at < 0:
                break
            # A name may be the tail of a longer one: only entries that point here count
            self._entries_of(at, levels, found)
            at = self.data.find(wanted, at + 1)
        return [path for _, _, path in sorted(found)]

    def _entries_of(self, key: int, levels: "list[str]", found: list[tuple[int, int, str]]) -> None:
        pattern = struct.pack(self.order + "I", key)
        end = CACHE_HEADER_BYTES + self.count * CACHE_ENTRY_BYTES
        at = self.data.find(pattern, CACHE_HEADER_BYTES, end)
        while at >= 0 and len(found) < SAME_NAMES:
            number, inside = divmod(at - CACHE_HEADER_BYTES, CACHE_ENTRY_BYTES)
            if inside == 4:
                _, _, value, _, hwcap = self.entry.unpack_from(self.data, at - 4)
                rank = self._rank(hwcap, levels)
                if rank >= 0:
                    found.append((rank, number, self._text(value)))
            at = self.data.find(pattern, at + 1, end)

    def _rank(self, hwcap: int, levels: "list[str]") -> int:
        if not hwcap:
            return len(levels)
        index = hwcap & 0xFFFFFFFF
        if hwcap & HWCAPS_BIT and index < len(self.hwcaps) and self.hwcaps[index] in levels:
            return levels.index(self.hwcaps[index])
        return -1

    def has_hwcaps(self) -> bool:
        return bool(self.hwcaps)


_caches: dict[tuple[int, ...], Cache] = {}


def ld_so_cache(tree: Tree) -> Cache:
    """The cache of ldconfig; an empty one where there is none."""
    info = tree.stat(LD_SO_CACHE)
    if info is None:
        return Cache(b"")
    key = version_of(info)
    if key not in _caches:
        if len(_caches) >= KEPT:
            _caches.clear()
        _caches[key] = Cache(tree.read(LD_SO_CACHE, CACHE_BYTES) or b"")
    return _caches[key]


# --- ld.so.conf ---------------------------------------------------------------------------------------------


def conf_dirs(tree: Tree) -> list[str]:
    """The directories that ldconfig would put into its cache: ld.so.conf and what it includes."""
    dirs: list[str] = []
    pending = [(LD_SO_CONF, 0)]
    read = 0
    while pending and read < CONF_FILES:
        path, depth = pending.pop(0)
        read += 1
        included = []
        for raw in (tree.read(path, TEXT_BYTES) or b"").split(b"\n"):
            line = os.fsdecode(raw.partition(b"#")[0].strip())
            keyword, _, rest = line.replace("\t", " ").partition(" ")
            if keyword == "include":
                for pattern in rest.split():
                    full = pattern if pattern.startswith("/") else os.path.dirname(path) + "/" + pattern
                    included += _glob(tree, full)
            elif line.startswith("/") and len(dirs) < CONF_DIRS:
                dirs.append(line.partition("=")[0].rstrip("/ \t"))
        if depth < CONF_DEPTH:
            pending[:0] = [(name, depth + 1) for name in included]
    return dirs


def _glob(tree: Tree, pattern: str) -> list[str]:
    found = [""]
    for part in pattern.strip("/").split("/")[:64]:
        if not any(mark in part for mark in "*?["):
            found = [f"{base}/{part}" for base in found]
            continue
        deeper: list[str] = []
        for base in found[:CONF_FILES]:
            tree.count(base)
            try:
                names = sorted(os.listdir(tree.host(base or "/")))
            except OSError:
                continue
            deeper += [f"{base}/{name}" for name in names if matches(name, part)]
        found = deeper
    return [path for path in found if tree.stat(path) is not None][:CONF_FILES]


def matches(name: str, pattern: str) -> bool:
    """A file name against `*`, `?` and `[a-z]`, as the shell has them; fnmatch would import `re`."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    at = star = mark = 0
    place = 0
    star = -1
    while at < len(name):
        end = _matches_one(name[at], pattern, place)
        if place < len(pattern) and pattern[place] == "*":
            star, mark = place, at
            place += 1
        elif end:
            place = end
            at += 1
        elif star >= 0:  # let the last star take one more
            mark += 1
            at, place = mark, star + 1
        else:
            return False
    return not pattern[place:].strip("*")


def _matches_one(char: str, pattern: str, place: int) -> int:
    """Where the pattern goes on after it matched one character; 0 if it does not."""
    if place >= len(pattern):
        return 0
    end = pattern.find("]", place + 2) if pattern[place] == "[" else -1
    if end < 0:
        return place + 1 if pattern[place] in ("?", char) else 0
    inside = pattern[place + 1 : end]
    wanted = inside[0] not in "!^"
    inside = inside if wanted else inside[1:]
    hit = False
    while inside:
        if len(inside) > 2 and inside[1] == "-":
            hit = hit or inside[0] <= char <= inside[2]
            inside = inside[3:]
        else:
            hit = hit or inside[0] == char
            inside = inside[1:]
    return end + 1 if hit == wanted else 0


# --- musl ---------------------------------------------------------------------------------------------------


def musl_path(tree: Tree, loader: str) -> tuple[list[str], str]:
    """The directories that musl searches, and the file that says so ("" if none does).

    /lib/ld-musl-x86_64.so.1 reads /etc/ld-musl-x86_64.path; a loader elsewhere reads the one in the etc beside
    its own directory. A file that is there replaces the built-in list altogether.
    """
    directory, _, name = loader.rpartition("/")
    arch = name.removeprefix("ld-musl-").partition(".so")[0]
    path = f"{directory.rpartition('/')[0]}/etc/ld-musl-{arch}.path"
    data = tree.read(path, TEXT_BYTES)
    if data is None:
        return MUSL_DIRS, ""
    return [part for part in os.fsdecode(data).replace("\n", ":").split(":") if part], path
