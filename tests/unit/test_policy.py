# SPDX-License-Identifier: MIT
"""What the compiler accepts and what it makes of it, by the plainest means: compile, then run the filter."""

import pytest

from bpf import Program
from jail.errors import ConfigError
from jail.policy import compile_filter

AUDIT_X86_64 = 0xC000003E
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0, 0x30000, 0x50000
NOTIFY, TRACE, LOG, ALLOW = 0x7FC00000, 0x7FF00000, 0x7FFC0000, 0x7FFF0000


def verdict(text: str, nr: int, args: tuple[int, ...] = (0,) * 6) -> int:
    program = Program(compile_filter(text.encode(), "x86_64", path="p").code, big_endian=False)
    return program.run(AUDIT_X86_64, nr, args)[0]


def test_policy_default_action_alone_decides_everything() -> None:
    assert verdict('{"defaultAction": "SCMP_ACT_TRAP"}', 0) == TRAP
    assert verdict('{"defaultAction": "SCMP_ACT_TRAP"}', 0x3FFFFFFF) == TRAP


def test_misspelt_name_is_refused_with_its_place_and_near_match() -> None:
    text = (
        b'{"defaultAction": "SCMP_ACT_KILL",\n "syscalls": [{"names": ["raed"], "action": "SCMP_ACT_ALLOW"}]}'
    )
    with pytest.raises(ConfigError, match=r'^p:2:26: unknown system call "raed", did you mean "read"$'):
        compile_filter(text, "x86_64", path="p")
