# SPDX-License-Identifier: MIT
"""The service model put together from its parts: what main.py makes, once, and asks to stop everything."""

import os

from initd.denials import DENIED, Denials
from initd.events import Events
from initd.host import Host
from initd.jailspec import CONTAINERS, make_spec
from initd.log import INFO
from initd.netifd import hand
from initd.networks import ask
from initd.objects import ServiceMethods
from initd.output import Output
from initd.rcd import script_command
from initd.reminder import Reminder
from initd.service import Services
from initd.spawn import Plans, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initd.children import Children
    from initd.commands import Commands
    from initd.consoletable import ConsoleTable
    from initd.definition import Definition
    from initd.log import Log
    from initd.loop import Loop
    from initd.ubus.blob import Table
    from initd.ubus.bus import Bus

ERR = 3  # the level of what a service says on stderr


class Model:
    """The objects `service` and `container`, each with its tree, on one bus."""

    def __init__(
        self,
        loop: "Loop",
        log: "Log",
        children: "Children",
        commands: "Commands",
        bus: "Bus",
        init_dir: str,
        root: str,
        ubus_socket: str,
        limits: "Mapping[str, str] | None" = None,
    ) -> None:
        self._parts = (loop, log, children)
        self._commands = commands
        self._bus = bus
        self._init_dir = init_dir
        self._root = root
        self.denials = Denials(loop, log, self._publish)
        # instances of both trees may have one name
        self._plans = (Plans(ubus_socket, limits), Plans(ubus_socket, limits, CONTAINERS))
        self.services = Services(self._host(self._plans[0]))
        self.containers = Services(self._host(self._plans[1]))
        self.events = Events(self.services.host, self.services, commands.run, bus.subscribe)
        self._serve()
        self._consoles: ConsoleTable | None = None
        self._reminder = Reminder(loop, log, [self.services, self.containers])

    def _host(self, plans: Plans) -> Host:
        loop, log, children = self._parts

        def output(fd: int, definition: "Definition", pid: int, is_error: bool) -> Output:
            ident = os.path.basename(definition.command[0])
            return Output(loop, log, fd, ident, pid, ERR if is_error else INFO, definition.facility)

        host = Host(
            loop,
            log,
            children,
            lambda definition, identity, net_fd: spawn(definition, plans, identity, net_fd),
            lambda definition: make_spec(definition, plans.ubus_socket),
            output,
            self.denials,
        )
        host.hand_network = lambda definition, pid: hand(self._bus, log, definition, pid)
        host.ask_network = lambda definition, on_made: ask(host, definition, make_spec, on_made)
        host.forget, host.kill_group, host.end_group = plans.forget, plans.kill, plans.end
        host.describe_oom = plans.describe_oom
        return host

    def _serve(self) -> None:
        methods = ServiceMethods(self.services, self.events.take)
        methods.on_change = self.events.watch
        service = methods.service()
        container = ServiceMethods(self.containers).container(self._find_consoles)
        self._service = service
        host = self.services.host
        host.notify = lambda name, data: self._bus.notify(service, name, data)
        host.fire = self.events.fire
        host.run_hook = self._run_hook
        self.containers.host.notify = lambda name, data: self._bus.notify(container, name, data)
        self._bus.add(service)
        self._bus.add(container)

    def _find_consoles(self) -> "ConsoleTable":
        if self._consoles is None:
            from initd.consoletable import ConsoleTable

            self._consoles = ConsoleTable(self._parts[0], (self.containers, self.services))
        return self._consoles

    def _publish(self, fields: "Table") -> None:
        """A denied call, for those who subscribe to `service` and for those who listen."""
        self._bus.notify(self._service, DENIED, fields)
        self._bus.send_event(DENIED, fields)

    def _run_hook(self, service: str) -> None:
        """`/etc/init.d/NAME running`, by which a script hears that its service does."""
        script = f"{self._init_dir}/{service}"
        if os.access(script, os.R_OK | os.X_OK):
            self._commands.run(script_command(script, "running", self._root), 0)

    def stop_all(self, on_end: "Callable[[], None]") -> None:
        """End every instance and start none any more: on_end() when no process is left."""
        self.containers.stop_all(lambda: self.services.stop_all(on_end))

    def close(self) -> None:
        """Listen to the kernel no more."""
        self.denials.close()
