# SPDX-License-Identifier: MIT
"""Where OpenWrt's netifd is on the bus, it is told of each jail with a network of its own, as by procd's ujail.

It moves the devices in that its configuration has for a jail of that name, and takes them back at the end. On any
other host nobody has that method, and nothing happens.
"""

import os

from initd.ubus import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeAlias

    from initd.definition import Definition
    from initd.host import Words
    from initd.ubus.blob import Table

    OnEnd: TypeAlias = Callable[[int, list[Table]], None]

    class Bus(Protocol):
        """What calls a method, with a descriptor: initd.ubus.bus.Bus."""

        def call(self, path: str, method: str, data: Table, on_end: OnEnd, *, fd: int = -1) -> None: ...


PATH, METHOD = "network", "netns_updown"
ABSENT = (wire.NOT_FOUND, wire.METHOD_NOT_FOUND, wire.CONNECTION_FAILED)


class Handed:
    """A jail's network as netifd knows it, from the start of the jail to take_back()."""

    __slots__ = ("_bus", "_fd", "_jail", "_log", "_name")

    def __init__(self, bus: "Bus", log: "Words", name: str, jail: str, fd: int) -> None:
        """`fd` is the namespace; it is closed when netifd has heard of the end."""
        self._bus = bus
        self._log = log
        self._name = name
        self._jail = jail
        self._fd = fd
        self._tell(True, lambda: None)

    def take_back(self) -> None:
        """The jail has ended. The namespace stays until what is in it was taken out."""
        self._tell(False, lambda: os.close(self._fd))

    def _tell(self, starts: bool, then: "Callable[[], None]") -> None:
        def on_end(status: int, answers: "list[Table]") -> None:
            if status and status not in ABSENT:
                what = f"{PATH} {METHOD} {'start' if starts else 'stop'}"
                self._log.warning(f"{self._name}: {what}: {wire.status_text(status)}")
            then()

        self._bus.call(PATH, METHOD, {"jail": self._jail, "start": starts}, on_end, fd=self._fd)


def hand(bus: "Bus", log: "Words", definition: "Definition", pid: int) -> Handed | None:
    """Tell netifd of the network of a jail, `pid` its first process; None where it has none of its own."""
    jail = definition.jail
    if jail is None or not jail.netns:
        return None
    try:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # it has ended already
    name = definition.full_name
    return Handed(bus, log, name, jail.name or f"{definition.service}.{definition.instance}", fd)
