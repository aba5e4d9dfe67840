# SPDX-License-Identifier: MIT
"""The policy compiler for Python: JSON text in, filter out, ConfigError with the place of a mistake; and its tables.

Those are the names of architectures and system calls, and what kind of machine each architecture is.
The compiler itself is C (preload/policy.h) and the shim uses the very same one. On the start path of `ujail`:
imports nothing but our own modules.
"""

import posix

from jail._native import ffi, lib
from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail._native import FFI

ARCHES = ("x86_64", "i386", "mips", "mipsel", "arm", "aarch64", "riscv64")


class Filter:
    """A compiled policy: `code` is struct sock_filter[] in the target's byte order, and its flags."""

    __slots__ = ("code", "flags")

    def __init__(self, code: bytes, flags: int) -> None:
        self.code = code
        self.flags = flags


def compile_filter(
    text: bytes,
    arch: str,
    *,
    path: str,
    startup: bytes | None = None,
    startup_path: str = "start-up rules",
    door1: bool = False,
    exec_pin: tuple[int, int, int] = (0, 0, 0),
    capabilities: int = 0,
    kernel: int | None = None,
    lenient: bool = False,
    mode: int = 0,
) -> Filter:
    """Turn a policy into classic BPF for `arch`, one of ARCHES.

    `startup` is a policy whose rules come first at door 1; `kernel` is major << 16 | minor, by default the
    running one; `capabilities` is a bit mask; `mode` is of POLICY_COMPLAIN, _NOTIFY and _LISTENER.
    Raises ConfigError, "path:line:column: reason".
    """
    request, kept = _request(text, arch, startup, capabilities, kernel)
    request.exec_pin = exec_pin
    request.flags = mode | (lib.POLICY_DOOR1 if door1 else 0) | (lib.POLICY_LENIENT if lenient else 0)
    result = ffi.new("struct policy_result *")
    code_bytes = lib.POLICY_MAX_INSNS * 8
    code = ffi.new("unsigned char[]", code_bytes)
    scratch, size = _scratch(text, startup)
    if lib.policy_compile(request, code, code_bytes, scratch, size, result) < 0:
        raise ConfigError(_describe(result, path, startup_path))
    del kept
    return Filter(bytes(ffi.buffer(code, result.n_insns * 8)), result.filter_flags)


def lint(
    text: bytes, arch: str, *, path: str, capabilities: int = 0, kernel: int | None = None, most: int = 16
) -> list[str]:
    """Return one "path:line:column: reason" for each rule that can never match, at most `most`.

    Raises ConfigError as compile_filter does.
    """
    request, kept = _request(text, arch, None, capabilities, kernel)
    result = ffi.new("struct policy_result *")
    warnings = ffi.new("struct policy_warning[]", most)
    found = lib.policy_lint(request, *_scratch(text, None), warnings, most, result)
    if found < 0:
        raise ConfigError(_describe(result, path, path))
    del kept
    return [f"{path}:{one.line}:{one.column}: {_text(one.message)}" for one in warnings[0:found]]


def running_kernel() -> int:
    """Return major << 16 | minor of the kernel's release."""
    major, minor = posix.uname().release.split(".")[:2]
    digits = len(minor) - len(minor.lstrip("0123456789"))
    return int(major) << 16 | int(minor[:digits])


def _request(
    text: bytes, arch: str, startup: bytes | None, capabilities: int, kernel: int | None
) -> "tuple[FFI.CData, list[FFI.CData]]":
    """Return the C request and what must stay alive as long as it is used."""
    request = ffi.new("struct policy_request *")
    kept = [ffi.new("char[]", arch.encode()), ffi.from_buffer("char[]", text)]
    request.arch, request.policy = kept
    request.policy_size = len(text)
    if startup is not None:
        kept.append(ffi.from_buffer("char[]", startup))
        request.startup = kept[-1]
        request.startup_size = len(startup)
    request.capabilities = capabilities
    request.kernel = running_kernel() if kernel is None else kernel
    return request, kept


def _scratch(text: bytes, startup: bytes | None) -> "tuple[FFI.CData, int]":
    size = lib.policy_scratch_size(len(text), len(startup or b""))
    # uint64_t: the scratch must be aligned for it
    return ffi.new("uint64_t[]", size // 8 + 1), size


def _text(message: "FFI.CData") -> str:
    # cut at a fixed size, perhaps inside a character
    return ffi.string(message).decode("utf-8", "replace")


def _name(pointer: "FFI.CData") -> str:
    return ffi.string(pointer).decode() if pointer else ""


def native_arch() -> str:
    """The name of this machine's own architecture."""
    return _name(lib.native_arch())


def second_arch() -> str:
    """That of the 32-bit programs which this machine runs too, "" for none."""
    return _name(lib.second_arch())


def arch_of_audit(number: int) -> str:
    """The name for an AUDIT_ARCH_ value, "" for one not known here."""
    return _name(lib.audit_arch_name(number))


def is_big_endian(arch: str) -> bool:
    return bool(lib.arch_kind(arch.encode()) & lib.ARCH_BIG)


def call_name(arch: str, number: int) -> str:
    """The name of a system call, "" for a number that has none or for an architecture not known here."""
    return _name(lib.call_name(arch.encode(), number)) if arch else ""


def call_number(arch: str, name: str) -> int:
    """-1 where the architecture does not have the call."""
    return lib.call_number(arch.encode(), name.encode())


def _describe(result: "FFI.CData", path: str, startup_path: str) -> str:
    place = startup_path if result.in_startup else path
    if result.line:
        place = f"{place}:{result.line}:{result.column}"
    return f"{place}: {_text(result.message)}"
