# SPDX-License-Identifier: MIT
"""One program file as the kernel and the dynamic loader read it: ELF of either class and byte order, or `#!`.

The file may be hostile. It is read in small pieces, every offset is checked against the size before use,
every count has a bound, and whatever is wrong becomes a ConfigError that names the file. Nothing here follows
a name to another file; loader.py and elf.py do that.
"""

import _struct as struct
import posix

from jail import paths
from jail.errors import EXIT_CANNOT_EXECUTE, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Content: TypeAlias = "Elf | Script | None"

HEAD_BYTES = 1024  # the ELF header, the segments and mostly the loader's name lie in it
NAME_BYTES = 4096  # PATH_MAX; no name longer than this can be opened
SEGMENT_TABLE_BYTES = 65536  # the kernel refuses a larger one
DYNAMIC_BYTES = 65536  # 4096 entries of ELF64
SYMBOL_BYTES = 1 << 20  # of the names of symbols: libcrypto has a quarter of that
# who calls one of these has the C library end a thread by unwinding it (glibc, uClibc)
UNWINDING = (b"pthread_exit", b"pthread_cancel", b"thrd_exit", b"getaddrinfo_a")

# Values of the ELF format (System V gABI, chapters 4 and 5, and the GNU additions)
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29
DT_AUDIT, DT_FLAGS_1, DT_AUXILIARY, DT_FILTER = 0x6FFFFEFC, 0x6FFFFFFB, 0x7FFFFFFD, 0x7FFFFFFF
DF_1_NODEFLIB = 0x800
EM_386, EM_MIPS, EM_ARM, EM_X86_64, EM_AARCH64, EM_RISCV = 3, 8, 40, 62, 183, 243

# The bits of e_flags in which two files of one machine must agree to be mapped together:
# mips: n32, the ABI field, the meaning of NaN; riscv: the floating-point ABI
ABI_FLAGS = {EM_MIPS: 0x20 | 0xF000 | 0x400, EM_RISCV: 0x6}
EF_MIPS_N32 = 0x20
EF_ARM_FLOAT = 0x600  # soft, hard; neither bit in old files, which fit both

# (bits, little) → header after e_ident, segment, dynamic entry
HEADER = {}
SEGMENT = {}
DYNAMIC = {}
for _little, _order in ((True, "<"), (False, ">")):
    HEADER[32, _little] = struct.Struct(_order + "HHIIIIIHHH")
    HEADER[64, _little] = struct.Struct(_order + "HHIQQQIHHH")
    SEGMENT[32, _little] = struct.Struct(_order + "8I")
    SEGMENT[64, _little] = struct.Struct(_order + "2I6Q")
    DYNAMIC[32, _little] = struct.Struct(_order + "2I")
    DYNAMIC[64, _little] = struct.Struct(_order + "2Q")

# e_machine, bits, little → name of the architecture in policies
ABI_NAMES = {
    (EM_X86_64, 64, True): "x86_64",
    (EM_386, 32, True): "i386",
    (EM_MIPS, 32, False): "mips",
    (EM_MIPS, 32, True): "mipsel",
    (EM_ARM, 32, True): "arm",
    (EM_AARCH64, 64, True): "aarch64",
    (EM_RISCV, 64, True): "riscv64",
}


class Script:
    """A file that begins with `#!`."""

    __slots__ = ("argument", "interpreter")

    def __init__(self, interpreter: str, argument: str) -> None:
        self.interpreter = interpreter
        self.argument = argument


class Elf:
    """What the kernel and the loader take from one ELF file."""

    __slots__ = (
        "audits", "auxiliaries", "bits", "constants", "ends_threads", "filters", "flags", "interpreter",
        "is_nodeflib", "little", "machine", "needed", "rpath", "runpath", "soname",
    )  # fmt: skip

    def __init__(self, bits: int, little: bool, machine: int, flags: int) -> None:
        self.bits = bits
        self.little = little
        self.machine = machine
        self.flags = flags
        self.interpreter = ""
        self.needed: list[str] = []
        self.filters: list[str] = []
        self.auxiliaries: list[str] = []
        self.audits: list[str] = []
        self.rpath = ""
        self.runpath = ""
        self.soname = ""
        self.is_nodeflib = False
        self.ends_threads = False  # it names one of UNWINDING
        self.constants: list[tuple[int, int]] = []  # (offset, size) of what is not writable, code last

    @property
    def abi(self) -> str:
        """The architecture as the policy compiler names it, "" if it knows none such."""
        if self.machine == EM_MIPS and self.flags & EF_MIPS_N32:
            return ""
        return ABI_NAMES.get((self.machine, self.bits, self.little), "")

    def fits(self, other: "Elf") -> bool:
        """Whether one process can map both."""
        if (self.bits, self.little, self.machine) != (other.bits, other.little, other.machine):
            return False
        if self.machine == EM_ARM:
            both = (self.flags & EF_ARM_FLOAT, other.flags & EF_ARM_FLOAT)
            return both[0] == both[1] or 0 in both
        return not (self.flags ^ other.flags) & ABI_FLAGS.get(self.machine, 0)


def shown(name: str) -> str:
    """A name from a file, fit for a message of one line."""
    return name if name.isprintable() else ascii(name)[1:-1]


def refuse(name: str, reason: str) -> ConfigError:
    """The error for a file that cannot be executed or mapped."""
    error = ConfigError(f"{shown(name)}: {reason}")
    error.status = EXIT_CANNOT_EXECUTE
    return error


class _Reader:
    """Checked reads of one open ELF file."""

    __slots__ = ("fd", "head", "loads", "name", "size_bytes")

    def __init__(self, fd: int, name: str, size_bytes: int, head: bytes) -> None:
        self.fd = fd
        self.name = name
        self.size_bytes = size_bytes
        self.head = head
        self.loads: list[tuple[int, int, int]] = []  # vaddr, offset, filesz

    def piece(self, offset: int, size: int) -> bytes:
        if offset + size > self.size_bytes:
            raise refuse(self.name, f"damaged ELF file: offset {offset} + {size} is past its end")
        if offset + size <= len(self.head):
            return self.head[offset : offset + size]
        data = posix.pread(self.fd, size, offset)
        if len(data) != size:
            raise refuse(self.name, "damaged ELF file: it ends early")
        return data

    def offset_of(self, address: int) -> tuple[int, int]:
        """Where the byte at a virtual address lies in the file, and how many follow it in its segment."""
        for start, offset, filesz in self.loads:
            if start <= address < start + filesz:
                return offset + address - start, filesz - (address - start)
        raise refuse(self.name, f"damaged ELF file: address {address:#x} is in no segment")

    def text(self, offset: int, limit: int) -> str:
        """The NUL-terminated string at `offset`, whose table has `limit` bytes left."""
        limit = min(limit, NAME_BYTES, self.size_bytes - offset)
        for size in (128, NAME_BYTES):
            if limit <= 0:
                break
            data = self.piece(offset, min(size, limit))
            end = data.find(b"\0")
            if end >= 0:
                return paths.as_name(data[:end])
        raise refuse(self.name, "damaged ELF file: a name without an end")


def _read_elf(fd: int, name: str, size_bytes: int, head: bytes) -> Elf:
    """Read one ELF file; `head` is its beginning."""
    reader = _Reader(fd, name, size_bytes, head)
    bits = {1: 32, 2: 64}.get(head[4] if len(head) > 5 else 0, 0)
    if not bits or head[5] not in (1, 2):
        raise refuse(name, "damaged ELF file: unknown class or byte order")
    little = head[5] == 1
    header = HEADER[bits, little]
    kind, machine, _, _, table, _, flags, _, entry_size, count = header.unpack(reader.piece(16, header.size))
    segment = SEGMENT[bits, little]
    if kind not in (ET_EXEC, ET_DYN):
        raise refuse(name, "an ELF file, but neither program nor library")
    if not count or entry_size != segment.size or count * entry_size > SEGMENT_TABLE_BYTES:
        raise refuse(name, f"damaged ELF file: {count} segments of {entry_size} bytes")
    elf = Elf(bits, little, machine, flags)
    interpreter = dynamic = None
    for fields in segment.iter_unpack(reader.piece(table, count * entry_size)):
        if bits == 64:
            what, access, offset, address, _, filesz = fields[:6]
        else:
            what, offset, address, _, filesz, _, access = fields[:7]
        if what == PT_LOAD:
            reader.loads.append((address, offset, filesz))
            if not access & 2:
                elf.constants.insert(0 if not access & 1 else len(elf.constants), (offset, filesz))
        elif what == PT_INTERP and interpreter is None:
            interpreter = (offset, filesz)
        elif what == PT_DYNAMIC:
            dynamic = (address, filesz)
    if interpreter is not None:
        elf.interpreter = _interpreter(reader, *interpreter)
    if dynamic is not None:
        _read_dynamic(reader, elf, *dynamic)
    return elf


def _interpreter(reader: _Reader, offset: int, size: int) -> str:
    # The kernel's own rule: 2 bytes up to PATH_MAX, the last one NUL
    if not 2 <= size <= NAME_BYTES:
        raise refuse(reader.name, "damaged ELF file: the loader's name has an impossible length")
    data = reader.piece(offset, size)
    path = paths.as_name(data.split(b"\0", 1)[0])
    if data[-1] or not path:
        raise refuse(reader.name, "damaged ELF file: the loader's name has no end")
    return path


def _read_dynamic(reader: _Reader, elf: Elf, address: int, size: int) -> None:
    entry = DYNAMIC[elf.bits, elf.little]
    offset, left = reader.offset_of(address)
    size = min(size, left, DYNAMIC_BYTES)
    strings: list[tuple[int, int]] = []
    table = table_size = -1
    for tag, value in entry.iter_unpack(reader.piece(offset, size - size % entry.size)):
        if tag == DT_NULL:
            break
        if tag == DT_STRTAB:
            table = value
        elif tag == DT_STRSZ:
            table_size = value
        elif tag == DT_FLAGS_1:
            elf.is_nodeflib = bool(value & DF_1_NODEFLIB)
        elif tag in STRING_TAGS:
            strings.append((tag, value))
    else:
        raise refuse(reader.name, "damaged ELF file: the dynamic section has no end")
    if not strings:
        return
    if table < 0 or table_size < 0:
        raise refuse(reader.name, "damaged ELF file: names but no string table")
    start, left = reader.offset_of(table)
    table_size = min(table_size, left)
    for tag, index in strings:
        text = reader.text(start + index, table_size - index) if index < table_size else ""
        if not text and tag in (DT_NEEDED, DT_FILTER):
            raise refuse(reader.name, "damaged ELF file: the name of a library is missing")
        _store(elf, tag, text)
    names = reader.piece(start, min(table_size, SYMBOL_BYTES))
    elf.ends_threads = any(b"%b\0" % name in names for name in UNWINDING)


STRING_TAGS = (DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_AUDIT, DT_AUXILIARY, DT_FILTER)


def _store(elf: Elf, tag: int, text: str) -> None:
    if tag == DT_NEEDED:
        elf.needed.append(text)
    elif tag == DT_SONAME:
        elf.soname = text
    elif tag == DT_RPATH:
        elf.rpath = text
    elif tag == DT_RUNPATH:
        elf.runpath = text
    elif tag == DT_FILTER:
        elf.filters.append(text)
    elif text:
        (elf.audits if tag == DT_AUDIT else elf.auxiliaries).extend(text.split(":"))


def read(fd: int, name: str, size_bytes: int) -> "Content":
    """What a file is; None if it is neither ELF nor `#!`. Raises ConfigError for what is damaged, OSError."""
    head = posix.pread(fd, HEAD_BYTES, 0)
    if head.startswith(b"#!"):
        from jail.shebang import read_script

        return read_script(name, head)
    if head.startswith(b"\x7fELF"):
        return _read_elf(fd, name, size_bytes, head)
    return None


def version_of(info: posix.stat_result) -> tuple[int, ...]:
    """What changes when a file does; the key of everything that is kept between two starts.

    Times alone are those of the kernel's last tick: a change of the mode soon after another change leaves them as they
    were.
    """
    return (info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size, info.st_ctime_ns, info.st_mode)


def open_regular(path: str) -> int:
    """Open a file for reading without waiting at a FIFO or becoming a terminal's owner."""
    return posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY)
