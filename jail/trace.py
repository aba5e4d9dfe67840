# SPDX-License-Identifier: MIT
"""A program → what it and all that it started called: the native tracer's counts in words.

Knows nothing of policies and options.
"""

import errno
import os
from collections import Counter

from jail._native import ffi, lib
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, JailError
from jail.policy import call_name, call_number, native_arch, second_arch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail._native import FFI
    from jail.launch import Jail
    from jail.packed import Packed

NATIVE, SECOND = native_arch(), second_arch()
PRIVATE_CALLS = 0xF0000  # of arm, above all others
MOST_X32 = 1023
FAILED_FILTER = 1  # what trace_run() says
LOST = {
    lib.TRACE_LOST_ARGUMENTS: "the arguments of some calls could not be read",
    lib.TRACE_LOST_FILES: "more files were used than are kept: some are missing",
    lib.TRACE_LOST_CALLS: "more different calls were made than are kept: some are missing in the policy",
    lib.TRACE_LOST_PROGRAMS: "more programs were executed than are told apart: the rest of them is one",
}


class Watch:
    """What to look at in a call: an argument's `value`, the `path` it points to, or the socket `address`.

    `folder` is the argument that a relative path starts from, `mode` the one that says what for; -1: none.
    """

    __slots__ = ("call", "folder", "index", "mode", "what")

    def __init__(self, what: str, call: str, index: int, folder: int = -1, mode: int = -1) -> None:
        self.what = what
        self.call = call
        self.index = index
        self.folder = folder
        self.mode = mode


# how a program puts a filter on itself, which may hide calls from ours: looked at in every trace
FILTERING = (Watch("value", "seccomp", 0), Watch("value", "prctl", 0))


class Program:
    """One program of the traced tree, by the file that was executed.

    `calls`, by ABI: from main on where `from_main`, else from its entry point on. `early`: before main.
    `values`: of watched arguments, {(ABI, call): {value: count}}; `early_values`: before main.
    """

    __slots__ = ("calls", "early", "early_values", "from_main", "name", "values")

    def __init__(self, name: str) -> None:
        self.name = name
        self.from_main = False
        self.calls: dict[str, Counter[str]] = {}
        self.early: dict[str, Counter[str]] = {}
        self.values: dict[tuple[str, str], Counter[int]] = {}
        self.early_values: dict[tuple[str, str], Counter[int]] = {}


class Touch:
    """A path or a socket address that a call was given, by a program; `mode` is the watched argument."""

    __slots__ = ("call", "early", "mode", "text")

    def __init__(self, call: str, text: bytes, mode: int, early: bool) -> None:
        self.call = call
        self.text = text
        self.mode = mode
        self.early = early


class Trace:
    """A traced run. `programs` is in the order of their first exec: the first is what was started.

    With `jail` only those count that are executed with the shim to be loaded, and what they execute.
    """

    __slots__ = ("_native", "lost", "pid", "programs", "touches")

    def __init__(self, watches: list[Watch], registers: bool = False, jail: bool = False) -> None:
        watches = [*FILTERING, *watches]
        rows = [row for abi in (lib.TRACE_NATIVE, lib.TRACE_SECOND) for row in _rows(watches, abi)]
        array = ffi.new("struct trace_watch[]", rows)
        flags = (lib.TRACE_REGISTERS if registers else 0) | (lib.TRACE_JAIL if jail else 0)
        self._native = lib.trace_open(array, len(rows), flags)
        if not self._native:
            raise JailError("out of memory")
        self.pid = 0
        self.programs: list[Program] = []
        self.touches: list[Touch] = []
        self.lost: list[str] = []  # what could not be kept, in words

    def spawn(self, path: str, argv: list[str], env: dict[str, str]) -> None:
        """Make the first process, which waits for run(); from here on the signals for it are held."""
        words = [_c_string(os.fsencode(word)) for word in argv]
        variables = [_c_string(os.fsencode(f"{name}={value}")) for name, value in env.items()]
        c_argv = ffi.new("char *[]", [*words, ffi.NULL])
        c_env = ffi.new("char *[]", [*variables, ffi.NULL])
        pid = lib.trace_spawn(self._native, os.fsencode(path), c_argv, c_env)
        if pid < 0:
            raise JailError(f"cannot trace: {os.strerror(-pid)}")
        self.pid = pid

    def launch(
        self, plan: "Packed", stdio: tuple[int, int, int], net_fd: int = -1, console_fd: int = -1
    ) -> "Jail":
        """Start a jail whose filter is the tracer's. Raises SetupError, as launch() does."""
        from jail.launch import launch

        jail = launch(plan, stdio=stdio, trace=self._native, net_fd=net_fd, console_fd=console_fd)
        self.pid = jail.service_pid
        return jail

    def run(self, path: str) -> int:
        """Trace until all has ended; returns the first process's exit status, 128+N for a signal."""
        status = ffi.new("int *")
        result = lib.trace_run(self._native, status)
        if result < 0:
            if not status[0]:
                raise JailError(f"the tracer: {os.strerror(-result)}")
            if status[0] == FAILED_FILTER:
                raise JailError(f"seccomp: {os.strerror(-result)}")
            error = JailError(f"{path}: {os.strerror(-result)}")
            error.status = EXIT_NOT_FOUND if -result == errno.ENOENT else EXIT_CANNOT_EXECUTE
            raise error
        self._collect()
        return os.WEXITSTATUS(status[0]) if os.WIFEXITED(status[0]) else 128 + os.WTERMSIG(status[0])

    def close(self) -> None:
        """Give everything back. A process that was not run is ended."""
        lib.trace_close(self._native)

    def _collect(self) -> None:
        native = self._native
        while name := lib.trace_program(native, len(self.programs)):
            # it becomes a key in JSON, which has no bytes
            program = Program(ffi.string(name).decode("utf-8", "backslashreplace"))
            program.from_main = bool(lib.trace_is_marked(native, len(self.programs)))
            self.programs.append(program)
        n = ffi.new("size_t *")
        counts = lib.trace_counts(native, n)
        for slot in counts[0 : n[0]] if n[0] else []:
            if slot.count:
                self._add(slot)
        files = lib.trace_files(native, n)
        for file in files[0 : n[0]] if n[0] else []:
            text = ffi.buffer(file.text, file.size)[:]
            call = _name(file.abi, file.number)[1]
            program = self.programs[file.program]
            early = program.from_main and bool(file.early)
            self.touches.append(Touch(call, text, file.mode, early))
        lost = lib.trace_lost(native)
        self.lost = [words for bit, words in LOST.items() if lost & bit]

    def _add(self, slot: "FFI.CData") -> None:
        program = self.programs[slot.program]
        early = program.from_main and bool(slot.early)
        abi, call = _name(slot.abi, slot.number)
        if slot.argument:
            values = program.early_values if early else program.values
            values.setdefault((abi, call), Counter())[slot.value] += slot.count
            return
        table = program.early if early else program.calls
        table.setdefault(abi, Counter())[call] += slot.count


def _rows(watches: list[Watch], abi: int) -> list[tuple[int, ...]]:
    """The watches as C has them, for one ABI of this machine."""
    arch = NATIVE if abi == lib.TRACE_NATIVE else SECOND
    kinds = {"value": lib.TRACE_VALUE, "path": lib.TRACE_PATH, "address": lib.TRACE_ADDRESS}
    rows: list[tuple[int, ...]] = []
    for watch in watches if arch else []:
        number = call_number(arch, watch.call)
        if number >= 0:
            rows.append((abi, number, kinds[watch.what], watch.index, watch.folder, watch.mode))
    return rows


def _c_string(text: bytes) -> "FFI.CData":
    return ffi.new("char[]", text)


def _name(abi: int, number: int) -> tuple[str, str]:
    """The ABI's name and the call's; a number in place of a name that is not known."""
    arch = {lib.TRACE_NATIVE: NATIVE, lib.TRACE_SECOND: SECOND}.get(abi, "")
    if abi == lib.TRACE_HIGH and NATIVE == "arm":
        arch, number = NATIVE, PRIVATE_CALLS | number
    if name := call_name(arch, number):
        return arch, name
    if abi == lib.TRACE_HIGH and NATIVE == "x86_64" and number <= MOST_X32:
        return "x32", call_name(NATIVE, number) or str(number)
    if abi == lib.TRACE_HIGH:
        return "no ABI", "?"
    return (arch, str(number)) if arch else ("another ABI", "?")


def has_call(abi: str, name: str) -> bool:
    return call_number(abi, name) >= 0
