# SPDX-License-Identifier: MIT
"""Devices, addresses and routes of one network namespace, asked of the kernel one by one, in pyroute2's messages.

Used by network.py alone, in its own process, after pyroute.load(*LINKS).
"""

from _socket import AF_INET, AF_INET6
from struct import unpack_from

from jail._native import lib
from jail.netlink import Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INDEX_AT = 20  # in an answer: struct nlmsghdr, then struct ifinfomsg


class Routing:
    """What belongs to the namespace in which it was made. All raise OSError."""

    def __init__(self) -> None:
        self._netlink = Netlink(lib.NETLINK_ROUTE)

    def __enter__(self) -> "Routing":
        return self

    def __exit__(self, *reason: object) -> None:
        self._netlink.close()

    def index(self, name: str) -> int:
        """The device's number, 0 where there is none of that name."""
        from errno import ENODEV

        try:
            answer = self._netlink.ask(link({"ifname": name}), lib.RTM_GETLINK)
        except OSError as error:
            if error.errno != ENODEV:
                raise
            return 0
        return int(unpack_from("=i", answer, INDEX_AT)[0])

    def add_link(self, kind: str, details: "dict[str, Any]", **settings: object) -> None:
        """A new device; `details` are the attributes of its kind."""
        self._add(new_link(kind, details, settings), lib.RTM_NEWLINK)

    def set_link(self, index: int, **settings: object) -> None:
        """Change a device: `up`, or attributes by their names without IFLA_."""
        message = link(settings)
        message["index"] = index
        self._netlink.ask(message, lib.RTM_NEWLINK, lib.NLM_F_ACK)

    def add_address(self, index: int, text: str) -> None:
        """An address with the length of its network."""
        self._add(address(index, text), lib.RTM_NEWADDR)

    def add_route(self, index: int, target: str, gateway: str) -> None:
        """A way to `target`, by a gateway or (empty) straight."""
        self._add(route(index, target, gateway), lib.RTM_NEWROUTE)

    def _add(self, message: "Any", kind: int) -> None:
        self._netlink.ask(message, kind, lib.NLM_F_ACK | lib.NLM_F_CREATE | lib.NLM_F_EXCL)


def link(settings: "dict[str, Any]") -> "Any":
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    message = ifinfmsg()
    if settings.pop("up", False):
        message["flags"] = message["change"] = lib.IFF_UP
    message["attrs"] = attributes(settings)
    return message


def new_link(kind: str, details: "dict[str, Any]", settings: "dict[str, Any]") -> "Any":
    message = link(settings)
    told = [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": list(details.items())})]
    message["attrs"].append(("IFLA_LINKINFO", {"attrs": told}))
    return message


def address(index: int, text: str) -> "Any":
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

    bare, _, length = text.partition("/")
    is_6 = ":" in bare
    message = ifaddrmsg()
    message["family"] = AF_INET6 if is_6 else AF_INET
    message["prefixlen"] = int(length)
    message["index"] = index
    message["attrs"] = [("IFA_ADDRESS", bare)]
    if is_6:
        # without: for a second or two nothing can be bound to it
        message["flags"] = lib.IFA_F_NODAD
    else:
        message["attrs"].append(("IFA_LOCAL", bare))
    return message


def route(index: int, target: str, gateway: str) -> "Any":
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    bare, _, length = target.partition("/")
    message = rtmsg()
    message["family"] = AF_INET6 if ":" in bare else AF_INET
    message["dst_len"] = int(length)
    message["table"] = lib.RT_TABLE_MAIN
    message["proto"] = lib.RTPROT_STATIC
    message["type"] = lib.RTN_UNICAST
    message["scope"] = lib.RT_SCOPE_UNIVERSE if gateway else lib.RT_SCOPE_LINK
    message["attrs"] = [("RTA_OIF", index)]
    if message["dst_len"]:
        message["attrs"].append(("RTA_DST", bare))
    if gateway:
        message["attrs"].append(("RTA_GATEWAY", gateway))
    return message


def attributes(settings: "dict[str, Any]") -> "list[tuple[str, Any]]":
    """Attributes of a device, by their names without IFLA_."""
    return [(f"IFLA_{name.upper()}", value) for name, value in settings.items()]
