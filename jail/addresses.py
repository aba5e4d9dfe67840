# SPDX-License-Identifier: MIT
"""Words of a network's parts: addresses, with or without a length, and names of devices. Words alone."""

from _socket import AF_INET, AF_INET6, inet_pton  # the C half of `socket`, without selectors and enum

from jail._native import lib
from jail.errors import UsageError

BITS = {AF_INET: 32, AF_INET6: 128}


def address_of(key: str, text: str) -> int:
    """The family of an address. Raises UsageError."""
    for family in (AF_INET, AF_INET6):
        try:
            inet_pton(family, text)
            return int(family)
        except OSError:
            continue
        except ValueError:
            break
    raise UsageError(f"net: {key}: {text[:60]!r} is no address")


def network_of(key: str, text: str) -> int:
    """The family of an address with or without a length behind it. Raises UsageError."""
    address, slash, length = text.partition("/")
    family = address_of(key, address)
    is_number = length.isascii() and length.isdigit() and len(length) <= 3
    if slash and not (is_number and int(length) <= BITS[family]):
        raise UsageError(f"net: {key}: {text[:60]!r}: no such length")
    return family


def check_device_name(what: str, name: str) -> None:
    """Raise UsageError for what the kernel takes for no name of a device."""
    is_fine = (
        name.isascii() and name.isprintable() and not set(name) & set("/: %") and name not in (".", "..")
    )
    if not name or not is_fine or len(name) >= lib.IFNAMSIZ:
        raise UsageError(f"{what}: {name[:40]!r} cannot be the name of a device")


def check_mac(text: str) -> None:
    """Raise UsageError for what is no address of one device."""
    parts = text.split(":")
    digits = set("0123456789abcdefABCDEF")
    if (
        len(parts) != 6
        or any(len(part) != 2 or set(part) - digits for part in parts)
        or int(parts[0], 16) & 1
    ):
        raise UsageError(f"net: mac: {text[:40]!r} is no address of one device")
