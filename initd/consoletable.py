# SPDX-License-Identifier: MIT
"""Consoles by name: those of our own instances, and those that a `ujail -y` gave us to hold.

Imported with the first call that is about one.
"""

from initd.jailconsole import JailConsole, is_master
from initd.ubus import wire
from initd.ubus.strangers import close_fd
from initd.ubus.wire import UbusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initd.loop import Loop
    from initd.service import Services

HELD_MAX = 64


class ConsoleTable:
    """`trees` are where instances are; of two with one name the first counts."""

    __slots__ = ("_held", "_loop", "_trees")

    def __init__(self, loop: "Loop", trees: "Sequence[Services]") -> None:
        self._loop, self._trees = loop, trees
        self._held: dict[tuple[str, str], JailConsole] = {}

    def hold(self, name: str, instance: str, fd: int) -> None:
        """Keep the master of a console until its jail ends; a new one of the same name takes its place.

        The descriptor is ours, whatever becomes of it. Raises UbusError.
        """
        key = (name, instance)
        if not is_master(fd) or (key not in self._held and len(self._held) >= HELD_MAX):
            refused = wire.NO_MEMORY if is_master(fd) else wire.INVALID_ARGUMENT
            close_fd(fd)
            raise UbusError(refused)
        if key in self._held:
            self._held.pop(key).close()
        self._held[key] = console = JailConsole(self._loop, fd, lambda: self._forget(key, console))

    def _forget(self, key: tuple[str, str], console: JailConsole) -> None:
        if self._held.get(key) is console:
            del self._held[key]

    def attach(self, name: str, instance: str | None, fd: int) -> None:
        """Connect a console with what a caller gave. The descriptor is ours. Raises UbusError."""
        try:
            console = self._find(name, instance)
        except UbusError:
            close_fd(fd)
            raise
        try:
            console.attach(fd)
        except OSError as error:
            close_fd(fd)
            raise UbusError(wire.INVALID_ARGUMENT) from error

    def _find(self, name: str, instance: str | None) -> JailConsole:
        """Without the name of an instance: the only one that has a console."""
        found: dict[str, JailConsole] = {
            key: held for (first, key), held in self._held.items() if first == name
        }
        for tree in reversed(self._trees):
            service = tree.table.get(name)
            for key, each in service.instances.items() if service else ():
                console = each.process.console if each.process is not None else None
                if console is not None and console.is_open:
                    found[key] = console
        if instance is not None:
            found = {key: console for key, console in found.items() if key == instance}
        if not found:
            raise UbusError(wire.NOT_FOUND)
        if len(found) > 1:
            raise UbusError(wire.INVALID_ARGUMENT)
        (console,) = found.values()
        return console
