# SPDX-License-Identifier: MIT
"""Puts tables, chains and rules of nf_tables into force in this network namespace, in pyroute2's messages.

Used by network.py alone, in its own process, after pyroute.load(RULES). pyroute2's NFTables would do the same, one
transaction for each: the kernel takes them together, or none of them.
"""

import os

from jail._native import lib
from jail.netlink import Netlink, encode, number_and_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jail.netrules import Command

KINDS = {"table": lib.NFT_MSG_NEWTABLE, "chain": lib.NFT_MSG_NEWCHAIN, "rule": lib.NFT_MSG_NEWRULE}
# in one transaction: their answers have to fit into the socket, where each takes some hundred bytes
TOGETHER = 64


class Refused(OSError):
    """By the kernel; `what` it did not take."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(number, os.strerror(number))
        self.what = what


def put(commands: "list[Command]") -> None:
    """In their order. Raises Refused, OSError."""
    netlink = Netlink(lib.NETLINK_NETFILTER)
    try:
        for at in range(0, len(commands), TOGETHER):
            _put_together(netlink, commands[at : at + TOGETHER])
    finally:
        netlink.close()


def _put_together(netlink: Netlink, commands: "list[Command]") -> None:
    """One transaction; returns when each part of it is answered."""
    first = netlink.next_number()
    data = [_border(lib.NFNL_MSG_BATCH_BEGIN, first)]
    flags = lib.NLM_F_ACK | lib.NLM_F_CREATE | lib.NLM_F_APPEND
    waiting = {first: "transaction"}
    for name, fields in commands:
        number = netlink.next_number()
        kind = lib.NFNL_SUBSYS_NFTABLES << 8 | KINDS[name]
        data.append(encode(message(name, fields), kind, flags, number))
        waiting[number] = name
    data.append(_border(lib.NFNL_MSG_BATCH_END, netlink.next_number()))
    netlink.send(b"".join(data))
    # the beginning is answered only where it is refused
    while len(waiting) > 1:
        number, error = number_and_error(netlink.receive())
        if error:
            raise Refused(waiting.get(number, "transaction"), error)
        waiting.pop(number, None)


def message(name: str, fields: "dict[str, Any]") -> "Any":
    """A table, chain or rule with what belongs to it, by the names of its attributes without NFTA_ and its own."""
    from pyroute2.netlink.nfnetlink import nftsocket

    made = getattr(nftsocket, f"nft_{name}_msg")()
    made["nfgen_family"] = lib.NFPROTO_INET
    made["attrs"] = [(f"NFTA_{name.upper()}_{key.upper()}", value) for key, value in fields.items()]
    return made


def _border(kind: int, number: int) -> bytes:
    from pyroute2.netlink.nfnetlink import nfgen_msg

    made = nfgen_msg()
    made["res_id"] = lib.NFNL_SUBSYS_NFTABLES
    return encode(made, kind, 0, number)
