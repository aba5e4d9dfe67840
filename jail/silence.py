# SPDX-License-Identifier: MIT
"""Whether this kernel writes records of denied calls; where it does not, a supervisor can hear of them."""

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


def needs_supervisor() -> bool:
    """Whether denials are heard by a supervisor or not at all."""
    return bool(is_silent() and lib.notify_works())
