# SPDX-License-Identifier: MIT
"""Where a dynamic loader looks: its built-in directories, ld.so.cache, musl's path file.

Nothing here decides which library is the right one; loader.py does that.
"""

import _struct as struct
import posix

from jail import paths
from jail.elffile import Elf, open_regular, version_of
from jail.tree import Tree

TEXT_BYTES = 65536  # of a configuration file
CACHE_BYTES = 16 << 20
CONSTANT_BYTES = 1 << 20  # of a loader's read-only data
KEPT = 16

LD_SO_CACHE = "/etc/ld.so.cache"
MUSL_DIRS = ["/lib", "/usr/local/lib", "/usr/lib"]


# --- the loader's own directories ---------------------------------------------------------------------------

_built_in: dict[tuple[int, ...], list[str]] = {}


def built_in_dirs(tree: Tree, loader: str, elf: Elf) -> list[str]:
    """The directories that were compiled into a glibc loader, in its order; [] if they cannot be told.

    They differ by distribution (/lib64, /lib/x86_64-linux-gnu, a store path), and only the loader knows:
    in its read-only data they stand as NUL-terminated names one after the other, each ending in a slash.
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
            dirs = _dir_list(posix.pread(fd, min(size, CONSTANT_BYTES), offset))
            if dirs:
                return dirs
    except OSError:
        return []
    finally:
        posix.close(fd)
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
            dirs.append(paths.as_name(name[:-1]))
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
FOUND = 1024


class Cache:
    """ld.so.cache, looked into where needed: reading all of it would cost more than the start has.

    Source: glibc, sysdeps/generic/dl-cache.h; the format since glibc 2.2, alone or behind the older one.
    """

    __slots__ = ("base", "count", "data", "entry", "found", "hwcaps", "keys", "order")

    def __init__(self, data: bytes) -> None:
        self.base = max(data.find(CACHE_MAGIC), 0)
        self.data = data = data[self.base :] if self.base else data
        self.count = 0
        self.hwcaps: list[str] = []
        self.keys: dict[int, list[int]] = {}  # of the names that were compared
        # For a long-lived process, in which the processor stays the same: with its levels, or without
        self.found: dict[tuple[str, bool], list[str]] = {}
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
                    self.hwcaps = [paths.as_name(self._name(at)) for at in names]
        except struct.error:  # type: ignore[attr-defined]
            self.hwcaps = []

    def find(self, name: str, levels: "list[str]") -> list[str]:
        """The paths listed for a library, those for the best processor level first.

        Entries with the capability bits of glibc before 2.33 are passed over: the plain one always serves.
        """
        asked = (name, bool(levels))
        if asked not in self.found:
            if len(self.found) >= FOUND:
                self.found.clear()
            self.found[asked] = self._search(name, levels)
        return self.found[asked]

    def _search(self, name: str, levels: "list[str]") -> list[str]:
        found: list[tuple[int, int, str]] = []
        wanted = _sort_key(paths.as_bytes(name))
        number = self._first(wanted)
        while number < self.count and len(found) < SAME_NAMES:
            _, _, value, _, hwcap = self._entry(number)
            if self._key(number) != wanted:
                break
            rank = self._rank(hwcap, levels)
            if rank >= 0:
                found.append((rank, number, paths.as_name(self._name(value))))
            number += 1
        return [path for _, _, path in sorted(found)]

    def _first(self, wanted: list[int]) -> int:
        """The first entry that is not greater: ldconfig sorts them downwards."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self._key(middle) > wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def _key(self, number: int) -> list[int]:
        if number not in self.keys:
            self.keys[number] = _sort_key(self._name(self._entry(number)[1]))
        return self.keys[number]

    def _entry(self, number: int) -> tuple[int, ...]:
        return self.entry.unpack_from(self.data, CACHE_HEADER_BYTES + number * CACHE_ENTRY_BYTES)

    def _name(self, at: int) -> bytes:
        return self.data[at : max(self.data.find(b"\0", at, at + 4096), at)]

    def _rank(self, hwcap: int, levels: "list[str]") -> int:
        if not hwcap:
            return len(levels)
        index = hwcap & 0xFFFFFFFF
        if hwcap & HWCAPS_BIT and index < len(self.hwcaps) and self.hwcaps[index] in levels:
            return levels.index(self.hwcaps[index])
        return -1

    def has_hwcaps(self) -> bool:
        return bool(self.hwcaps)


def _sort_key(name: bytes) -> list[int]:
    """The order of ldconfig: letter by letter, but numbers by their value and after every letter.

    Source: glibc, _dl_cache_libcmp.
    """
    key: list[int] = []
    number = -1
    for byte in name:
        if 48 <= byte <= 57:
            number = (byte - 48) if number < 0 else number * 10 + byte - 48
            continue
        if number >= 0:
            key.append(256 + number)
            number = -1
        key.append(byte)
    if number >= 0:
        key.append(256 + number)
    return key


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


# --- musl ---------------------------------------------------------------------------------------------------


def musl_path(tree: Tree, loader: str) -> tuple[list[str], str]:
    """The directories that musl searches, and the file that says so ("" if none does).

    /lib/ld-musl-x86_64.so.1 reads /etc/ld-musl-x86_64.path; a loader elsewhere reads the one in the etc
    beside its own directory. A file that is there replaces the built-in list altogether.
    """
    directory, _, name = loader.rpartition("/")
    arch = name.removeprefix("ld-musl-").partition(".so")[0]
    path = f"{directory.rpartition('/')[0]}/etc/ld-musl-{arch}.path"
    data = tree.read(path, TEXT_BYTES)
    if data is None:
        return MUSL_DIRS, ""
    return [part for part in paths.as_name(data).replace("\n", ":").split(":") if part], path
