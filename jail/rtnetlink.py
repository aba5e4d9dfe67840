# SPDX-License-Identifier: MIT
"""Devices, addresses and routes of one network namespace, asked of the kernel one by one, in pyroute2's messages.

Used by network.py alone, in its own process. pyroute2's IPRoute would do the same; what it is made of (asyncio,
ssl, subprocess) is most of what importing pyroute2 costs, and its messages need only a plain socket.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from struct import unpack_from

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKAGE = "pyroute2"
MESSAGES = f"{PACKAGE}.netlink.rtnl"
MODULES = (f"{MESSAGES}.ifinfmsg", f"{MESSAGES}.ifaddrmsg", f"{MESSAGES}.rtmsg")
RULES = f"{PACKAGE}.nftables.main"
ANSWER_MAX = 65536
# where they stand in an answer: struct nlmsghdr, then struct nlmsgerr or ifinfomsg
KIND_AT, NUMBER_AT, ERROR_AT, INDEX_AT = 4, 8, 16, 20


def load(names: tuple[str, ...]) -> None:
    """Import these modules of pyroute2 and no others. Raises ImportError.

    Whatever is imported of pyroute2 runs its __init__, which does nothing but import every module that it has, to
    offer all names in one place. So the package is put where importlib puts it, with its name and path, and
    __init__ is not run; its modules are then imported as ever. This process makes one network and becomes another
    program: nobody else sees a package without its names. A version that needs them is imported whole.
    """
    if PACKAGE not in sys.modules:
        spec = find_spec(PACKAGE)
        if spec is None:
            raise ImportError(f"no module named {PACKAGE}")
        sys.modules[PACKAGE] = module_from_spec(spec)
    try:
        for name in names:
            import_module(name)
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        for name in names:
            import_module(name)


class Routing:
    """What belongs to the namespace in which it was made. After load(MODULES). All raise OSError."""

    def __init__(self) -> None:
        from socket import AF_NETLINK, NETLINK_ROUTE, SOCK_CLOEXEC, SOCK_RAW, socket

        from pyroute2 import netlink

        self._netlink = netlink
        self._rtnl = import_module(MESSAGES)
        self._number = 0
        self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def __enter__(self) -> "Routing":
        return self

    def __exit__(self, *reason: object) -> None:
        self._socket.close()

    def index(self, name: str) -> int:
        """The device's number, 0 where there is none of that name."""
        from errno import ENODEV

        try:
            answer = self._ask(self._link({"ifname": name}), self._rtnl.RTM_GETLINK)
        except OSError as error:
            if error.errno != ENODEV:
                raise
            return 0
        return int(unpack_from("=i", answer, INDEX_AT)[0])

    def add_link(self, kind: str, details: "dict[str, Any]", **settings: object) -> None:
        """A new device; `details` are the attributes of its kind."""
        message = self._link(settings)
        told = [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": list(details.items())})]
        message["attrs"].append(("IFLA_LINKINFO", {"attrs": told}))
        self._add(message, self._rtnl.RTM_NEWLINK)

    def set_link(self, index: int, **settings: object) -> None:
        """Change a device: `up`, or attributes by their names without IFLA_."""
        message = self._link(settings)
        message["index"] = index
        self._ask(message, self._rtnl.RTM_NEWLINK, self._netlink.NLM_F_ACK)

    def add_address(self, index: int, text: str) -> None:
        """An address with the length of its network."""
        from socket import AF_INET, AF_INET6

        from pyroute2.netlink.rtnl import ifaddrmsg

        address, _, length = text.partition("/")
        is_6 = ":" in address
        message = ifaddrmsg.ifaddrmsg()
        message["family"] = AF_INET6 if is_6 else AF_INET
        message["prefixlen"] = int(length)
        message["index"] = index
        message["attrs"] = [("IFA_ADDRESS", address)]
        if is_6:
            # without: for a second or two nothing can be bound to it
            message["flags"] = ifaddrmsg.IFA_F_NODAD
        else:
            message["attrs"].append(("IFA_LOCAL", address))
        self._add(message, self._rtnl.RTM_NEWADDR)

    def add_route(self, index: int, target: str, gateway: str) -> None:
        """A way to `target`, by a gateway or (empty) straight."""
        from socket import AF_INET, AF_INET6

        from pyroute2.netlink.rtnl import rt_proto, rt_scope, rt_type
        from pyroute2.netlink.rtnl.rtmsg import rtmsg

        address, _, length = target.partition("/")
        message = rtmsg()
        message["family"] = AF_INET6 if ":" in address else AF_INET
        message["dst_len"] = int(length)
        message["table"] = lib.RT_TABLE_MAIN
        message["proto"] = rt_proto["static"]
        message["type"] = rt_type["unicast"]
        message["scope"] = rt_scope["universe" if gateway else "link"]
        message["attrs"] = [("RTA_OIF", index)]
        if message["dst_len"]:
            message["attrs"].append(("RTA_DST", address))
        if gateway:
            message["attrs"].append(("RTA_GATEWAY", gateway))
        self._add(message, self._rtnl.RTM_NEWROUTE)

    def _link(self, settings: "dict[str, Any]") -> "Any":
        from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfmsg

        message = ifinfmsg()
        if settings.pop("up", False):
            message["flags"] = message["change"] = IFF_UP
        message["attrs"] = attributes(settings)
        return message

    def _add(self, message: "Any", kind: int) -> None:
        flags = self._netlink
        self._ask(message, kind, flags.NLM_F_ACK | flags.NLM_F_CREATE | flags.NLM_F_EXCL)

    def _ask(self, message: "Any", kind: int, flags: int = 0) -> bytes:
        """Send it; the answer to it, which is no refusal."""
        self._number += 1
        header = message["header"]
        header["type"] = kind
        header["flags"] = flags | self._netlink.NLM_F_REQUEST
        header["sequence_number"] = self._number
        message.encode()
        self._socket.send(message.data)
        while True:
            answer = self._socket.recv(ANSWER_MAX)
            (number,) = unpack_from("=I", answer, NUMBER_AT)
            if number != self._number:
                continue
            if unpack_from("=H", answer, KIND_AT)[0] == self._netlink.NLMSG_ERROR:
                (code,) = unpack_from("=i", answer, ERROR_AT)
                if code:
                    raise OSError(-code, os.strerror(-code))
            return answer


def attributes(settings: "dict[str, Any]") -> "list[tuple[str, Any]]":
    """Attributes of a device, by their names without IFLA_."""
    return [(f"IFLA_{name.upper()}", value) for name, value in settings.items()]
