# SPDX-License-Identifier: MIT
"""A classic BPF interpreter for seccomp filters, in either byte order, that counts what it executes.

It knows the instructions that the compiler uses and refuses all others, and it checks what the kernel checks
(seccomp_check_filter), so a program that runs here is one that the kernel takes.
"""

import struct

LD_W_ABS = 0x20
ALU_AND_K = 0x54
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
RET_K = 0x06
MAX_INSNS = 4096


class Program:
    """Decoded instructions; `check` holds every jump to the program's bounds."""

    def __init__(self, code: bytes, big_endian: bool) -> None:
        self.order = ">" if big_endian else "<"
        self.insns = [struct.unpack_from(self.order + "HBBI", code, at) for at in range(0, len(code), 8)]
        self.check()

    def check(self) -> None:
        assert 1 <= len(self.insns) <= MAX_INSNS
        assert self.insns[-1][0] == RET_K, "the last instruction must return"
        for at, (code, jt, jf, k) in enumerate(self.insns):
            if code == LD_W_ABS:
                assert k % 4 == 0 and k < 64
            elif code == JA:
                assert at + 1 + k < len(self.insns)
            elif code in (JEQ, JGT, JGE, JSET):
                assert at + 1 + max(jt, jf) < len(self.insns)
            else:
                assert code in (RET_K, ALU_AND_K), f"instruction {code:#x}"

    def run(self, arch: int, nr: int, args: tuple[int, ...] = (0,) * 6) -> tuple[int, int]:
        """Return the filter's value and the number of instructions executed."""
        seen = struct.pack(self.order + "II7Q", nr, arch, 0, *args)
        # as the kernel loads it: 32-bit words in the machine's own order
        words = struct.unpack(self.order + "16I", seen)
        at = accumulator = executed = 0
        while True:
            code, jt, jf, k = self.insns[at]
            executed += 1
            at += 1
            if code == RET_K:
                return k, executed
            if code == LD_W_ABS:
                accumulator = words[k // 4]
            elif code == ALU_AND_K:
                accumulator &= k
            elif code == JA:
                at += k
            else:
                true = {
                    JEQ: accumulator == k,
                    JGT: accumulator > k,
                    JGE: accumulator >= k,
                    JSET: bool(accumulator & k),
                }[code]
                at += jt if true else jf
