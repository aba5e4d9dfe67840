# SPDX-License-Identifier: MIT
"""Classic BPF as seccomp has it: run a filter on one call, or print it. Pure.

Takes any program that the kernel takes, not only the compiler's: those of a live process may be anybody's.
"""

import struct

from jail._native import lib
from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = (1 << 32) - 1
# struct seccomp_data: number, architecture, instruction pointer, six arguments
DATA = "IIQ6Q"
DATA_BYTES = struct.calcsize(f"<{DATA}")
FIRST_ARGUMENT = 16
ACTIONS = {
    lib.SECCOMP_RET_KILL_PROCESS: "kill process",
    lib.SECCOMP_RET_KILL_THREAD: "kill thread",
    lib.SECCOMP_RET_TRAP: "trap",
    lib.SECCOMP_RET_ERRNO: "errno",
    lib.SECCOMP_RET_USER_NOTIF: "notify",
    lib.SECCOMP_RET_TRACE: "trace",
    lib.SECCOMP_RET_LOG: "log",
    lib.SECCOMP_RET_ALLOW: "allow",
}
JUMPS = {lib.BPF_JEQ: "jeq", lib.BPF_JGT: "jgt", lib.BPF_JGE: "jge", lib.BPF_JSET: "jset"}
SUMS = {
    lib.BPF_ADD: "add",
    lib.BPF_SUB: "sub",
    lib.BPF_MUL: "mul",
    lib.BPF_DIV: "div",
    lib.BPF_OR: "or",
    lib.BPF_AND: "and",
    lib.BPF_LSH: "lsh",
    lib.BPF_RSH: "rsh",
    lib.BPF_XOR: "xor",
}
CLASS, OPERATION, MODE = 0x07, 0xF0, 0xE0  # BPF_CLASS(), BPF_OP() and BPF_MODE() of a code


class Verdict:
    """What a filter says of a call, and whether it looked at an argument to say so."""

    __slots__ = ("depends", "value")

    def __init__(self, value: int, depends: bool) -> None:
        self.value = value
        self.depends = depends

    @property
    def permits(self) -> bool:
        return self.value & lib.SECCOMP_RET_ACTION_FULL in (lib.SECCOMP_RET_ALLOW, lib.SECCOMP_RET_LOG)


class Program:
    """A decoded filter. Raises ConfigError if the kernel would not take it."""

    __slots__ = ("insns", "order")

    def __init__(self, code: bytes, *, big_endian: bool) -> None:
        self.order = ">" if big_endian else "<"
        if not code or len(code) % 8 or len(code) > 8 * lib.BPF_MAXINSNS:
            raise ConfigError(f"{len(code)} bytes are no filter")
        self.insns = [struct.unpack_from(f"{self.order}HBBI", code, at) for at in range(0, len(code), 8)]
        for at, (op, true, false, k) in enumerate(self.insns):
            reach = 0
            if op & CLASS == lib.BPF_JMP:
                reach = k if op & OPERATION == lib.BPF_JA else max(true, false)
            if at + 1 + reach >= len(self.insns) and op & CLASS != lib.BPF_RET:
                raise ConfigError(f"instruction {at}: leads out of the filter")
            _check(at, op, k)

    def run(self, arch: int, number: int, args: "Sequence[int]" = ()) -> Verdict:
        """What happens to one call; `arch` is an AUDIT_ARCH_ value."""
        six = [*args, 0, 0, 0, 0, 0, 0][:6]
        seen = struct.pack(self.order + DATA, number & WORD, arch, 0, *six)
        words = struct.unpack(f"{self.order}{DATA_BYTES // 4}I", seen)
        return _Machine(self.insns, words).run()


class _Machine:
    """Registers and memory for one call."""

    __slots__ = ("a", "depends", "insns", "memory", "words", "x")

    def __init__(self, insns: "list[tuple[int, ...]]", words: tuple[int, ...]) -> None:
        self.insns = insns
        self.words = words
        self.a = self.x = 0
        self.memory = [0] * lib.BPF_MEMWORDS
        self.depends = False

    def run(self) -> Verdict:
        at = 0
        while True:  # jumps lead forward only, and the last instruction returns
            op, true, false, k = self.insns[at]
            at += 1
            kind = op & CLASS
            if kind == lib.BPF_RET:
                return Verdict(self.a if op & 0x18 == lib.BPF_A else k, self.depends)
            if kind == lib.BPF_JMP:
                at += self._jump(op, true, false, k)
            elif kind in (lib.BPF_ST, lib.BPF_STX):
                self.memory[k] = self.a if kind == lib.BPF_ST else self.x
            elif kind == lib.BPF_LD:
                self.a = self._load(op, k)
            elif kind == lib.BPF_LDX:
                self.x = self._load(op, k)
            elif kind == lib.BPF_MISC:
                if op & 0xF8 == lib.BPF_TAX:
                    self.x = self.a
                else:
                    self.a = self.x
            else:
                self.a = _sum(op & OPERATION, self.a, self.x if op & lib.BPF_X else k)

    def _jump(self, op: int, true: int, false: int, k: int) -> int:
        if op & OPERATION == lib.BPF_JA:
            return k
        b = self.x if op & lib.BPF_X else k
        holds = {
            lib.BPF_JEQ: self.a == b,
            lib.BPF_JGT: self.a > b,
            lib.BPF_JGE: self.a >= b,
            lib.BPF_JSET: bool(self.a & b),
        }[op & OPERATION]
        return true if holds else false

    def _load(self, op: int, k: int) -> int:
        mode = op & MODE
        if mode == lib.BPF_ABS:
            self.depends |= k >= FIRST_ARGUMENT
            return self.words[k // 4]
        if mode == lib.BPF_MEM:
            return self.memory[k]
        return k if mode == lib.BPF_IMM else DATA_BYTES


def _check(at: int, op: int, k: int) -> None:
    """The kernel's own check of one instruction, see seccomp_check_filter()."""
    kind, mode, operation = op & CLASS, op & MODE, op & OPERATION
    good = {
        lib.BPF_LD: (mode == lib.BPF_ABS and k % 4 == 0 and k < DATA_BYTES)
        or mode in (lib.BPF_IMM, lib.BPF_LEN)
        or (mode == lib.BPF_MEM and k < lib.BPF_MEMWORDS),
        lib.BPF_LDX: mode in (lib.BPF_IMM, lib.BPF_LEN) or (mode == lib.BPF_MEM and k < lib.BPF_MEMWORDS),
        lib.BPF_ST: k < lib.BPF_MEMWORDS,
        lib.BPF_STX: k < lib.BPF_MEMWORDS,
        lib.BPF_ALU: operation == lib.BPF_NEG
        or (operation in SUMS and not (operation == lib.BPF_DIV and not op & lib.BPF_X and not k)),
        lib.BPF_JMP: operation == lib.BPF_JA or operation in JUMPS,
        lib.BPF_RET: op & 0x18 in (lib.BPF_K, lib.BPF_A),
        lib.BPF_MISC: op & 0xF8 in (lib.BPF_TAX, lib.BPF_TXA),
    }[kind]
    word_wide = kind not in (lib.BPF_LD, lib.BPF_LDX) or op & 0x18 == lib.BPF_W
    if not good or not word_wide or op > 0xFF:
        raise ConfigError(f"instruction {at}: {op:#06x} is none that a filter may have")


def _sum(operation: int, a: int, b: int) -> int:
    if operation == lib.BPF_NEG:
        return -a & WORD
    if operation in (lib.BPF_LSH, lib.BPF_RSH):
        b &= 31  # as the kernel's 32-bit shifts do
        return (a << b if operation == lib.BPF_LSH else a >> b) & WORD
    value = {
        lib.BPF_ADD: a + b,
        lib.BPF_SUB: a - b,
        lib.BPF_MUL: a * b,
        lib.BPF_DIV: a // b if b else 0,
        lib.BPF_OR: a | b,
        lib.BPF_AND: a & b,
        lib.BPF_XOR: a ^ b,
    }[operation]
    return value & WORD


def verdict_text(value: int, arch: str) -> str:
    """A value of a filter for `arch` in words: "allow", "errno EPERM"; an errno that is not ours has no name."""
    import errno

    from jail.policy import native_arch

    action, data = value & lib.SECCOMP_RET_ACTION_FULL, value & lib.SECCOMP_RET_DATA
    word = ACTIONS.get(action, f"unknown action {action:#x}")
    if action == lib.SECCOMP_RET_ERRNO:
        # of our architectures mips alone has numbers of its own, from there on
        is_known = data <= errno.ERANGE or arch.startswith("mips") == native_arch().startswith("mips")
        return f"{word} {errno.errorcode.get(data, data) if is_known else data}"
    return f"{word} {data}" if data else word


def listing(program: Program, arch: str) -> list[str]:
    """A line for each instruction; jumps name the line they lead to."""
    return [f"{at:4}  {_line(program, at, arch)}" for at in range(len(program.insns))]


def _line(program: Program, at: int, arch: str) -> str:
    op, true, false, k = program.insns[at]
    kind, operation = op & CLASS, op & OPERATION
    if kind == lib.BPF_RET:
        return "ret  a" if op & 0x18 == lib.BPF_A else f"ret  {verdict_text(k, arch)}"
    if kind in (lib.BPF_LD, lib.BPF_LDX):
        return f"{'ld ' if kind == lib.BPF_LD else 'ldx'}  {_source(op & MODE, k, program.order)}"
    if kind in (lib.BPF_ST, lib.BPF_STX):
        return f"{'st ' if kind == lib.BPF_ST else 'stx'}  memory[{k}]"
    if kind == lib.BPF_MISC:
        return "tax" if op & 0xF8 == lib.BPF_TAX else "txa"
    value = "x" if op & lib.BPF_X else f"{k:#x}"
    if kind == lib.BPF_ALU:
        return "neg" if operation == lib.BPF_NEG else f"{SUMS[operation]:4} {value}"
    if operation == lib.BPF_JA:
        return f"ja   {at + 1 + k}"
    return f"{JUMPS[operation]:4} {value}, {at + 1 + true}, {at + 1 + false}"


def _source(mode: int, k: int, order: str) -> str:
    if mode == lib.BPF_MEM:
        return f"memory[{k}]"
    if mode != lib.BPF_ABS:
        return f"{k:#x}" if mode == lib.BPF_IMM else "length"
    if k < FIRST_ARGUMENT:
        return ("number", "arch", "ip", "ip")[k // 4]
    upper = bool(k % 8) == (order == "<")
    return f"arg{(k - FIRST_ARGUMENT) // 8}.{'high' if upper else 'low'}"
