# SPDX-License-Identifier: MIT
"""Whether there are records of denied calls for us; where there are none, a supervisor can hear of the calls."""

import _socket
from errno import EPROTONOSUPPORT

from jail._native import lib
from jail.policy import native_arch


def is_silent() -> str:
    """Why this kernel writes none at all, "" if it may."""
    if native_arch().startswith("mips"):
        return "those of mips write none"
    try:
        _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, lib.NETLINK_AUDIT).close()
    except OSError as error:
        if error.errno == EPROTONOSUPPORT:
            return "it has no audit"
    return ""


def is_first_pid_namespace() -> bool:
    """Whether pids are those of the kernel's records: only there it has its own threads."""
    try:
        with open("/proc/2/comm", "rb") as file:
            return file.read() == b"kthreadd\n"
    except OSError:
        return False


def no_records() -> str:
    """Why there are none that would be of use here, "" if there may be."""
    if reason := is_silent():
        return reason
    return "" if is_first_pid_namespace() else "they number processes otherwise than this PID namespace"


def needs_supervisor() -> bool:
    """Whether denials are heard by a supervisor or not at all."""
    return bool(no_records() and lib.notify_works() and lib.notify_may_take())
