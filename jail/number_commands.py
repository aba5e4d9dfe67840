# SPDX-License-Identifier: MIT
"""`jailctl syscalls`, `caps`, `errnos` and `families`: what has a number, and its name."""

import os

from jail import calls
from jail.answers import YES, print_lines
from jail.errors import UsageError
from jail.options import Options
from jail.policy_commands import arch_of


def syscalls(operands: list[str], options: Options) -> int:
    print_lines([f"{number}\t{name}" for name, number in calls.numbers(arch_of(options)).items()])
    return YES


def caps(operands: list[str], options: Options) -> int:
    from jail.capabilities import NAMES

    print_lines([f"{number}\tcap_{name}" for number, name in enumerate(NAMES)])
    return YES


def errnos(operands: list[str], options: Options) -> int:
    from errno import errorcode

    if arch_of(options) != calls.NATIVE:
        raise UsageError(f"errnos are known for this machine's {calls.NATIVE} only")
    print_lines([f"{number}\t{name}\t{os.strerror(number)}" for number, name in sorted(errorcode.items())])
    return YES


def families(operands: list[str], options: Options) -> int:
    import socket

    arch_of(options)  # they are the same on all
    found = {int(getattr(socket, name)): name for name in dir(socket) if name.startswith("AF_")}
    print_lines([f"{number}\t{name}" for number, name in sorted(found.items())])
    return YES
