# SPDX-License-Identifier: MIT
"""`veth:eth0,addr=10.9.0.2/24` and `tcp:10.0.0.0/8:443` → a network as it was asked for. Words alone.

Refuses all that needs no look at the host. Read where the words are given, and again by the process that makes
the network.
"""

from binascii import crc32

from jail._native import lib
from jail.addresses import address_of, check_device_name, check_mac, network_of
from jail.errors import UsageError

KINDS = ("veth", "macvlan", "dev", "netns")
NETNS_FOLDER = "/run/netns"  # where ip-netns(8) keeps them
MTU_MIN, MTU_MAX = 68, 65535
PORT_MAX = 65535
# keys with a list, and with one value; which kinds take them
LISTS = ("addr", "gw", "route", "dns", "host")
SINGLE = ("bridge", "mtu", "mac", "name", "peer", "mode")
ONLY = {"host": "veth", "bridge": "veth", "peer": "veth", "mode": "macvlan"}
MODES = ("private", "bridge", "vepa")


class Device:
    """One network device of the jail: `name` inside; `parent` is the host's device where there is one."""

    __slots__ = ("kind", "lists", "name", "parent", "single")

    def __init__(self, kind: str, parent: str, name: str) -> None:
        self.kind = kind
        self.parent = parent
        self.name = name
        self.lists: dict[str, list[str]] = {}
        self.single: dict[str, str] = {}

    def describe(self) -> str:
        source = f" from {self.parent}" if self.parent else ""
        return f"{self.kind} {self.name}{source}"


class PortRule:
    """What may be reached: `protocol` tcp or udp, ports from `low` to `high`, at `address` if not ""."""

    __slots__ = ("address", "high", "low", "protocol")

    def __init__(self, protocol: str, address: str, low: int, high: int) -> None:
        self.protocol = protocol
        self.address = address
        self.low = low
        self.high = high


class Network:
    """All that was asked for. `path` is an existing namespace; `words` say the rest once more."""

    __slots__ = ("binds", "connects", "devices", "dns", "path", "words")

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.path = ""
        self.dns: list[str] = []
        self.binds: list[PortRule] = []
        self.connects: list[PortRule] = []
        self.words: list[str] = []

    @property
    def has_rules(self) -> bool:
        return bool(self.binds or self.connects)

    def describe(self) -> str:
        if self.path:
            return f"the network {self.path}"
        made = [device.describe() for device in self.devices]
        return f"the network that was made: {', '.join([*made, 'port rules'] if self.has_rules else made)}"


def parse(nets: list[str], binds: list[str], connects: list[str], jail_name: str) -> Network:
    """Read all words of one jail. Raises UsageError."""
    network = Network()
    for text in nets:
        kind, colon, rest = text.partition(":")
        if not colon or kind not in KINDS or not rest:
            raise UsageError(f"net: {text[:60]!r} is none of {', '.join(f'{each}:…' for each in KINDS)}")
        if kind == "netns":
            _take_existing(network, rest)
        else:
            network.devices.append(_device(kind, rest, jail_name))
    _check_names(network)
    network.dns += [server for device in network.devices for server in device.lists.get("dns", ())]
    network.binds = [_rule("bind", text) for text in binds]
    network.connects = [_rule("connect", text) for text in connects]
    if network.path and network.has_rules:
        raise UsageError(
            "net: bind and connect rules need a network of the jail's own, not one that others use"
        )
    network.words = [
        *(f"net={text}" for text in nets),
        *(f"bind={text}" for text in binds),
        *(f"connect={text}" for text in connects),
    ]
    return network


def from_words(words: list[str], jail_name: str) -> Network:
    """Network.words back to a network."""
    lists: dict[str, list[str]] = {"net": [], "bind": [], "connect": []}
    for word in words:
        key, _, text = word.partition("=")
        lists[key].append(text)
    return parse(lists["net"], lists["bind"], lists["connect"], jail_name)


def _take_existing(network: Network, text: str) -> None:
    name, *rest = text.split(",")
    if network.path:
        raise UsageError("net: two existing namespaces")
    for word in rest:
        key, _, server = word.partition("=")
        if key != "dns":
            raise UsageError(f"net: {word[:60]!r} is nothing to say of an existing namespace; dns=… is")
        address_of("dns", server)
        network.dns.append(server)
    if name.startswith("/"):
        network.path = name
    elif "/" in name or name in (".", ".."):
        raise UsageError(f"net: {name[:60]!r} is neither a name nor an absolute path")
    else:
        network.path = f"{NETNS_FOLDER}/{name}"


def _check_names(network: Network) -> None:
    if network.path and network.devices:
        raise UsageError("net: an existing namespace has its own devices")
    seen: set[str] = set()
    for device in network.devices:
        for name in (device.name, device.single.get("peer", "")):
            if name and name in seen:
                raise UsageError(f"net: {name} is there twice")
            seen.add(name)


def _device(kind: str, text: str, jail_name: str) -> Device:
    first, *rest = text.split(",")
    device = Device(kind, "" if kind == "veth" else first, first)
    _check_device_name(first)
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals or not value or key not in (*LISTS, *SINGLE):
            raise UsageError(f"net: {word[:60]!r} is no {kind} setting{_near(key)}")
        if ONLY.get(key, kind) != kind:
            raise UsageError(f"net: {key} is for {ONLY[key]} alone")
        if key in device.single:
            raise UsageError(f"net: {key} is there twice")
        if key in LISTS:
            device.lists.setdefault(key, []).append(value)
        else:
            device.single[key] = value
    _check_settings(device)
    if "name" in device.single:
        device.name = device.single["name"]
    elif kind == "macvlan":
        device.name = f"mv-{first}"[: lib.IFNAMSIZ - 1]
    if kind == "veth":
        device.single.setdefault("peer", peer_name(jail_name, device.name))
    return device


def peer_name(jail_name: str, device: str) -> str:
    """What the host's end of a veth is called where nobody says: the same at each start, short enough."""
    return f"jail{crc32(f'{jail_name}/{device}'.encode('utf-8', 'surrogateescape')):08x}"


def _check_settings(device: Device) -> None:
    for key in ("name", "peer", "bridge"):
        if key in device.single:
            _check_device_name(device.single[key])
    mtu = device.single.get("mtu", str(MTU_MAX))
    if not (mtu.isascii() and mtu.isdigit() and len(mtu) <= 5 and MTU_MIN <= int(mtu) <= MTU_MAX):
        raise UsageError(f"net: mtu: {mtu[:40]!r} is not a number from {MTU_MIN} to {MTU_MAX}")
    if device.single.get("mode", MODES[0]) not in MODES:
        raise UsageError(f"net: mode: {device.single['mode'][:40]!r} is none of {', '.join(MODES)}")
    if "mac" in device.single:
        check_mac(device.single["mac"])
    if "bridge" in device.single and "host" in device.lists:
        raise UsageError("net: a port of a bridge has no address: host and bridge do not go together")
    _check_ways(device, _check_addresses(device))
    for text in device.lists.get("dns", ()):
        address_of("dns", text)


def _check_addresses(device: Device) -> set[int]:
    """The kinds of address that the device has inside."""
    families = set()
    for key in ("addr", "host"):
        for text in device.lists.get(key, ()):
            address, slash, _ = text.partition("/")
            family = network_of(key, text)
            if not slash:
                raise UsageError(
                    f"net: {key}: {address[:60]} needs the length of its network, as in 10.9.0.2/24"
                )
            if key == "addr":
                families.add(family)
    return families


def _check_ways(device: Device, families: set[int]) -> None:
    """Gateways and routes, each of a kind that the device has an address of."""
    gateways = [address_of("gw", text) for text in device.lists.get("gw", ())]
    if len(set(gateways)) != len(gateways):
        raise UsageError("net: gw: two of one kind")
    for text in device.lists.get("route", ()):
        target, _, via = text.partition("@")
        families_of = {network_of("route", target), *([address_of("route", via)] if via else [])}
        if len(families_of) != 1:
            raise UsageError(f"net: route: {text[:60]} mixes IPv4 and IPv6")
        gateways += families_of
    if not set(gateways) <= families:
        raise UsageError("net: a gateway or route needs an address of its kind: addr=…")


def _check_device_name(name: str) -> None:
    check_device_name("net", name)
    if name == "lo":
        raise UsageError("net: 'lo' cannot be the name of a device")


def _rule(what: str, text: str) -> PortRule:
    """`tcp:53`, `udp:1000-1010`, `tcp:10.0.0.0/8:443`, `tcp:[fd00::/8]:443`."""
    protocol, _, rest = text.partition(":")
    address, colon, ports = rest.rpartition(":")
    if protocol not in ("tcp", "udp") or not ports:
        raise UsageError(f"{what}: {text[:60]!r} is not tcp:PORT, udp:PORT or tcp:ADDRESS:PORT")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if colon and what == "bind":
        raise UsageError(f"bind: {text[:60]!r}: an address is for connect alone")
    if colon:
        network_of(what, address)
    low, dash, high = ports.partition("-")
    numbers = [_port(what, text, part) for part in ((low, high) if dash else (low, low))]
    if numbers[0] > numbers[1]:
        raise UsageError(f"{what}: {text[:60]!r}: the ports are the wrong way round")
    return PortRule(protocol, address, *numbers)


def _port(what: str, text: str, part: str) -> int:
    if not (part.isascii() and part.isdigit() and len(part) <= 5 and 1 <= int(part) <= PORT_MAX):
        raise UsageError(f"{what}: {text[:60]!r}: a port is a number from 1 to {PORT_MAX}")
    return int(part)


def _near(key: str) -> str:
    from jail.near import did_you_mean

    return did_you_mean(key, [*LISTS, *SINGLE])
