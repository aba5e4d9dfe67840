# SPDX-License-Identifier: MIT
"""The filter beside Landlock's rules for ports: ways to a TCP connection that those do not see."""

from errno import EACCES
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jail._native import lib
from jail.bpf import Program
from jail.doors import EXEC_PIN, ports_door
from jail.errors import ConfigError
from jail.policy import ARCHES, native_arch

FAST = 0x20000000  # MSG_FASTOPEN, everywhere
NO_SIGNAL = 0x4000
INET, SMC, STREAM, TCP, MPTCP = 2, 43, 1, 6, 262
SOL_TCP, TCP_NODELAY, TCP_ULP = 6, 1, 31
DENIED = {
    "sendto": (3, 0, 1, FAST | NO_SIGNAL, 0, 16),
    "sendmsg": (3, 0, FAST, 0, 0, 0),
    "sendmmsg": (3, 0, 1, FAST | 1 << 40, 0, 0),
    "socket": (INET, STREAM, MPTCP | 1 << 32, 0, 0, 0),
    "io_uring_setup": (1, 0, 0, 0, 0, 0),
    "setsockopt": (3, SOL_TCP | 1 << 32, TCP_ULP | 1 << 40, 0, 4, 0),
}
ALLOWED = {
    "sendto": (3, FAST, FAST, NO_SIGNAL, FAST, FAST),
    "sendmsg": (3, FAST, NO_SIGNAL, FAST, 0, 0),
    "sendmmsg": (3, 0, FAST, 0, FAST, 0),
    "socket": (INET, STREAM, TCP, MPTCP, 0, 0),
    "connect": (3, 0, 16, 0, 0, 0),
    "setsockopt": (3, SOL_TCP, TCP_NODELAY, 0, 4, 0),
}


def verdict(code: bytes, abi: str, call: str, args: tuple[int, ...]) -> int:
    name = abi.encode()
    program = Program(code, big_endian=bool(lib.arch_kind(name) & lib.ARCH_BIG))
    return program.run(lib.arch_audit(name), lib.call_number(name, call.encode()), list(args)).value


def door(abi: str) -> bytes:
    return ports_door(cast(Any, SimpleNamespace(abi=abi, files=["/x"]))).texts[0]


@pytest.mark.parametrize(
    "abi", [native_arch(), *({"i386"} & set(ARCHES) if native_arch() == "x86_64" else ())]
)
def test_connections_without_connect_are_denied(abi: str) -> None:
    code = door(abi)
    for call, args in DENIED.items():
        assert verdict(code, abi, call, args) == lib.SECCOMP_RET_ERRNO | EACCES, call
    for call, args in ALLOWED.items():
        assert verdict(code, abi, call, args) == lib.SECCOMP_RET_ALLOW, call
    assert verdict(code, abi, "setsockopt", (3, 1, TCP_ULP, 0, 4, 0)) == lib.SECCOMP_RET_ALLOW
    assert verdict(code, abi, "socket", (SMC, STREAM, 0, 0, 0, 0)) == lib.SECCOMP_RET_ERRNO | EACCES


@pytest.mark.parametrize("abi", [arch for arch in ARCHES if arch in ("i386", "x86_64")])
def test_launcher_passes_before_a_program_of_another_architecture(abi: str) -> None:
    """It puts on the next filter and executes; but no call of its architecture goes past the rules either."""
    code, own = door(abi), native_arch()
    assert verdict(code, own, "execve", (*EXEC_PIN, 0, 0, 0)) == lib.SECCOMP_RET_ALLOW
    assert verdict(code, own, "seccomp", (1, 0, 4096, 0, 0, 0)) == lib.SECCOMP_RET_ALLOW
    assert verdict(code, own, "sendto", DENIED["sendto"]) == lib.SECCOMP_RET_ERRNO | EACCES


def test_program_of_no_known_architecture_is_refused() -> None:
    with pytest.raises(ConfigError, match="rules for ports are not made for this program's architecture"):
        door("")
