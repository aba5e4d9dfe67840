# SPDX-License-Identifier: MIT
"""Sockets bound to a device, a VRF, by a program of the control group that their processes are in."""

import _socket  # the C half of `socket`, without selectors and enum
import os
from errno import ENODEV

from jail._native import lib
from jail.addresses import check_device_name
from jail.errors import SetupError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.spec import JailSpec


def check(spec: "JailSpec") -> None:
    """Raise UsageError for what is no device of the jail's network."""
    check_device_name("vrf", spec.vrf)
    if spec.netns or spec.is_network_made() or any({"net", "network"} & {*kinds} for _, kinds in spec.joins):
        raise UsageError("vrf: the device is one of the host's network, and the jail is in another")


def bind(group: str, device: str) -> None:
    """To the device that has the name now: one that was made anew has another number. Raises SetupError."""
    try:
        fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            result = lib.bind_group(fd, _index_of(device))
        finally:
            os.close(fd)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
    except OSError as error:
        raise SetupError(f"bind the sockets of {group} to {device}", error) from error


def _index_of(device: str) -> int:
    try:
        return _socket.if_nametoindex(device)
    except OSError as error:  # whose own words have no errno
        raise OSError(ENODEV, os.strerror(ENODEV)) from error
