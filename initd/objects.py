# SPDX-License-Identifier: MIT
"""The objects `service` and `container` on the bus: procd's methods with procd's arguments and statuses."""

import os

from initd.definition import SIGNAL_MAX, WATCHDOG_ACTIVE, name_fault
from initd.fields import NESTED_MAX, too_deep
from initd.slim import signal
from initd.ubus import wire
from initd.ubus.blob import ARRAY, INT8, INT32, STRING, TABLE
from initd.ubus.object import Call, Method, Object
from initd.ubus.wire import UbusError
from initd.validate import merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.consoletable import ConsoleTable
    from initd.instance import Instance
    from initd.service import Service, Services
    from initd.ubus.blob import Table, Value

TIMEOUT_MAX_S = 1 << 30
SETTING = {
    "name": STRING,
    "script": STRING,
    "instances": TABLE,
    "triggers": ARRAY,
    "validate": ARRAY,
    "autostart": INT8,
    "data": TABLE,
}
ONE = {"name": STRING, "instance": STRING}
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"


class ServiceMethods:
    """The methods of one tree of services. `event` takes what `service event` sends."""

    def __init__(self, services: "Services", event: "Callable[[str, Table], None] | None" = None) -> None:
        self._services = services
        self._event = event
        self.on_change: Callable[[], None] = lambda: None  # after anything that may have changed `watch`

    def service(self) -> Object:
        """The object `service`."""
        methods = {
            "set": Method(self._set, SETTING),
            "add": Method(self._add, SETTING),
            "list": Method(self._list, {"name": STRING, "verbose": INT8}),
            "delete": Method(self._delete, ONE),
            "signal": Method(self._signal, {**ONE, "signal": INT32}),
            "update_start": Method(self._update_start, {"name": STRING}),
            "update_complete": Method(self._update_complete, {"name": STRING}),
            "event": Method(self._take_event, {"type": STRING, "data": TABLE}, ("type", "data")),
            "validate": Method(self._validate, {"package": STRING, "type": STRING, "service": STRING}),
            "get_data": Method(self._get_data, {**ONE, "type": STRING}),
            "set_data": Method(self._set_data, {**ONE, "data": TABLE}),
            "state": Method(self._state, {"spawn": INT8, "name": STRING}, ("spawn",)),
            "watchdog": Method(
                self._watchdog, {"mode": INT32, "timeout": INT32, **ONE}, ("name", "instance")
            ),
        }
        return Object("service", methods)

    def container(self, consoles: "Callable[[], ConsoleTable]") -> Object:
        """The object `container`: the same on a tree of its own, and the consoles of both."""

        def console_set(call: Call) -> None:
            fd = _fd(call)
            consoles().hold(_name(call), _text(call, "instance") or _name(call), fd)

        def console_attach(call: Call) -> None:
            fd = _fd(call)
            consoles().attach(_name(call), _text(call, "instance"), fd)

        methods = {
            "set": Method(self._set, SETTING),
            "add": Method(self._add, SETTING),
            "list": Method(self._list, {"name": STRING, "verbose": INT8}),
            "delete": Method(self._delete, ONE),
            "state": Method(self._state, {"spawn": INT8, "name": STRING}, ("spawn",)),
            "get_features": Method(lambda call: features()),
            "console_set": Method(console_set, ONE, ("name",)),
            "console_attach": Method(console_attach, ONE, ("name",)),
        }
        return Object("container", methods)

    def _set(self, call: Call) -> None:
        self._update(call, is_set=True)

    def _add(self, call: Call) -> None:
        self._update(call, is_set=False)

    def _update(self, call: Call, is_set: bool) -> None:
        name = _name(call)
        if problem := name_fault(name):
            self._services.host.log.error(f"service {call.method}: {problem}")
            raise UbusError(wire.INVALID_ARGUMENT)
        if self._services.are_ending:
            self._services.host.log.warning(f"{name}: not set, for everything is being stopped")
            raise UbusError(wire.SYSTEM_ERROR)
        self._check_nesting(call)
        self._services.update(name, call.data, is_set)
        self.on_change()

    def _list(self, call: Call) -> "Table":
        return self._services.listing(_text(call, "name"), bool(call.data.get("verbose")))

    def _delete(self, call: Call) -> "Table | None":
        service = self._find(call)
        instance = self._find_instance(call, service)
        traced = _trace_files([instance] if instance else list(service.instances.values()))
        if instance is None:
            service.delete()
        else:
            instance.remove()
        # as `list` has it, which has no entry any more when the files are written
        return {service.name: {"instances": traced}} if traced else None

    def _signal(self, call: Call) -> None:
        service = self._find(call)
        one = self._find_instance(call, service)
        number = call.data.get("signal", int(signal.SIGHUP))
        if not isinstance(number, int) or not 0 < number <= SIGNAL_MAX:
            raise UbusError(wire.INVALID_ARGUMENT)
        status = wire.OK if service.instances else wire.NOT_FOUND
        for instance in [one] if one else list(service.instances.values()):
            status = wire.OK
            try:
                instance.send_signal(number)
            except ProcessLookupError:
                status = wire.NOT_FOUND
            except OSError:
                status = wire.SYSTEM_ERROR
        if status:
            raise UbusError(status)

    def _update_start(self, call: Call) -> None:
        self._find(call).batch = set()

    def _update_complete(self, call: Call) -> None:
        self._find(call).complete()

    def _take_event(self, call: Call) -> None:
        kind, data = call.data["type"], call.data["data"]
        assert isinstance(kind, str) and isinstance(data, dict)
        if self._event is not None:
            self._event(kind, data)

    def _validate(self, call: Call) -> "Table":
        if "service" in call.data:
            return {}
        rules = [rule for service in self._services.table.values() for rule in service.validate]
        return merged(rules, _text(call, "package"), _text(call, "type"))

    def _get_data(self, call: Call) -> "Table":
        return self._services.data(_text(call, "name"), _text(call, "instance"), _text(call, "type"))

    def _set_data(self, call: Call) -> None:
        service = self._find(call)
        instance = self._find_instance(call, service)
        data = call.data.get("data")
        if not isinstance(data, dict):
            raise UbusError(wire.INVALID_ARGUMENT)
        self._check_nesting(call)
        if instance is None:
            service.set_data(data)
        else:
            service.set_instance_data(instance, data)

    def _state(self, call: Call) -> None:
        service = self._find(call)
        for instance in list(service.instances.values()):
            if call.data["spawn"]:
                instance.start()
            else:
                instance.stop()

    def _watchdog(self, call: Call) -> "Table":
        service = self._find(call)
        instance = self._find_instance(call, service)
        if instance is None:
            raise UbusError(wire.INVALID_ARGUMENT)
        mode = _number(call, "mode", 0, WATCHDOG_ACTIVE)
        timeout_s = _number(call, "timeout", 1, TIMEOUT_MAX_S)
        instance.take_watchdog(mode, timeout_s)
        out: Table = {"name": service.name, "instance": instance.definition.instance}
        return out | instance.watchdog.listing()

    def _check_nesting(self, call: Call) -> None:
        """What could not be listed is not taken: one such service, and the list of all would fail."""
        if place := too_deep(call.data):
            text = f"{_name(call)}: {call.method}: {place}: nested deeper than {NESTED_MAX}"
            self._services.host.log.error(text)
            raise UbusError(wire.INVALID_ARGUMENT)

    def _find(self, call: Call) -> "Service":
        service = self._services.table.get(_name(call))
        if service is None:
            raise UbusError(wire.NOT_FOUND)
        return service

    def _find_instance(self, call: Call, service: "Service") -> "Instance | None":
        """The instance of the call; None if it names none."""
        name = _text(call, "instance")
        if name is None:
            return None
        if name not in service.instances:
            raise UbusError(wire.NOT_FOUND)
        return service.instances[name]


def features() -> "Table":
    """What this machine has for jails: `container get_features`."""
    namespaces: list[Value] = [name for name in NAMESPACES if os.path.exists(f"/proc/self/ns/{name}")]
    controllers: list[Value] = []
    try:
        with open(CONTROLLERS) as file:
            controllers += file.read().split()
    except OSError:
        pass
    return {
        "machine": os.uname().machine,
        "seccomp": os.path.exists("/proc/sys/kernel/seccomp/actions_avail"),
        "cgroup": controllers,
        "namespaces": namespaces,
    }


def _name(call: Call) -> str:
    name = _text(call, "name")
    if name is None:
        raise UbusError(wire.INVALID_ARGUMENT)
    return name


def _fd(call: Call) -> int:
    """The descriptor that came along, the caller's to close. Raises UbusError."""
    fd = call.take_fd()
    if fd < 0:
        raise UbusError(wire.INVALID_ARGUMENT)
    return fd


def _trace_files(instances: "list[Instance]") -> "Table":
    return {
        one.definition.instance: {"trace_file": one.trace_file}
        for one in instances
        if one.trace_file and one.process is not None
    }


def _text(call: Call, key: str) -> str | None:
    value = call.data.get(key)
    return value if isinstance(value, str) else None


def _number(call: Call, key: str, low: int, high: int) -> int | None:
    value = call.data.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or not low <= value <= high:
        raise UbusError(wire.INVALID_ARGUMENT)
    return value
