# SPDX-License-Identifier: MIT
"""What the arguments of system calls mean, where a number stands for a word: AF_NETLINK, TIOCSTI, O_RDWR|O_CREAT.

Numbers come from the interpreter's own modules and the target's headers, so they are this machine's: calls of
another ABI are shown as numbers. Loaded only when something was denied.
"""

import os

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PRCTL = ("PR_SET_PDEATHSIG", "PR_SET_DUMPABLE", "PR_SET_KEEPCAPS", "PR_SET_NAME", "PR_GET_NAME",
    "PR_SET_SECCOMP", "PR_CAPBSET_READ", "PR_CAPBSET_DROP", "PR_SET_SECUREBITS", "PR_SET_TIMERSLACK", "PR_SET_MM",
    "PR_SET_CHILD_SUBREAPER", "PR_SET_NO_NEW_PRIVS", "PR_CAP_AMBIENT", "PR_SET_PTRACER",
)  # fmt: skip
IOCTL = ("TCGETS", "TCSETS", "TIOCGWINSZ", "TIOCSTI", "TIOCSCTTY", "TIOCGPGRP", "TIOCSPGRP", "FIONREAD", "FIONBIO",
    "SIOCGIFCONF", "SIOCGIFFLAGS", "SIOCSIFFLAGS", "SIOCGIFADDR", "SIOCSIFADDR", "SIOCGIFINDEX", "SIOCGIFHWADDR",
    "SIOCETHTOOL", "SIOCGIFMTU", "SIOCSIFMTU", "SIOCADDRT", "SIOCDELRT",
)  # fmt: skip
NUMBERS_BELOW = 10  # shown as they are; larger ones as pointers, flags and the like are read


def named(call: str, args: "Sequence[int]") -> "list[str]":
    """Each argument that the call takes, as a person writes it; all as numbers for a call not known here."""
    shapes = _SHAPES.get(call)
    if shapes is None:
        return [number(value) for value in args]
    return [shape(value) for shape, value in zip(shapes, args, strict=False)]


def number(value: int) -> str:
    """Small ones, and those that are small and negative, in decimal."""
    for bits in (32, 64):
        if (1 << bits) - 4096 < value < 1 << bits:
            return str(value - (1 << bits))
    return str(value) if value < NUMBERS_BELOW else hex(value)


def _of(prefix: str, module: object) -> "dict[int, str]":
    """By number; of several names the first in order."""
    names = sorted((name for name in dir(module) if name.startswith(prefix)), reverse=True)
    return {value: name for name in names if isinstance(value := getattr(module, name), int)}


def _word(table: "Callable[[], dict[int, str]]") -> "Callable[[int], str]":
    return lambda value: table().get(value & 0xFFFFFFFF) or number(value)


def _flags(table: "Callable[[], dict[int, str]]", zero: str = "0") -> "Callable[[int], str]":
    """Words joined by |, what is left over as a number."""

    def shape(value: int) -> str:
        words, rest = [], value
        # wide ones first: O_SYNC holds the bit of O_DSYNC
        for bits, name in sorted(table().items(), key=lambda item: -item[0].bit_count()):
            if bits and rest & bits == bits:
                words.append(name)
                rest &= ~bits
        return "|".join([*sorted(words), *([hex(rest)] if rest else [])]) or zero

    return shape


def _families() -> "dict[int, str]":
    import _socket

    return _of("AF_", _socket)


def _types(value: int) -> str:
    import _socket

    high = {_socket.SOCK_NONBLOCK: "SOCK_NONBLOCK", _socket.SOCK_CLOEXEC: "SOCK_CLOEXEC"}
    bits = value & ~(_socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    low = {each: name for each, name in _of("SOCK_", _socket).items() if each not in high}
    words = [low.get(bits) or number(bits), *(name for bit, name in high.items() if value & bit)]
    return "|".join(words)


def _native(names: "Sequence[str]") -> "dict[int, str]":
    return {getattr(lib, name): name for name in reversed(names)}


def _commands() -> "dict[int, str]":
    import fcntl

    return _of("F_", fcntl)


def _protections() -> "dict[int, str]":
    import mmap

    return _of("PROT_", mmap)


def _open(value: int) -> str:
    """The lowest two bits are a number of their own."""
    how = ("O_RDONLY", "O_WRONLY", "O_RDWR")[value & os.O_ACCMODE] if value & os.O_ACCMODE < 3 else "3"
    skipped = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE", "O_LARGEFILE")
    table = {bits: name for bits, name in _of("O_", os).items() if name not in skipped}
    more = _flags(lambda: table, "")(value & ~os.O_ACCMODE)
    return f"{how}|{more}" if more else how


def _signals() -> "dict[int, str]":
    import _signal

    return {value: name for value, name in _of("SIG", _signal).items() if "_" not in name}


_family, _ioctl, _prctl = _word(_families), _word(lambda: _native(IOCTL)), _word(lambda: _native(PRCTL))
_command, _signal_name = _word(_commands), _word(_signals)
_clone = _flags(lambda: _of("CLONE_", lib))
_protection = _flags(_protections, "PROT_NONE")
# what each argument is, as far as a call takes any
_SHAPES: "dict[str, tuple[Callable[[int], str], ...]]" = {
    "socket": (_family, _types, number),
    "socketpair": (_family, _types, number, number),
    "ioctl": (number, _ioctl, number),
    "prctl": (_prctl, number, number, number, number),
    "fcntl": (number, _command, number),
    "fcntl64": (number, _command, number),
    "open": (number, _open, oct),
    "openat": (number, number, _open, oct),
    "mmap": (number, number, _protection, number, number, number),
    "mmap2": (number, number, _protection, number, number, number),
    "mprotect": (number, number, _protection),
    "clone": (_clone, number, number, number, number),
    "unshare": (_clone,),
    "setns": (number, _clone),
    "kill": (number, _signal_name),
    "tgkill": (number, number, _signal_name),
}
