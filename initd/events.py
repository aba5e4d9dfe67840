# SPDX-License-Identifier: MIT
"""Events: from `service event`, from services that change, from watched objects; to triggers and subscribers."""

from initd.triggers import fire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.host import Host
    from initd.service import Services
    from initd.triggers import Run
    from initd.ubus.blob import Table

    Heard = Callable[[str, Table], None]

CONFIG_CHANGE = "config.change"


class Events:
    """`run(argv, delay_ms)` gets the commands of triggers; `subscribe(path, heard)` is the bus's."""

    def __init__(
        self, host: "Host", services: "Services", run: "Run", subscribe: "Callable[[str, Heard], None]"
    ) -> None:
        self._host = host
        self._services = services
        self._run = run
        self._subscribe = subscribe
        self._watched: set[str] = set()

    def take(self, event: str, data: "Table") -> None:
        """One of `service event`: for the triggers and the subscribers."""
        self.fire(event, data)
        self._host.notify("event.trigger", {"type": event, "data": data})
        if event == CONFIG_CHANGE and isinstance(package := data.get("package"), str):
            self._host.notify(CONFIG_CHANGE, {"config": package})

    def fire(self, event: str, data: "Table") -> None:
        """One for the triggers only."""
        for fault in fire(self._services.triggers(), event, data, self._run):
            self._host.log.warning(fault)

    def watch(self) -> None:
        """Subscribe to what instances name since the last time.

        Nobody unsubscribes: a notification that no trigger is for costs little. It does not become an
        `event.trigger`, or an instance that watches `service` itself would go on for ever.
        """
        for path in sorted(self._services.watched() - self._watched):
            self._watched.add(path)
            self._subscribe(path, self.fire)
