# SPDX-License-Identifier: MIT
"""The services: what scripts have set, as instances, and the table of all of them.

Knows nothing of ubus but its values. A service that is deleted stays in the table until the last process of it
is gone; a `set` meanwhile brings it back.
"""

from initd.definition import Definition
from initd.instance import Instance
from initd.listing import listing
from initd.validate import as_listed
from jail.errors import JailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from initd.host import Host
    from initd.triggers import Trigger
    from initd.ubus.blob import Table, Value


class Service:
    """One service. `batch` has the names of the instances set since update_start; None outside of one."""

    __slots__ = (
        "_host",
        "_on_empty",
        "autostart",
        "batch",
        "data",
        "instances",
        "is_deleted",
        "name",
        "trigger_values",
        "triggers",
        "validate",
    )

    def __init__(self, host: "Host", name: str, on_empty: "Callable[[Service], None]") -> None:
        self._host = host
        self._on_empty = on_empty
        self.name = name
        self.autostart = True
        self.batch: set[str] | None = None
        self.data: Table | None = None
        self.instances: dict[str, Instance] = {}
        self.is_deleted = False
        self.trigger_values: list[Value] = []
        self.triggers: list[Trigger] = []
        self.validate: list[Value] = []

    def update(self, given: "Table", is_set: bool) -> None:
        """What `set` or `add` says; keys that are not there stay as they are."""
        self.is_deleted = False
        if isinstance(triggers := given.get("triggers"), list):
            self.trigger_values, self.triggers = triggers, self._read_triggers(self.name, triggers)
        if isinstance(rules := given.get("validate"), list):
            self.validate = as_listed(rules)
        if isinstance(autostart := given.get("autostart"), bool):
            self.autostart = autostart
        if isinstance(instances := given.get("instances"), dict):
            self._update_instances(instances, is_set)
        if isinstance(data := given.get("data"), dict):
            self.set_data(data)

    def _update_instances(self, tables: "Table", is_set: bool) -> None:
        if is_set:
            self._remove_all_but(set(tables))
        if self.batch is not None:
            self.batch |= set(tables)
        for name, table in tables.items():
            definition = self._read(name, table)
            instance = self.instances.get(name)
            before = None if instance is None else instance.definition
            if instance is None:
                instance = self.instances[name] = Instance(self._host, definition, self._on_gone)
            instance.triggers = self._read_triggers(definition.full_name, definition.triggers)
            instance.update(definition, self.autostart)
            if before is None or before.given != definition.given:
                self._host.fire("instance.update", {"name": self.name, "instance": name})
            if (before and before.data) != definition.data:
                self._fire_data()

    def _read(self, name: str, table: "Value") -> Definition:
        definition = Definition.read(self.name, name, table)
        if not definition.faults:
            try:
                self._host.check(definition)
            except (JailError, OSError) as error:
                definition.faults.append(str(error))
        return definition

    def _read_triggers(self, name: str, values: "list[Value]") -> "list[Trigger]":
        triggers, faults = self._host.read_triggers(values)
        for text in faults:
            self._host.log.warning(f"{name}: {text}")
        return triggers

    def _remove_all_but(self, names: set[str]) -> None:
        for name, instance in list(self.instances.items()):
            if name not in names:
                instance.remove()

    def complete(self) -> None:
        """The end of a batch: what it did not name goes."""
        names, self.batch = self.batch, None
        if names is not None:
            self._remove_all_but(names)

    def delete(self) -> None:
        """End all instances, and with the last one this service."""
        self.is_deleted = True
        self.batch = None
        if self.instances:
            self._remove_all_but(set())  # the last one to go, which may be now, ends this service
        else:
            self._on_empty(self)

    def _on_gone(self, instance: Instance) -> None:
        self.instances.pop(instance.definition.instance, None)
        instance.let_go()
        self._host.forget(instance.definition)
        if instance.definition.data is not None:
            self._fire_data()
        if self.is_deleted and not self.instances:
            self._on_empty(self)

    def set_data(self, data: "Table | None") -> None:
        """Replace the service's own data."""
        has_changed = data != self.data
        self.data = data
        if has_changed:
            self._fire_data()

    def set_instance_data(self, instance: Instance, data: "Table") -> None:
        """Replace the data of one instance."""
        has_changed = data != instance.definition.data
        instance.definition.data = data
        if has_changed:
            self._fire_data()

    def _fire_data(self) -> None:
        self._host.fire("service.data.update", {"name": self.name})

    def listing(self, verbose: bool) -> "Table":
        """One entry of `service list`."""
        out: Table = {}
        if not self.autostart:
            out["autostart"] = False
        if self.data is not None:
            out["data"] = self.data
        if self.instances:
            out["instances"] = {name: listing(one, verbose) for name, one in self.instances.items()}
        if verbose and self.trigger_values:
            out["triggers"] = self.trigger_values
        if verbose and self.validate:
            out["validate"] = self.validate
        return out


class Services:
    """All services by name."""

    def __init__(self, host: "Host") -> None:
        self.host = host
        self.table: dict[str, Service] = {}
        self._on_all_gone: Callable[[], None] | None = None

    def update(self, name: str, given: "Table", is_set: bool) -> None:
        """`set` replaces the instances, `add` leaves the others."""
        service = self.table.get(name)
        is_new = service is None or service.is_deleted
        if service is None:
            service = self.table[name] = Service(self.host, name, self._forget)
        service.update(given, is_set)
        if is_new:
            self.host.notify("service.start", {"service": name})
        if is_new or given.get("instances"):
            self.host.run_hook(name)

    @property
    def are_ending(self) -> bool:
        """Everything is being stopped: what is set now would be left behind."""
        return self._on_all_gone is not None

    def _forget(self, service: Service) -> None:
        del self.table[service.name]
        self.host.notify("service.stop", {"service": service.name})
        if service.data is not None:
            self.host.fire("service.data.update", {"name": service.name})
        self._check_all_gone()

    def listing(self, name: str | None, verbose: bool) -> "Table":
        """`service list`; an unknown name has no entry."""
        return {
            service.name: service.listing(verbose)
            for service in self.table.values()
            if name is None or service.name == name
        }

    def data(self, name: str | None, instance: str | None, key: str | None) -> "Table":
        """`service get_data`: the data of services under "*", and of instances; only `key` of them, if given."""
        out: Table = {}
        for service in self.table.values():
            if name is not None and service.name != name:
                continue
            found: Table = {}
            own = _pick(service.data, key) if instance is None else {}
            if own:
                found["*"] = own
            for one in service.instances.values():
                if instance in (None, one.definition.instance) and (own := _pick(one.definition.data, key)):
                    found[one.definition.instance] = own
            if found:
                out[service.name] = found
        return out

    def triggers(self) -> "Iterator[Trigger]":
        """The triggers of all services and instances."""
        for service in self.table.values():
            yield from service.triggers
            for instance in service.instances.values():
                yield from instance.triggers

    def watched(self) -> set[str]:
        """The objects whose notifications instances want as events."""
        return {
            path
            for service in self.table.values()
            for instance in service.instances.values()
            for path in instance.definition.watch
        }

    def stop_all(self, on_end: "Callable[[], None]") -> None:
        """End everything, the last one first, and start nothing any more: on_end() when no process is left."""
        self._on_all_gone = on_end
        for service in reversed(list(self.table.values())):
            service.delete()
        self._check_all_gone()

    def _check_all_gone(self) -> None:
        if self._on_all_gone is not None and not self.table:
            on_end, self._on_all_gone = self._on_all_gone, lambda: None
            on_end()


def _pick(data: "Table | None", key: str | None) -> "Table":
    if data is None or key is None:
        return data or {}
    return {key: data[key]} if key in data else {}
