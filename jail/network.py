# SPDX-License-Identifier: MIT
"""Makes the network of one jail: namespace, devices, addresses, routes and rules. The only importer of pyroute2.

A process of its own, started by netmaker.py: pyroute2 takes a quarter of a second and 25 MB, and unshare(2) is for
ever. When all is there it becomes `ujail-init keep`, which tells the parent and holds what must be given back;
where anything fails it says why, and what was made goes with the namespace.
"""

import os
import sys
import time
from contextlib import suppress

from jail._native import lib
from jail.errors import ConfigError, JailError
from jail.networds import Device, Network, from_words
from jail.privilege import STUB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LOOPBACK_INDEX = 1
# the kernel takes a namespace apart in its own time: names of an ended jail may still be there for a moment
PATIENCE_S = 3.0
RETRY_S = 0.02
SWITCHES = "/proc/sys/net/ipv6/conf"


def main(argv: list[str]) -> int:
    """argv: the jail's name and Network.words. Returns only if something failed, and has said it on 1."""
    os.closerange(3, 65536)  # what the caller let us inherit would stay open as long as the jail lives
    os.setsid()
    os.chdir("/")
    try:
        return make(argv[1], from_words(argv[2:], argv[1]))
    except JailError as error:
        text = str(error)
    except OSError as error:
        text = f"network: {error.filename or 'system'}: {error.strerror}"
    except Exception as error:  # of pyroute2, say: the parent has to hear of it
        text = f"network: {type(error).__name__}: {error}"
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(1, text.encode("utf-8", "surrogateescape"))
    return 1


def make(jail_name: str, network: Network) -> int:
    """Make it and become its keeper. Raises JailError, OSError; then nothing is left."""
    try:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError
    except ImportError as error:
        raise ConfigError(f"network: needs pyroute2: pip install stockade[net] ({error})") from error
    home_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with IPRoute() as host:
        if result := lib.make_network():
            raise OSError(-result, os.strerror(-result), "new network namespace")
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with IPRoute() as inside:
            maker = Maker(jail_name, host, inside, fd, NetlinkError)
            try:
                maker.make(network)
                os.set_inheritable(home_fd, True)
                words = [word for index, name in maker.moved for word in (str(index), name)]
                os.execv(STUB, ["ujail-init", "keep", str(home_fd), *words])
            except BaseException:
                maker.give_back(home_fd)
                raise
    return 1


class Maker:
    """`host` and `inside` are pyroute2's sockets in the two namespaces; `moved` what has to be moved back."""

    def __init__(self, jail_name: str, host: "Any", inside: "Any", fd: int, refusal: type[Exception]) -> None:
        self._jail_name = jail_name
        self._host = host
        self._inside = inside
        self._fd = fd
        self._refusal = refusal
        self.moved: list[tuple[int, str]] = []  # index inside, name at home

    def make(self, network: Network) -> None:
        """Everything, rules first: no packet passes before them. Raises ConfigError."""
        if network.has_rules:
            self._put_rules(network)
        self._try("lo", lambda: self._inside.link("set", index=LOOPBACK_INDEX, state="up"))
        for device in network.devices:
            getattr(self, f"_make_{device.kind}")(device)
            self._configure(device)

    def give_back(self, home_fd: int) -> None:
        """Each as far as it goes: why it is done is what will be said."""
        for index, name in self.moved:
            with suppress(self._refusal):
                self._inside.link("set", index=index, net_ns_fd=home_fd, ifname=name)

    def _put_rules(self, network: Network) -> None:
        from pyroute2.nftables.main import NFTables

        from jail.netrules import commands

        with NFTables(nfgen_family=lib.NFPROTO_INET) as rules:
            for name, settings in commands(network):
                what = f"{name} of nf_tables (is it in this kernel?)"
                self._try(what, lambda name=name, settings=settings: getattr(rules, name)("add", **settings))  # type: ignore[misc]

    # the kinds

    def _make_veth(self, device: Device) -> None:
        single = device.single
        peer = {"ifname": device.name, "net_ns_fd": self._fd}
        if "mac" in single:
            peer["address"] = single["mac"]
        if "mtu" in single:
            peer["mtu"] = int(single["mtu"])
        own = {"mtu": int(single["mtu"])} if "mtu" in single else {}
        name = single["peer"]
        self._patiently(
            lambda: self._host.link("add", ifname=name, kind="veth", peer=peer, **own), f"veth {name}"
        )
        index = self._index(self._host, name)
        alias = f"jail {self._jail_name} {device.name}"
        self._try(f"{name}: alias", lambda: self._host.link("set", index=index, ifalias=alias))
        if "bridge" in single:
            bridge = self._index(self._host, single["bridge"])
            self._try(
                f"bridge {single['bridge']}", lambda: self._host.link("set", index=index, master=bridge)
            )
        self._add_addresses(self._host, index, device.lists.get("host", []))
        self._try(f"{name}: up", lambda: self._host.link("set", index=index, state="up"))

    def _make_macvlan(self, device: Device) -> None:
        parent = self._index(self._host, device.parent)
        wanted = {
            "ifname": device.name,
            "kind": "macvlan",
            "link": parent,
            "macvlan_mode": device.single.get("mode", "private"),
            "net_ns_fd": self._fd,
        }
        if "mac" in device.single:
            wanted["address"] = device.single["mac"]
        self._patiently(lambda: self._host.link("add", **wanted), f"macvlan on {device.parent}")

    def _make_dev(self, device: Device) -> None:
        """It may be on its way back from a jail that has just ended."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self._host.link_lookup(ifname=device.parent)) and time.monotonic() < end:
            time.sleep(RETRY_S)
        index = found[0] if found else self._index(self._host, device.parent)
        self._try(
            f"move {device.parent}",
            lambda: self._host.link("set", index=index, net_ns_fd=self._fd, ifname=device.name),
        )
        self.moved.append((self._index(self._inside, device.name), device.parent))

    # what all have

    def _configure(self, device: Device) -> None:
        inside, name = self._inside, device.name
        index = self._index(inside, name)
        self._quieten(device)
        settings: dict[str, object] = {}
        if "mtu" in device.single:
            settings["mtu"] = int(device.single["mtu"])
        if "mac" in device.single and device.kind == "dev":
            settings["address"] = device.single["mac"]
        if settings:
            self._try(f"{name}: {', '.join(settings)}", lambda: inside.link("set", index=index, **settings))
        self._add_addresses(inside, index, device.lists.get("addr", []))
        self._try(f"{name}: up", lambda: inside.link("set", index=index, state="up"))
        # ways without a gateway first: a gateway may be on one of them
        for route in sorted(device.lists.get("route", []), key=lambda text: "@" in text):
            target, _, via = route.partition("@")
            self._add_route(index, target, via)
        for gateway in device.lists.get("gw", []):
            self._add_route(index, "::/0" if ":" in gateway else "0.0.0.0/0", gateway)

    def _add_addresses(self, sockets: "Any", index: int, addresses: list[str]) -> None:
        from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD

        for text in addresses:
            address, _, length = text.partition("/")
            # without: for a second or two nothing can be bound to it
            more = {"flags": IFA_F_NODAD} if ":" in address else {}
            self._try(
                f"address {text}",
                lambda address=address, length=length, more=more: sockets.addr(  # type: ignore[misc]
                    "add", index=index, address=address, prefixlen=int(length), **more
                ),
            )

    def _add_route(self, index: int, target: str, via: str) -> None:
        way: dict[str, object] = {"dst": target, "oif": index}
        if via:
            way["gateway"] = via
        else:
            way["scope"] = "link"
        self._try(f"route {target}", lambda: self._inside.route("add", **way))

    def _quieten(self, device: Device) -> None:
        """No address and no route but those that were asked for: no router says what else there is."""
        folder = f"{SWITCHES}/{device.name}"
        if not os.path.isdir(folder):
            return  # a kernel without IPv6
        wants_6 = any(":" in text for text in device.lists.get("addr", ()))
        for name, value in {"accept_ra": 0, "autoconf": 0, "disable_ipv6": int(not wants_6)}.items():
            with open(f"{folder}/{name}", "w") as file:
                file.write(str(value))

    def _index(self, sockets: "Any", name: str) -> int:
        found = sockets.link_lookup(ifname=name)
        if not found:
            raise ConfigError(f"network: there is no device {name}")
        return int(found[0])

    def _try(self, what: str, call: "Callable[[], object]") -> None:
        try:
            call()
        except self._refusal as error:
            raise ConfigError(f"network: {what}: {os.strerror(_code(error))}") from error

    def _patiently(self, call: "Callable[[], object]", what: str) -> None:
        """The same for what may still have its name from a jail that has just ended."""
        from errno import EEXIST

        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                call()
                return
            except self._refusal as error:
                if _code(error) != EEXIST:
                    break
            time.sleep(RETRY_S)
        self._try(what, call)


def _code(error: Exception) -> int:
    return int(getattr(error, "code", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
