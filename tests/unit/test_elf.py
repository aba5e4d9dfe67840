# SPDX-License-Identifier: MIT
"""The closure of programs that are built here by hand, each in a root of its own."""

import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jail import elf, elffile, libsearch, tree
from jail.elf import closure
from jail.elffile import (
    DT_AUXILIARY,
    DT_FILTER,
    DT_FLAGS_1,
    DT_NEEDED,
    DT_NULL,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_STRSZ,
    DT_STRTAB,
    EM_386,
    EM_AARCH64,
    EM_ARM,
    EM_MIPS,
    EM_RISCV,
    EM_X86_64,
    Elf,
)
from jail.errors import ConfigError
from jail.patterns import matches
from jail.policy import native_arch
from jail.tree import Tree

LOADER = "/lib64/ld-linux-x86-64.so.2"
FOREIGN = "" if native_arch() == "x86_64" else ", a program for x86_64"
MUSL = "/lib/ld-musl-x86_64.so.1"
BASE = 0x400000
DT_SYMBOL = (
    0x60000000  # of the operating system's own, and of none's: its string is in the table, as a symbol's is
)


def elf_file(
    machine: int = EM_X86_64,
    bits: int = 64,
    little: bool = True,
    interpreter: str = "",
    tags: list[tuple[int, str | int]] | None = None,
    flags: int = 0,
    kind: int = 3,
    constants: bytes = b"",
) -> bytes:
    """An ELF file with one segment that maps all of it, an interpreter and a dynamic section."""
    order = "<" if little else ">"
    header_bytes, segment_bytes = (64, 56) if bits == 64 else (52, 32)
    strings = bytearray(b"\0")
    entries = []
    for tag, value in tags or []:
        if isinstance(value, str):
            entries.append((tag, len(strings)))
            strings += value.encode() + b"\0"
        else:
            entries.append((tag, value))
    count = 1 + bool(interpreter) + (tags is not None)
    place = header_bytes + count * segment_bytes
    name = interpreter.encode() + b"\0" if interpreter else b""
    dynamic_at = place + len(name)
    entry = struct.Struct(order + ("2Q" if bits == 64 else "2I"))
    strings_at = dynamic_at + (len(entries) + 3) * entry.size
    entries += [(DT_STRTAB, BASE + strings_at), (DT_STRSZ, len(strings)), (DT_NULL, 0)]
    dynamic = b"".join(entry.pack(*fields) for fields in entries)
    body = name + dynamic + bytes(strings) + b"\0" + constants
    total = place + len(body)

    def segment(what: int, offset: int, size: int) -> bytes:
        if bits == 64:
            return struct.pack(order + "2I6Q", what, 4, offset, BASE + offset, 0, size, size, 1)
        return struct.pack(order + "8I", what, offset, BASE + offset, 0, size, size, 4, 1)

    segments = segment(1, 0, total)
    if interpreter:
        segments += segment(3, place, len(name))
    if tags is not None:
        segments += segment(2, dynamic_at, len(dynamic))
    ident = b"\x7fELF" + bytes([bits // 32, 1 if little else 2, 1]) + bytes(9)
    layout = order + ("HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH")
    header = struct.pack(layout, kind, machine, 1, BASE, header_bytes, 0, flags, header_bytes, segment_bytes,
                         count, 0, 0, 0)  # fmt: skip
    return ident + header + segments + body


def loader_file(*dirs: str, little: bool = True) -> bytes:
    """A glibc loader with its built-in directories in its constants."""
    names = b"".join(name.encode() + b"/\0" for name in dirs)
    tags: list[tuple[int, str | int]] = [(DT_SONAME, "ld-linux-x86-64.so.2")]
    return elf_file(tags=tags, little=little, constants=bytes(8) + names + bytes(8))


def needs(*names: str) -> list[tuple[int, str | int]]:
    return [(DT_NEEDED, name) for name in names]


class Root:
    """A directory to be filled with programs and examined as a root."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, content: bytes | str, mode: int = 0o755) -> None:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)

    def symlink(self, name: str, target: str) -> None:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def glibc(self) -> None:
        self.put(LOADER, loader_file("/lib64", "/usr/lib64"))

    def files(self, program: str, *preload: str) -> list[str]:
        return closure(program, preload, str(self.path)).files


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def refusal(root: Root, program: str) -> str:
    with pytest.raises(ConfigError) as caught:
        closure(program, (), str(root.path))
    return str(caught.value)


# --- kinds and architectures --------------------


@pytest.mark.parametrize(
    ("machine", "bits", "little", "flags", "abi"),
    [
        (EM_X86_64, 64, True, 0, "x86_64"),
        (EM_X86_64, 32, True, 0, ""),  # x32
        (EM_386, 32, True, 0, "i386"),
        (EM_MIPS, 32, False, 0x1000, "mips"),
        (EM_MIPS, 32, True, 0x1000, "mipsel"),
        (EM_MIPS, 32, False, 0x20, ""),  # n32
        (EM_MIPS, 64, False, 0, ""),
        (EM_ARM, 32, True, 0x5000400, "arm"),
        (EM_AARCH64, 64, True, 0, "aarch64"),
        (EM_RISCV, 64, True, 5, "riscv64"),
    ],
)
def test_abi_follows_machine_class_and_order(
    root: Root, machine: int, bits: int, little: bool, flags: int, abi: str
) -> None:
    make = partial(elf_file, machine, bits, little, flags=flags)
    root.put("/lib/ld.so.1", make(tags=[]))
    root.put("/lib/libc.so.6", make(tags=[(DT_SONAME, "libc.so.6")]))
    root.put("/bin/x", make(interpreter="/lib/ld.so.1", tags=needs("libc.so.6"), kind=2))
    found = closure("/bin/x", (), str(root.path))
    assert (found.abi, found.kind, found.libc) == (abi, "dynamic", "glibc")
    assert found.files == ["/bin/x", "/lib/ld.so.1", "/lib/libc.so.6"]
    assert found.interpreter == "/lib/ld.so.1"


@pytest.mark.parametrize("tags", [None, []])
def test_program_without_interpreter_is_static(root: Root, tags: list[tuple[int, str | int]] | None) -> None:
    root.put("/bin/x", elf_file(tags=tags))
    found = closure("/bin/x", ("/lib/shim.so",), str(root.path))
    assert (found.kind, found.files, found.libc, found.preloaded) == ("static", ["/bin/x"], "", False)


def test_candidate_for_another_machine_is_passed_over(root: Root) -> None:
    root.glibc()
    root.put("/lib64/liba.so", elf_file(machine=EM_AARCH64, tags=[]))
    root.put("/usr/lib64/liba.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("liba.so")))
    assert root.files("/bin/x") == ["/bin/x", LOADER, "/usr/lib64/liba.so"]


def test_loader_for_another_machine_is_refused(root: Root) -> None:
    root.put(LOADER, elf_file(machine=EM_AARCH64, tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[]))
    assert refusal(root, "/bin/x") == f"{LOADER}: not a loader for /bin/x{FOREIGN}"


def test_missing_loader_names_the_program(root: Root) -> None:
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[]))
    assert refusal(root, "/bin/x") == f"{LOADER}: not found, needed by /bin/x{FOREIGN}"


@pytest.mark.parametrize(("machine", "kind"), [(EM_AARCH64, "aarch64"), (1, "another kind of machine")])
def test_a_program_of_another_router_is_called_one(root: Root, machine: int, kind: str) -> None:
    root.put("/bin/x", elf_file(machine=machine, interpreter="/lib/ld-other.so.1", tags=[]))
    foreign = f", a program for {kind}" if kind != native_arch() else ""
    assert refusal(root, "/bin/x") == f"/lib/ld-other.so.1: not found, needed by /bin/x{foreign}"


# --- the search for libraries --------------------


def test_missing_library_names_who_needs_it(root: Root) -> None:
    root.glibc()
    root.put("/lib64/liba.so", elf_file(tags=needs("libmissing.so.1")))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("liba.so")))
    assert refusal(root, "/bin/x") == "libmissing.so.1: not found, needed by /lib64/liba.so"


def test_libraries_come_in_breadth_first_order_and_once(root: Root) -> None:
    root.glibc()
    root.put("/lib64/liba.so", elf_file(tags=needs("libc.so", "libb.so")))
    root.put("/lib64/libb.so", elf_file(tags=needs("liba.so")))
    root.put("/lib64/libc.so", elf_file(tags=needs("ld-linux-x86-64.so.2")))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("liba.so", "libb.so")))
    assert root.files("/bin/x") == ["/bin/x", LOADER, "/lib64/liba.so", "/lib64/libb.so", "/lib64/libc.so"]


def test_soname_of_a_loaded_library_is_not_searched(root: Root) -> None:
    root.glibc()
    root.put("/opt/real.so", elf_file(tags=[(DT_SONAME, "libreal.so.1")]))
    root.put("/lib64/liba.so", elf_file(tags=needs("libreal.so.1")))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("/opt/real.so", "liba.so")))
    assert root.files("/bin/x") == ["/bin/x", LOADER, "/opt/real.so", "/lib64/liba.so"]


def test_rpath_is_inherited(root: Root) -> None:
    root.glibc()
    root.put("/opt/liba.so", elf_file(tags=needs("libb.so")))
    root.put("/opt/libb.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("liba.so"), (DT_RPATH, "/opt")]))
    assert root.files("/bin/x") == ["/bin/x", LOADER, "/opt/liba.so", "/opt/libb.so"]


def test_runpath_is_not_inherited(root: Root) -> None:
    root.glibc()
    root.put("/opt/liba.so", elf_file(tags=needs("libb.so")))
    root.put("/opt/libb.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("liba.so"), (DT_RUNPATH, "/opt")]))
    assert refusal(root, "/bin/x") == "libb.so: not found, needed by /opt/liba.so"


def test_rpath_beside_a_runpath_is_ignored(root: Root) -> None:
    root.glibc()
    root.put("/opt/a/lib.so", elf_file(tags=[]))
    root.put("/opt/b/lib.so", elf_file(tags=[]))
    tags = [*needs("lib.so"), (DT_RPATH, "/opt/a"), (DT_RUNPATH, "/opt/b")]
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=tags))
    assert root.files("/bin/x")[2:] == ["/opt/b/lib.so"]


def test_rpath_is_searched_before_the_built_in_directories(root: Root) -> None:
    root.glibc()
    for directory in ("/lib64", "/opt"):
        root.put(f"{directory}/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("lib.so"), (DT_RUNPATH, "/none:/opt/")]))
    assert root.files("/bin/x")[2:] == ["/opt/lib.so"]


@pytest.mark.parametrize("origin", ["$ORIGIN", "${ORIGIN}"])
def test_origin_is_where_the_object_lies(root: Root, origin: str) -> None:
    root.glibc()
    root.put("/opt/x/lib/liba.so", elf_file(tags=[*needs("libb.so"), (DT_RUNPATH, origin + "/deep")]))
    root.put("/opt/x/lib/deep/libb.so", elf_file(tags=[]))
    tags = [*needs("liba.so"), (DT_RUNPATH, origin + "/../lib")]
    root.put("/opt/x/bin/x", elf_file(interpreter=LOADER, tags=tags))
    found = closure("/opt/x/bin/x", (), str(root.path))
    assert found.files[2:] == ["/opt/x/lib/liba.so", "/opt/x/lib/deep/libb.so"]
    assert found.dirs == ["/opt/x/bin"]


def test_origin_of_a_program_called_through_a_symlink_is_its_real_place(root: Root) -> None:
    root.glibc()
    root.put("/opt/x/bin/x", elf_file(interpreter=LOADER, tags=[*needs("lib.so"), (DT_RUNPATH, "$ORIGIN")]))
    root.put("/opt/x/bin/lib.so", elf_file(tags=[]))
    root.symlink("/bin/x", "/opt/x/bin/x")
    found = closure("/bin/x", (), str(root.path))
    assert found.files == ["/bin/x", LOADER, "/opt/x/bin/lib.so", "/opt/x/bin/x"]
    assert found.links == {"/bin/x": "/opt/x/bin/x"}
    assert found.needs_proc


def test_origin_in_which_nothing_is_found_asks_for_nothing(root: Root) -> None:
    root.glibc()
    root.put("/opt/x", elf_file(interpreter=LOADER, tags=[*needs("lib.so"), (DT_RUNPATH, "$ORIGIN/none")]))
    root.put("/lib64/lib.so", elf_file(tags=[]))
    root.symlink("/bin/x", "/opt/x")
    found = closure("/bin/x", (), str(root.path))
    assert (found.files[2:], found.links, found.needs_proc) == (["/lib64/lib.so"], {}, False)


def test_dots_through_a_symlinked_directory_keep_the_name_and_the_file(root: Root) -> None:
    root.glibc()
    root.put("/srv/v1/lib/lib.so", elf_file(tags=[]))
    root.put("/srv/v1/bin/tool", b"")
    root.symlink("/opt/bin", "/srv/v1/bin")
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("/opt/bin/../lib/lib.so")))
    found = closure("/bin/x", (), str(root.path))
    assert found.links == {"/opt/lib/lib.so": "/srv/v1/lib/lib.so"}
    assert {"/opt/lib/lib.so", "/srv/v1/lib/lib.so"} <= set(found.files)
    assert found.dirs == ["/opt/bin"]


def test_lib_variable_is_the_loaders_own_directory(root: Root) -> None:
    root.put(LOADER, loader_file("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"))
    root.put("/opt/lib/x86_64-linux-gnu/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("lib.so"), (DT_RUNPATH, "/opt/$LIB")]))
    assert root.files("/bin/x")[2:] == ["/opt/lib/x86_64-linux-gnu/lib.so"]


def test_platform_variable_is_the_processor(root: Root) -> None:
    root.glibc()
    root.put("/opt/x86_64/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("lib.so"), (DT_RUNPATH, "/opt/$PLATFORM")]))
    assert root.files("/bin/x")[2:] == ["/opt/x86_64/lib.so"]


def test_two_names_of_one_library_are_both_there(root: Root) -> None:
    root.glibc()
    root.put("/lib64/liba.so.1.2", elf_file(tags=[]))
    root.symlink("/lib64/liba.so.1", "liba.so.1.2")
    root.symlink("/lib64/liba.so", "liba.so.1")
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("liba.so", "liba.so.1")))
    assert root.files("/bin/x")[2:] == ["/lib64/liba.so", "/lib64/liba.so.1"]


def test_filter_library_is_needed_and_auxiliary_is_not(root: Root) -> None:
    root.glibc()
    root.put("/lib64/liba.so", elf_file(tags=[(DT_FILTER, "libf.so"), (DT_AUXILIARY, "libx.so")]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("liba.so")))
    assert refusal(root, "/bin/x") == "libf.so: not found, needed by /lib64/liba.so"
    root.put("/lib64/libf.so", elf_file(tags=[]))
    assert root.files("/bin/x")[2:] == ["/lib64/liba.so", "/lib64/libf.so"]


def test_nodeflib_keeps_to_the_rpath(root: Root) -> None:
    root.glibc()
    root.put("/lib64/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("lib.so"), (DT_FLAGS_1, 0x800)]))
    assert refusal(root, "/bin/x") == "lib.so: not found, needed by /bin/x"


def calls(*names: str) -> list[tuple[int, str | int]]:
    """Names of symbols: this tag is none whose name is looked at."""
    return [(DT_SYMBOL, name) for name in names]


@pytest.mark.parametrize("name", ["pthread_exit", "pthread_cancel", "thrd_exit", "getaddrinfo_a"])
@pytest.mark.parametrize("is_in_library", [True, False])
def test_who_ends_threads_brings_what_unwinds_them(root: Root, name: str, is_in_library: bool) -> None:
    """The C library opens it then, and aborts without it; nobody names it."""
    root.glibc()
    libc = needs("libc.so.6")
    root.put("/lib64/libc.so.6", elf_file(tags=[(DT_SONAME, "libc.so.6"), *calls(name)]))
    root.put("/lib64/libgcc_s.so.1", elf_file(tags=libc))
    root.put("/lib64/liba.so", elf_file(tags=[*libc, *(calls(name) if is_in_library else [])]))
    mine = [] if is_in_library else calls(name)
    root.put("/bin/ends", elf_file(interpreter=LOADER, tags=[*needs("liba.so"), *libc, *mine]))
    root.put("/bin/goes-on", elf_file(interpreter=LOADER, tags=[*libc, *calls("pthread_create")]))
    assert "/lib64/libgcc_s.so.1" in root.files("/bin/ends")
    assert "/lib64/libgcc_s.so.1" not in root.files("/bin/goes-on")
    # a system without it has programs that never come so far
    (root.path / "lib64/libgcc_s.so.1").unlink()
    assert "/lib64/liba.so" in root.files("/bin/ends")


def test_musl_unwinds_no_thread(root: Root) -> None:
    root.put(MUSL, elf_file(tags=[(DT_SONAME, "libc.so")]))
    root.put("/lib/libgcc_s.so.1", elf_file(tags=[]))
    root.put("/bin/ends", elf_file(interpreter=MUSL, tags=[*needs("libc.so"), *calls("pthread_exit")]))
    assert set(root.files("/bin/ends")) == {MUSL, "/bin/ends"}


def test_preloaded_library_brings_its_own(root: Root) -> None:
    root.glibc()
    for name in ("liba.so", "libs.so"):
        root.put(f"/lib64/{name}", elf_file(tags=[]))
    root.put("/usr/shim.so", elf_file(tags=needs("libs.so")))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("liba.so")))
    found = closure("/bin/x", ("/usr/shim.so",), str(root.path))
    assert found.files[2:] == ["/usr/shim.so", "/lib64/liba.so", "/lib64/libs.so"]
    assert found.preloaded


def test_shared_library_brings_what_it_needs_where_a_loader_may_load_it(root: Root) -> None:
    root.glibc()
    root.put("/lib64/liba.so", elf_file(tags=[]))
    root.put("/plugins/mod.so", elf_file(tags=needs("liba.so")), mode=0o644)

    def files(loader: str) -> list[str]:
        return closure("/plugins/mod.so", (), str(root.path), shared=True, loader=loader).files

    assert files(LOADER) == ["/plugins/mod.so", LOADER, "/lib64/liba.so"]
    assert files("") == ["/plugins/mod.so"]  # of a static program's jail


def test_preload_for_another_machine_is_left_out_and_said(root: Root) -> None:
    root.glibc()
    root.put("/usr/shim.so", elf_file(machine=EM_AARCH64, tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[]))
    found = closure("/bin/x", ("/usr/shim.so",), str(root.path))
    assert (found.files, found.preloaded) == (["/bin/x", LOADER], False)


def test_absolute_symlink_stays_below_the_root(root: Root) -> None:
    root.glibc()
    root.put("/store/lib.so", elf_file(tags=[]))
    root.symlink("/lib64/lib.so", "/../../store/lib.so")
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib.so")))
    assert root.files("/bin/x")[2:] == ["/lib64/lib.so"]


def test_symlink_loop_is_not_found(root: Root) -> None:
    root.glibc()
    root.symlink("/lib64/lib.so", "lib.so")
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib.so")))
    assert refusal(root, "/bin/x") == "lib.so: not found, needed by /bin/x"


# --- ld.so.cache and ld.so.conf --------------------


def cache_file(
    entries: list[tuple[str, str, int]], little: bool = True, levels: tuple[str, ...] = ()
) -> bytes:
    """ld.so.cache with (name, path, hwcap), in the order of ldconfig."""
    order = "<" if little else ">"
    entries = sorted(entries, key=lambda entry: libsearch._sort_key(entry[0].encode()), reverse=True)
    strings = b""
    start = 48 + 24 * len(entries)
    rows = b""
    for name, path, hwcap in entries:
        # the name is the tail of the path, as ldconfig writes it since glibc 2.33
        value = start + len(strings)
        strings += path.encode() + b"\0"
        rows += struct.pack(order + "iIIIQ", 0x303, value + len(path) - len(name), value, 0, hwcap)
    level_at = [start + len(strings) + sum(len(n) + 1 for n in levels[:i]) for i in range(len(levels))]
    strings += b"".join(level.encode() + b"\0" for level in levels)
    extension = start + len(strings)
    header = libsearch.CACHE_MAGIC + struct.pack(
        order + "2IB3xI12x", len(entries), len(strings), 2 if little else 3, extension if levels else 0
    )
    tail = b""
    if levels:
        tail = struct.pack(order + "2I4I", 0xEAA42174, 1, 1, 0, extension + 24, 4 * len(levels))
        tail += b"".join(struct.pack(order + "I", at) for at in level_at)
    return header + rows + strings + tail


MANY = [(f"lib{n}.so.{n}", f"/usr/lib64/lib{n}.so.{n}", 0) for n in range(40)]


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("old", [b"", b"ld.so-1.7.0\0" + bytes(4)])
def test_cache_is_read_in_either_order_alone_or_behind_the_old_one(
    root: Root, little: bool, old: bytes
) -> None:
    root.put(LOADER, loader_file("/lib64", "/usr/lib64", little=little))
    root.put("/opt/lib9.so.10", elf_file(little=little, tags=[]))
    root.put("/etc/ld.so.cache", old + cache_file([*MANY, ("lib9.so.10", "/opt/lib9.so.10", 0)], little))
    root.put("/bin/x", elf_file(little=little, interpreter=LOADER, tags=needs("lib9.so.10")))
    assert root.files("/bin/x")[2:] == ["/opt/lib9.so.10", "/etc/ld.so.cache"]


def test_cache_is_left_out_where_the_loader_knows_the_directory_itself(root: Root) -> None:
    root.glibc()
    root.put("/usr/lib64/lib7.so.7", elf_file(tags=[]))
    root.put("/etc/ld.so.cache", cache_file(MANY))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib7.so.7")))
    assert root.files("/bin/x")[2:] == ["/usr/lib64/lib7.so.7"]


def test_cache_entry_without_its_file_falls_back_to_the_directories(root: Root) -> None:
    root.glibc()
    root.put("/lib64/lib7.so.7", elf_file(tags=[]))
    root.put("/etc/ld.so.cache", cache_file(MANY))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib7.so.7")))
    assert root.files("/bin/x")[2:] == ["/lib64/lib7.so.7"]


def test_cache_lists_the_best_processor_level_first() -> None:
    extension = 1 << 62
    names = [
        ("a.so", "/lib/a.so", 0),
        ("a.so", "/lib/glibc-hwcaps/x86-64-v2/a.so", extension),
        ("a.so", "/lib/glibc-hwcaps/x86-64-v3/a.so", extension | 1),
        ("a.so", "/lib/haswell/a.so", 1 << 5),
    ]
    cache = libsearch.Cache(cache_file(names, levels=("x86-64-v2", "x86-64-v3")))
    assert cache.find("a.so", []) == ["/lib/a.so"]
    assert cache.find("a.so", ["x86-64-v3", "x86-64-v2"]) == [
        "/lib/glibc-hwcaps/x86-64-v3/a.so",
        "/lib/glibc-hwcaps/x86-64-v2/a.so",
        "/lib/a.so",
    ]


def test_cache_finds_every_name_it_has_and_no_other() -> None:
    cache = libsearch.Cache(cache_file(MANY))
    for name, path, _ in MANY:
        assert cache.find(name, []) == [path]
    for name in ("lib1.so.2", "lib", "zz", "", "lib40.so.40"):
        assert cache.find(name, []) == []


def test_library_of_ld_so_conf_that_is_not_in_the_cache_says_so(root: Root) -> None:
    root.glibc()
    root.put("/etc/ld.so.conf", "# comment\ninclude ld.so.conf.d/*.conf\n")
    root.put("/etc/ld.so.conf.d/x.conf", "/opt/lib\n")
    root.put("/opt/lib/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib.so")))
    assert refusal(root, "/bin/x") == (
        "lib.so: not found (it is in /opt/lib, but not in /etc/ld.so.cache: run ldconfig), needed by /bin/x"
    )


def test_ld_so_conf_that_includes_itself_ends(root: Root) -> None:
    root.glibc()
    root.put("/etc/ld.so.conf", "include ld.so.conf\n" * 50)
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib.so")))
    assert refusal(root, "/bin/x") == "lib.so: not found, needed by /bin/x"


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.conf", "*.conf", True),
        (".a.conf", "*.conf", False),
        ("a.conf.old", "*.conf", False),
        ("ab", "a?", True),
        ("ab", "[a-c][!c]", True),
        ("ac", "[a-c][!c]", False),
        ("a", "[", False),
        ("aXbXc", "a*b*c", True),
        ("", "*", True),
        ("a" * 60, "a*" * 30 + "b", False),
    ],
)
def test_pattern_matches_as_in_the_shell(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


# --- musl --------------------


def test_musl_libc_is_the_loader(root: Root) -> None:
    root.put(MUSL, elf_file(tags=[]))
    names = needs("libc.so", "libc.musl-x86_64.so.1", "libpthread.so.0", "libm.so.6")
    root.put("/bin/x", elf_file(interpreter=MUSL, tags=names))
    found = closure("/bin/x", (), str(root.path))
    assert (found.files, found.libc) == (["/bin/x", MUSL], "musl")


def test_musl_path_file_replaces_the_directories_and_is_needed(root: Root) -> None:
    root.put(MUSL, elf_file(tags=[]))
    root.put("/usr/lib/liba.so", elf_file(tags=[]))
    root.put("/opt/lib/liba.so", elf_file(tags=[]))
    root.put("/etc/ld-musl-x86_64.path", "/none:/opt/lib\n/usr/lib\n")
    root.put("/bin/x", elf_file(interpreter=MUSL, tags=needs("liba.so")))
    assert root.files("/bin/x")[2:] == ["/opt/lib/liba.so", "/etc/ld-musl-x86_64.path"]


def test_musl_path_file_lies_beside_the_loaders_directory(root: Root) -> None:
    root.put("/opt/cross/lib/ld-musl-mips-sf.so.1", elf_file(tags=[]))
    root.put("/opt/cross/etc/ld-musl-mips-sf.path", "/opt/cross/lib")
    root.put("/opt/cross/lib/liba.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter="/opt/cross/lib/ld-musl-mips-sf.so.1", tags=needs("liba.so")))
    assert root.files("/bin/x")[2:] == ["/opt/cross/lib/liba.so", "/opt/cross/etc/ld-musl-mips-sf.path"]


def test_musl_searches_its_own_directories_without_a_path_file(root: Root) -> None:
    root.put(MUSL, elf_file(tags=[]))
    root.put("/usr/local/lib/liba.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=MUSL, tags=needs("liba.so")))
    assert root.files("/bin/x")[2:] == ["/usr/local/lib/liba.so"]


def test_musl_inherits_the_runpath(root: Root) -> None:
    root.put(MUSL, elf_file(tags=[]))
    root.put("/opt/liba.so", elf_file(tags=needs("libb.so")))
    root.put("/opt/libb.so", elf_file(tags=[]))
    root.put("/opt/x", elf_file(interpreter=MUSL, tags=[*needs("liba.so"), (DT_RUNPATH, "$ORIGIN")]))
    assert root.files("/opt/x")[2:] == ["/opt/liba.so", "/opt/libb.so"]


def test_musl_drops_a_path_with_another_variable(root: Root) -> None:
    root.put(MUSL, elf_file(tags=[]))
    root.put("/opt/lib/liba.so", elf_file(tags=[]))
    root.put("/opt/x", elf_file(interpreter=MUSL, tags=[*needs("liba.so"), (DT_RUNPATH, "/opt/$LIB")]))
    assert refusal(root, "/opt/x") == "liba.so: not found, needed by /opt/x"


def test_uclibc_searches_beside_its_loader(root: Root) -> None:
    loader = "/opt/lib/ld-uClibc.so.1"
    root.put(loader, elf_file(tags=[]))
    root.put("/opt/lib/libc.so.1", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=loader, tags=needs("libc.so.1")))
    found = closure("/bin/x", (), str(root.path))
    assert (found.files[2:], found.libc) == (["/opt/lib/libc.so.1"], "uclibc")


# --- scripts --------------------


@pytest.mark.parametrize("line", ["#!/bin/sh\n", "#! \t/bin/sh -e  \n", "#!/bin/sh", "#!/bin/sh\0junk\n"])
def test_script_brings_its_interpreter(root: Root, line: str) -> None:
    root.glibc()
    root.put("/bin/sh", elf_file(interpreter=LOADER, tags=[]))
    root.put("/bin/x", line)
    found = closure("/bin/x", (), str(root.path))
    assert found.files == ["/bin/x", "/bin/sh", LOADER]
    assert (found.kind, found.libc, found.abi) == ("script", "glibc", "x86_64")
    assert found.interpreter == LOADER


@pytest.mark.parametrize(
    "argument", ["tool", "-S tool -x", "-Stool", "-vS A=1 tool", "-S -i A=1 /usr/bin/tool a", "/usr/bin/tool"]
)
def test_env_brings_the_program_from_the_path(root: Root, argument: str) -> None:
    root.put("/usr/bin/env", elf_file())
    root.put("/usr/bin/tool", elf_file())
    root.put("/usr/sbin/tool", "not executable", 0o644)
    root.put("/bin/x", f"#!/usr/bin/env {argument}\n")
    found = closure("/bin/x", (), str(root.path))
    assert found.files == ["/bin/x", "/usr/bin/env", "/usr/bin/tool"]
    assert found.kind == "script"


def test_env_with_an_unknown_program_names_the_script(root: Root) -> None:
    root.put("/usr/bin/env", elf_file())
    root.put("/bin/x", "#!/usr/bin/env perl\n")
    assert refusal(root, "/bin/x").startswith("perl: not found in /usr/sbin:")
    assert refusal(root, "/bin/x").endswith(", needed by /bin/x")


def test_env_that_finds_the_script_again_is_refused(root: Root) -> None:
    root.put("/usr/bin/env", elf_file())
    root.put("/usr/bin/x", "#!/usr/bin/env x\n")
    assert refusal(root, "/usr/bin/x") == "/usr/bin/x: too many interpreters in a row"


def test_five_scripts_in_a_row_are_followed_and_six_are_not(root: Root) -> None:
    root.put("/bin/0", elf_file())
    for number in range(1, 7):
        root.put(f"/bin/{number}", f"#!/bin/{number - 1}\n")
    assert len(root.files("/bin/5")) == 6
    assert refusal(root, "/bin/6") == "/bin/1: too many interpreters in a row"


def test_missing_interpreter_names_the_script(root: Root) -> None:
    root.put("/bin/x", "#!/bin/zsh\n")
    assert refusal(root, "/bin/x") == "/bin/zsh: not found, needed by /bin/x"


@pytest.mark.parametrize("length", [254, 255])
def test_interpreter_longer_than_the_kernel_reads_is_refused(root: Root, length: int) -> None:
    root.put("/bin/x", "#!/" + "a" * (length - 2) + "\n" * 9)
    told = refusal(root, "/bin/x")
    assert told.endswith("not found, needed by /bin/x" if length < 255 else "longer than 256 bytes")


@pytest.mark.parametrize("content", ["#!", "#!\n/bin/sh", "#!   \n"])
def test_script_without_an_interpreter_is_refused(root: Root, content: str) -> None:
    root.put("/bin/x", content)
    assert refusal(root, "/bin/x") == "/bin/x: #! without an interpreter"


# --- what is no program --------------------


def test_missing_program_is_status_127(root: Root) -> None:
    with pytest.raises(ConfigError, match=r"^/bin/x: not found$") as caught:
        root.files("/bin/x")
    assert caught.value.status == 127


@pytest.mark.parametrize("content", [b"", b"\x7fEL", b"text", b"\x7fELF", b"\x7fELF\x02\x01", bytes(600)])
def test_file_that_is_no_program_is_status_126(root: Root, content: bytes) -> None:
    root.put("/bin/x", content)
    with pytest.raises(ConfigError, match=r"^/bin/x: ") as caught:
        root.files("/bin/x")
    assert caught.value.status == 126


def test_program_without_the_execute_bit_is_refused(root: Root) -> None:
    root.put("/bin/x", elf_file(), 0o644)
    assert refusal(root, "/bin/x") == "/bin/x: not executable"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_file_that_is_not_regular_is_refused_at_once(root: Root, make: Callable[[str], None]) -> None:
    make(str(root.path / "x"))
    assert refusal(root, "/x") == "/x: not a regular file"


def test_path_that_no_file_can_have_is_refused() -> None:
    for path in ("x", "", "/x\0", "/\ud800"):
        with pytest.raises(ConfigError, match=r"not an absolute path$"):
            closure(path)


@pytest.mark.parametrize("bits", [32, 64])
def test_every_truncation_is_refused_or_whole(root: Root, bits: int) -> None:
    whole = elf_file(bits=bits, interpreter=LOADER, tags=[*needs("liba.so"), (DT_RUNPATH, "/a")])
    for size in range(0, len(whole) - 1, 7):
        root.put("/bin/x", whole[:size])
        refusal(root, "/bin/x")


def test_string_table_past_the_end_of_the_file_is_refused(root: Root) -> None:
    """None of its names is looked at, and the segment says that it reaches so far."""
    content = bytearray(elf_file(interpreter=LOADER, tags=[(DT_SONAME, 1 << 16)]))
    root.glibc()
    at = content.index(struct.pack("<Q", DT_STRTAB)) + 8
    content[at : at + 8] = struct.pack("<Q", BASE + (1 << 20))
    header = struct.pack("<2I2Q", 1, 4, 0, BASE)
    load = content.index(header)
    content[load + 32 : load + 48] = struct.pack("<2Q", 1 << 21, 1 << 21)
    root.put("/bin/far", bytes(content))
    assert "/bin/far: damaged ELF file" in refusal(root, "/bin/far")


def test_hostile_names_stay_on_one_line(root: Root) -> None:
    root.glibc()
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("a\nb\x1b[2J")))
    assert refusal(root, "/bin/x") == "a\\nb\\x1b[2J: not found, needed by /bin/x"


def test_search_has_an_end(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "LOOK_UPS", 500)
    root.glibc()
    path = ":".join(f"/{n}" for n in range(300))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[*needs("a", "b"), (DT_RUNPATH, path)]))
    assert "more than 500 look-ups" in refusal(root, "/bin/x")


SAMPLE_TAGS = [*needs("a", "b"), (DT_RPATH, "$ORIGIN:/x"), (30, 8)]
SAMPLES = [
    elf_file(bits=bits, little=little, interpreter="/l", tags=SAMPLE_TAGS)
    for bits in (32, 64)
    for little in (True, False)
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)), max_size=4),
    cut=st.none() | st.integers(0, 600),
)
def test_damaged_elf_file_is_read_or_refused(
    tmp_path: Path, sample: bytes, changes: list[tuple[int, bytes]], cut: int | None
) -> None:
    data = bytearray(sample)
    for at, piece in changes:
        data[at : at + len(piece)] = piece
    root = Root(tmp_path)
    root.put("/x", bytes(data[:cut]))
    root.put("/l", sample)
    try:
        found = closure("/x", (), str(tmp_path))
    except ConfigError as e:
        assert "\n" not in str(e)
    else:
        assert found.files[0] == "/x"


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), magic=st.booleans(), name=st.sampled_from(["lib1.so.1", "", "x"]))
def test_damaged_cache_gives_some_list(data: bytes, magic: bool, name: str) -> None:
    cache = libsearch.Cache(
        libsearch.CACHE_MAGIC + data if magic else cache_file(MANY[:3])[: len(data)] + data
    )
    assert isinstance(cache.find(name, ["x86-64-v2"]), list)


# --- in a long-lived process --------------------


def test_unchanged_file_is_not_read_again(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.glibc()
    root.put("/lib64/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("lib.so")))
    first = root.files("/bin/x")

    def refuse_read(fd: int, name: str, size_bytes: int) -> Elf | None:
        raise AssertionError(f"{name} is read again")

    monkeypatch.setattr(tree, "read", refuse_read)
    assert root.files("/bin/x") == first


def test_replaced_file_is_read_again(root: Root) -> None:
    root.glibc()
    root.put("/lib64/lib.so", elf_file(tags=[]))
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=[]))
    assert len(root.files("/bin/x")) == 2
    root.put("/bin/new", elf_file(interpreter=LOADER, tags=needs("lib.so")))
    os.rename(root.path / "bin/new", root.path / "bin/x")
    assert root.files("/bin/x")[2:] == ["/lib64/lib.so"]


def test_descriptors_are_closed_whatever_happens(root: Root) -> None:
    root.glibc()
    root.put("/bin/x", elf_file(interpreter=LOADER, tags=needs("missing.so")))
    root.put("/bin/y", b"\x7fELF")
    before = os.listdir("/proc/self/fd")
    refusal(root, "/bin/x")
    refusal(root, "/bin/y")
    assert os.listdir("/proc/self/fd") == before


def test_what_is_remembered_of_a_program_goes_with_any_file_that_decided_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elf, "_found", {})
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    first = elf.closure(str(script))
    assert elf.closure(str(script)) is first
    script.write_text("#!/bin/cat\n")  # in place, and of another length
    changed = elf.closure(str(script))
    assert "/bin/cat" in changed.files and "/bin/sh" not in changed.files
    other = tmp_path / "other"
    other.write_text("#!/bin/sh \n")
    other.chmod(0o755)
    other.rename(script)
    assert elf.closure(str(script)).files == first.files
    script.chmod(0o644)
    with pytest.raises(ConfigError, match="not executable"):
        elf.closure(str(script))


def test_change_of_the_mode_within_one_tick_of_the_clock_is_noticed(tmp_path: Path) -> None:
    info = tmp_path.stat()
    changed = os.stat_result((info.st_mode ^ 0o111, *info[1:]), {"st_ctime_ns": info.st_ctime_ns})
    same = os.stat_result(info[:], {"st_ctime_ns": info.st_ctime_ns})
    assert elffile.version_of(changed) != elffile.version_of(same)


def test_file_that_comes_where_none_was_is_noticed(tmp_path: Path) -> None:
    tree = Tree("/")
    late = tmp_path / "late"
    assert tree.stat(str(late)) is None and tree.read(str(late), 9) is None
    with pytest.raises(OSError):
        tree.load(str(late))
    assert tree.is_repeatable and tree.is_as_seen()
    late.write_text("x")
    assert not tree.is_as_seen()
    assert tree.read(str(late), 9) == b"x" and not tree.is_repeatable  # seen both ways


def test_program_whose_links_were_followed_or_of_another_root_is_found_anew(tmp_path: Path) -> None:
    tree = Tree("/")
    tree.real("/bin/sh")
    assert not tree.is_repeatable and not Tree(str(tmp_path)).is_repeatable


def test_not_too_many_programs_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "_found", {})
    for number in range(elf.KEPT + 3):
        script = tmp_path / str(number)
        script.write_text("#!/bin/sh\n")
        elf.closure(str(script), shared=True)
    assert 0 < len(elf._found) <= elf.KEPT
