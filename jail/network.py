# SPDX-License-Identifier: MIT
"""Makes the network of one jail: namespace, devices, addresses, routes and rules.

With rtnetlink.py and nftables.py, which ask the kernel, the only user of pyroute2 (pyroute.py loads it).

A process of its own, started by netmaker.py: what it needs of pyroute2 takes time and memory, and unshare(2) is for
ever. When all is there it becomes `ujail-init keep`, which tells the parent and holds what must be given back;
where anything fails it says why, and what was made goes with the namespace.
"""

import os
import time
from contextlib import suppress

from jail._native import lib
from jail.errors import ConfigError, JailError
from jail.networds import Device, Network, from_words
from jail.privilege import STUB
from jail.pyroute import LINKS, RULES, load
from jail.rtnetlink import Routing, attributes
from jail.spec import PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

LOOPBACK_INDEX = 1
# the kernel takes a namespace apart in its own time: names of an ended jail may still be there for a moment
PATIENCE_S = 3.0
RETRY_S = 0.02
SWITCHES = "/proc/sys/net/ipv6/conf"


def main(jail_name: str, words: list[str]) -> None:
    """In a process of its own. Returns only if something failed, and has said it on 1."""
    try:
        _close_inherited()
        os.setsid()
        os.chdir("/")
        make(jail_name, from_words(words, jail_name))
    except JailError as error:
        text = str(error)
    except OSError as error:
        text = f"network: {error.filename or 'system'}: {error.strerror}"
    except Exception as error:  # of pyroute2, say: the parent has to hear of it
        text = f"network: {type(error).__name__}: {error}"
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(1, text.encode("utf-8", "surrogateescape"))


def _close_inherited() -> None:
    """Our copies would hold what others wait for the end of, and what is inherited stays as long as the jail lives.

    By their list: before Linux 5.9 os.closerange(3) makes a call for each number there could be.
    """
    for text in os.listdir("/proc/self/fd"):
        if int(text) > 2:
            with suppress(OSError):  # that of the list itself
                os.close(int(text))


def make(jail_name: str, network: Network) -> "NoReturn":
    """Make it and become its keeper. Raises JailError, OSError; then nothing is left."""
    try:
        load(*LINKS, *([RULES] if network.has_rules else []))
    except ImportError as error:
        raise ConfigError(f"network: needs pyroute2, 0.7 or later ({error})") from error
    home_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with Routing() as host:
        if result := lib.make_network():
            raise OSError(-result, os.strerror(-result), "new network namespace")
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with Routing() as inside:
            maker = Maker(jail_name, host, inside, fd)
            try:
                maker.make(network)
                os.set_inheritable(home_fd, True)
                words = [word for index, name in maker.kept for word in (str(index), name)]
                os.execve(STUB, ["ujail-init", "keep", str(home_fd), *words], {"PATH": PATH})
            except BaseException:
                maker.give_back(home_fd)
                raise


class Maker:
    """`host` and `inside` are the two namespaces; `kept` what has to be moved back or, without a name, be removed."""

    def __init__(self, jail_name: str, host: Routing, inside: Routing, fd: int) -> None:
        self._jail_name = jail_name
        self._host = host
        self._inside = inside
        self._fd = fd
        self.kept: list[tuple[int, str]] = []  # index inside, name at home

    def make(self, network: Network) -> None:
        """Everything, rules first: no packet passes before them. Raises ConfigError."""
        if network.has_rules:
            self._put_rules(network)
        self._try("lo", lambda: self._inside.set_link(LOOPBACK_INDEX, up=True))
        for device in network.devices:
            getattr(self, f"_make_{device.kind}")(device)
            self._configure(device)

    def give_back(self, home_fd: int) -> None:
        """Each as far as it goes: why it is done is what will be said."""
        for index, name in self.kept:
            with suppress(OSError):
                if name:
                    self._inside.set_link(index, net_ns_fd=home_fd, ifname=name)

    def _put_rules(self, network: Network) -> None:
        from jail.netrules import commands
        from jail.nftables import Refused, put

        try:
            put(commands(network))
        except OSError as error:
            what = error.what if isinstance(error, Refused) else "socket"
            text = f"network: {what} of nf_tables (is it in this kernel?): {error.strerror}"
            raise ConfigError(text) from error

    # the kinds

    def _make_veth(self, device: Device) -> None:
        single = device.single
        own = {"mtu": int(single["mtu"])} if "mtu" in single else {}
        mac = {"address": single["mac"]} if "mac" in single else {}
        peer = attributes({"ifname": device.name, "net_ns_fd": self._fd, **mac, **own})
        name = single["peer"]
        self._patiently(
            lambda: self._host.add_link("veth", {"VETH_INFO_PEER": {"attrs": peer}}, ifname=name, **own),
            f"veth {name}",
        )
        self.kept.append((self._index(self._inside, device.name), ""))
        index = self._index(self._host, name)
        alias = f"jail {self._jail_name} {device.name}"
        self._try(f"{name}: alias", lambda: self._host.set_link(index, ifalias=alias))
        if "bridge" in single:
            bridge = self._index(self._host, single["bridge"])
            self._try(f"bridge {single['bridge']}", lambda: self._host.set_link(index, master=bridge))
        self._add_addresses(self._host, index, device.lists.get("host", []))
        self._try(f"{name}: up", lambda: self._host.set_link(index, up=True))

    def _make_macvlan(self, device: Device) -> None:
        parent = self._index(self._host, device.parent)
        mode = {"IFLA_MACVLAN_MODE": device.single.get("mode", "private")}
        wanted: dict[str, object] = {"ifname": device.name, "link": parent, "net_ns_fd": self._fd}
        if "mac" in device.single:
            wanted["address"] = device.single["mac"]
        self._patiently(lambda: self._host.add_link("macvlan", mode, **wanted), f"macvlan on {device.parent}")

    def _make_dev(self, device: Device) -> None:
        """It may be on its way back from a jail that has just ended."""
        end = time.monotonic() + PATIENCE_S
        while not self._host.index(device.parent) and time.monotonic() < end:
            time.sleep(RETRY_S)
        index = self._index(self._host, device.parent)
        self._try(
            f"move {device.parent}",
            lambda: self._host.set_link(index, net_ns_fd=self._fd, ifname=device.name),
        )
        self.kept.append((self._index(self._inside, device.name), device.parent))

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
            self._try(f"{name}: {', '.join(settings)}", lambda: inside.set_link(index, **settings))
        self._add_addresses(inside, index, device.lists.get("addr", []))
        self._try(f"{name}: up", lambda: inside.set_link(index, up=True))
        # ways without a gateway first: a gateway may be on one of them
        for route in sorted(device.lists.get("route", []), key=lambda text: "@" in text):
            target, _, via = route.partition("@")
            self._add_route(index, target, via)
        for gateway in device.lists.get("gw", []):
            self._add_route(index, "::/0" if ":" in gateway else "0.0.0.0/0", gateway)

    def _add_addresses(self, there: Routing, index: int, addresses: list[str]) -> None:
        for text in addresses:
            self._add_address(there, index, text)

    def _add_address(self, there: Routing, index: int, text: str) -> None:
        self._try(f"address {text}", lambda: there.add_address(index, text))

    def _add_route(self, index: int, target: str, via: str) -> None:
        self._try(f"route {target}", lambda: self._inside.add_route(index, target, via))

    def _quieten(self, device: Device) -> None:
        """No address and no route but those that were asked for: no router says what else there is."""
        folder = f"{SWITCHES}/{device.name}"
        if not os.path.isdir(folder):
            return  # a kernel without IPv6
        wants_6 = any(":" in text for text in device.lists.get("addr", ()))
        for name, value in {"accept_ra": 0, "autoconf": 0, "disable_ipv6": int(not wants_6)}.items():
            with open(f"{folder}/{name}", "w") as file:
                file.write(str(value))

    def _index(self, there: Routing, name: str) -> int:
        index = there.index(name)
        if not index:
            raise ConfigError(f"network: there is no device {name}")
        return index

    def _try(self, what: str, call: "Callable[[], object]") -> None:
        try:
            call()
        except OSError as error:
            raise ConfigError(f"network: {what}: {error.strerror}") from error

    def _patiently(self, call: "Callable[[], object]", what: str) -> None:
        """The same for what may still have its name from a jail that has just ended."""
        from errno import EEXIST

        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                call()
                return
            except OSError as error:
                if error.errno != EEXIST:
                    break
            time.sleep(RETRY_S)
        self._try(what, call)
