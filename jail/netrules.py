# SPDX-License-Identifier: MIT
"""What a jail may bind and connect to → the tables, chains and rules of nf_tables that hold it to that.

Packets are filtered, not calls: a port that is not named can be bound and nobody reaches it. Loopback is free, it
is the jail's own. Pure: says what pyroute2 encodes and does not import it.
"""

from _socket import IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, inet_pton
from struct import pack

from jail._native import lib
from jail.addresses import BITS, address_of
from jail.networds import Network, PortRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Expression: TypeAlias = dict[str, object]
    Command: TypeAlias = tuple[str, dict[str, object]]  # table, chain or rule, and its attributes

TABLE = "jail"
# each where it is asked
HOOKS = {"input": lib.NF_INET_LOCAL_IN, "output": lib.NF_INET_LOCAL_OUT, "forward": lib.NF_INET_FORWARD}
CHAINS = {"input": lib.NFT_META_IIF, "output": lib.NFT_META_OIF}  # with rules, and whose device counts
PROTOCOLS = {"tcp": IPPROTO_TCP, "udp": IPPROTO_UDP}
LOOPBACK_INDEX = 1  # of every network namespace
# NF_CT_STATE_BIT() of ESTABLISHED and RELATED
ANSWERS = 1 << lib.IP_CT_ESTABLISHED + 1 | 1 << lib.IP_CT_RELATED + 1
# without these IPv6 finds no neighbour
NEIGHBOURS = (lib.MLD_LISTENER_QUERY, lib.ND_NEIGHBOR_ADVERT)
DPORT_OFFSET, PORT_BYTES = 2, 2  # the same in TCP and UDP
FAMILIES = {4: (16, lib.NFPROTO_IPV4), 16: (24, lib.NFPROTO_IPV6)}  # bytes of an address → where it stands


def commands(network: Network) -> "list[Command]":
    """What is to be added, in order; the first ones close everything."""
    out: list[Command] = [("table", {"name": TABLE})]
    for name, number in HOOKS.items():
        hook = {"attrs": [("NFTA_HOOK_HOOKNUM", number), ("NFTA_HOOK_PRIORITY", 0)]}
        chain = {"table": TABLE, "name": name, "hook": hook, "policy": lib.NF_DROP, "type": "filter"}
        out.append(("chain", chain))
    for (name, device), rules in zip(CHAINS.items(), (network.binds, network.connects), strict=True):
        bodies = [
            [*_meta(device), _compare(pack("=I", LOOPBACK_INDEX)), _accept()],
            [*_answers(), _accept()],
            [*_protocol(IPPROTO_ICMPV6), *_range(0, 1, *NEIGHBOURS), _accept()],
            *[[*_rule(rule), _accept()] for rule in rules],
            *_refusals(name),
        ]
        out += [("rule", {"table": TABLE, "chain": name, "expressions": body}) for body in bodies]
    return out


def _rule(rule: PortRule) -> "list[Expression]":
    ports = _range(DPORT_OFFSET, PORT_BYTES, rule.low, rule.high)
    return [*_protocol(PROTOCOLS[rule.protocol]), *ports, *(_target(rule.address) if rule.address else [])]


def _target(text: str) -> "list[Expression]":
    """Packets to this address, or to this network."""
    address, _, length = text.partition("/")
    family = address_of("connect", address)
    raw = inet_pton(family, address)
    bits = BITS[family]
    count = int(length) if length else bits
    mask = ((1 << bits) - (1 << bits - count)).to_bytes(len(raw), "big")
    offset, protocol = FAMILIES[len(raw)]
    masked = bytes(each & other for each, other in zip(raw, mask, strict=True))
    return [
        *_meta(lib.NFT_META_NFPROTO),
        _compare(bytes([protocol])),
        _load(lib.NFT_PAYLOAD_NETWORK_HEADER, offset, len(raw)),
        _express(
            "bitwise",
            SREG=lib.NFT_REG_1,
            DREG=lib.NFT_REG_1,
            LEN=len(raw),
            MASK=_value(mask),
            XOR=_value(bytes(len(raw))),
        ),
        _compare(masked),
    ]


def _answers() -> "list[Expression]":
    zero = bytes(4)
    return [
        _express("ct", DREG=lib.NFT_REG_1, KEY=lib.NFT_CT_STATE),
        _express(
            "bitwise",
            SREG=lib.NFT_REG_1,
            DREG=lib.NFT_REG_1,
            LEN=4,
            MASK=_value(pack("=I", ANSWERS)),
            XOR=_value(zero),
        ),
        _compare(zero, lib.NFT_CMP_NEQ),
    ]


def _protocol(number: int) -> "list[Expression]":
    return [*_meta(lib.NFT_META_L4PROTO), _compare(bytes([number]))]


def _range(offset: int, size: int, low: int, high: int) -> "list[Expression]":
    """A number in the transport header that is from `low` to `high`."""
    return [
        _load(lib.NFT_PAYLOAD_TRANSPORT_HEADER, offset, size),
        _compare(low.to_bytes(size, "big"), lib.NFT_CMP_GTE),
        _compare(high.to_bytes(size, "big"), lib.NFT_CMP_LTE),
    ]


def _meta(key: int) -> "list[Expression]":
    return [_express("meta", DREG=lib.NFT_REG_1, KEY=key)]


def _load(base: int, offset: int, size: int) -> "Expression":
    return _express("payload", DREG=lib.NFT_REG_1, BASE=base, OFFSET=offset, LEN=size)


def _compare(value: bytes, how: int = lib.NFT_CMP_EQ) -> "Expression":
    return _express("cmp", SREG=lib.NFT_REG_1, OP=how, DATA=_value(value))


def _accept() -> "Expression":
    verdict = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", lib.NF_ACCEPT)]})]}
    return _express("immediate", DREG=lib.NFT_REG_VERDICT, DATA=verdict)


def _refusals(chain: str) -> "list[list[Expression]]":
    """An answer at once: to be dropped in silence, a connect would wait for minutes.

    Our own connect still holds its socket when the answer comes, and of unreachable it would hear only when it
    tries again after a second; a reset waits for it.
    """
    code = lib.NFT_REJECT_ICMPX_ADMIN_PROHIBITED
    unreachable = _express("reject", TYPE=lib.NFT_REJECT_ICMPX_UNREACH, ICMP_CODE=code)
    if chain != "output":
        return [[unreachable]]
    reset = _express("reject", TYPE=lib.NFT_REJECT_TCP_RST)
    return [[*_protocol(IPPROTO_TCP), reset], [unreachable]]


def _value(value: bytes) -> "Expression":
    return {"attrs": [("NFTA_DATA_VALUE", value)]}


def _express(name: str, **fields: object) -> "Expression":
    attributes = [(f"NFTA_{name.upper()}_{key}", value) for key, value in fields.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": attributes})]}
