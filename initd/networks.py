# SPDX-License-Identifier: MIT
"""The networks that instances ask for: each is made by a process of its own (jail/netmaker.py) while initd goes on.

An instance that has asked is told once: what was made, or why there is nothing. It may let go before.
"""

from initd.loop import READ
from jail.errors import JailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from initd.definition import Definition
    from initd.host import Host
    from jail.netmaker import Made, Making
    from jail.spec import JailSpec

    OnMade: TypeAlias = Callable[[Made | None, Exception | None], None]


class Asked:
    """One network that somebody waits for."""

    __slots__ = ("_host", "_making", "_on_made", "_timer", "given")

    def __init__(self, host: "Host", definition: "Definition", making: "Making", on_made: "OnMade") -> None:
        self.given = definition.given
        self._host = host
        self._making = making
        self._on_made = on_made
        from jail.netmaker import LIMIT_S  # loaded by now, and only where somebody asks

        host.loop.watch(making.report_fd, READ, self._read)
        self._timer = host.loop.after(LIMIT_S, self._give_up)
        host.children.watch(making.pid, lambda status: None)  # reaped, whenever that is

    def _read(self, events: int) -> None:
        if not self._making.read():
            return
        self._leave()
        try:
            made = self._making.take()
        except (JailError, OSError) as error:
            self._on_made(None, error)
        else:
            self._on_made(made, None)

    def _give_up(self) -> None:
        from jail.netmaker import late

        self.cancel()
        self._making.kill()
        self._on_made(None, late())

    def cancel(self) -> None:
        """Nobody waits any more. It goes on to the end, to give back what it has moved by then."""
        self._leave()
        self._making.cancel()

    def _leave(self) -> None:
        self._host.loop.unwatch(self._making.report_fd)
        self._timer.cancel()


class Existing:
    """A namespace that is there: the answer comes in the next turn of the loop, as all answers do."""

    __slots__ = ("_made", "_timer", "given")

    def __init__(self, host: "Host", definition: "Definition", made: "Made", on_made: "OnMade") -> None:
        self.given = definition.given
        self._made = made
        self._timer = host.loop.after(0, lambda: on_made(made, None))

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._timer.cancel()
        self._made.close()


def ask(
    host: "Host", definition: "Definition", make_spec: "Callable[[Definition], JailSpec]", on_made: "OnMade"
) -> "Asked | Existing | None":
    """Have the network of a definition made; None where it asks for none. Raises JailError, OSError."""
    if definition.jail is None or not definition.jail.params:
        return None
    spec = make_spec(definition)
    network = spec.network() if spec.is_network_made() else None
    if network is None:
        return None
    from jail.netmaker import Making, open_existing

    if network.path:
        return Existing(host, definition, open_existing(network.path), on_made)
    return Asked(host, definition, Making(spec.name, network.words), on_made)
