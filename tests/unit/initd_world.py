# SPDX-License-Identifier: MIT
"""The service model in a world of its own: a clock that only moves when told, processes that are only numbers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from initd.definition import Definition
from initd.denials import Denials
from initd.events import Events
from initd.host import Host
from initd.instance import Instance
from initd.loop import Loop
from initd.objects import ServiceMethods
from initd.service import Services
from initd.tracing import Tracing
from initd.ubus import wire
from initd.ubus.blob import unpack_table
from initd.ubus.object import Object, serve_call
from initd.ubus.wire import Frame

if TYPE_CHECKING:
    from initd.networks import Asked, OnMade

FIRST_PID = 1000


class FakeStarted:
    def __init__(self, pid: int, service_pid: int) -> None:
        self.pid, self.service_pid = pid, service_pid
        self.stdout_fd = self.stderr_fd = -1
        self.warnings: list[str] = []
        self.pidfile = ""
        self.trace: Tracing | None = None
        self.notify_abi = ""
        self.console_fd = self.listener_fd = -1


class FakeChildren:
    """The processes that were started and have not ended."""

    def __init__(self) -> None:
        self.watched: dict[int, Callable[[int], None]] = {}

    def watch(self, pid: int, on_end: Callable[[int], None]) -> None:
        self.watched[pid] = on_end


class FakeLog:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[str] = []

    def debug(self, text: str) -> None:
        self.states.append(text)

    def info(self, text: str) -> None:
        self.lines.append(f"info {text}")

    def warning(self, text: str) -> None:
        self.lines.append(f"warning {text}")

    def error(self, text: str) -> None:
        self.lines.append(f"error {text}")


class FakeOutput:
    def __init__(self, fd: int, world: "World") -> None:
        self.fd, self.world = fd, world

    def close(self) -> None:
        self.world.closed_outputs.append(self.fd)


class FakeAsked:
    """A network that an instance waits for; `on_made` is the test's to call."""

    def __init__(self, definition: Definition, on_made: "OnMade") -> None:
        self.given = definition.given
        self.on_made = on_made
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class World:
    """Services and what they do to it: `spawned`, `kills`, `notes`, `hooks`, `commands`, `log`."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.loop = Loop(self.faults.append)
        self.clock_s = 1000.0
        self.loop.now = lambda: self.clock_s
        self.children = FakeChildren()
        self.log = FakeLog()
        self.spawned: list[Definition] = []
        self.net_fds: list[int] = []  # of the spawns
        self.asked: list[FakeAsked] = []  # networks that instances wait for, or did
        self.network_errors: list[Exception] = []
        self.spawn_errors: list[Exception] = []  # the next spawns end with these
        self.check_errors: list[Exception] = []
        self.started_as: Callable[[int], FakeStarted] = lambda pid: FakeStarted(pid, pid)
        self.kills: list[tuple[int, int]] = []
        self.kill_error: OSError | None = None
        self.notes: list[tuple[str, Mapping[str, object]]] = []
        self.hooks: list[str] = []
        self.closed_outputs: list[int] = []
        self.commands: list[tuple[list[str], int]] = []
        self.subscribed: dict[str, Callable[..., None]] = {}
        self.denied: list[Mapping[str, object]] = []
        self.forgotten: list[str] = []
        self.group_kills = 0
        self.is_group_gone = True
        self.oom = ""
        self._pid = FIRST_PID - 1
        self.denials = Denials(self.loop, self.log, self.denied.append)
        self.denials.records.is_open = True  # nothing is heard of the kernel
        self.host = self._host()
        self.services = Services(self.host)
        self.events = Events(
            self.host,
            self.services,
            lambda argv, delay_ms: self.commands.append((argv, delay_ms)),
            self.subscribed.__setitem__,
        )
        self.host.fire = self.events.fire
        methods = ServiceMethods(self.services, self.events.take)
        methods.on_change = self.events.watch
        self.object = methods.service()

    def _host(self) -> Host:
        made = Host(
            self.loop,
            self.log,
            self.children,  # type: ignore[arg-type]
            self._spawn,
            self._check,
            lambda fd, definition, pid, is_error: FakeOutput(fd, self),
            self.denials,
        )
        made.kill = self._kill
        made.ask_network = self._ask_network
        made.notify = lambda name, data: self.notes.append((name, data))
        made.run_hook = self.hooks.append
        made.kill_group = self._kill_group
        made.end_group = lambda definition: self.is_group_gone
        made.describe_oom = lambda definition: self.oom
        made.forget = lambda definition: self.forgotten.append(definition.full_name)
        return made

    def _ask_network(self, definition: Definition, on_made: "OnMade") -> "Asked | None":
        if not (definition.jail and definition.jail.params):
            return None
        if self.network_errors:
            raise self.network_errors.pop(0)
        asked = FakeAsked(definition, on_made)
        self.asked.append(asked)
        return asked  # type: ignore[return-value]

    def _spawn(self, definition: Definition, identity: tuple[object, ...], net_fd: int) -> FakeStarted:
        self.net_fds.append(net_fd)
        if self.spawn_errors:
            raise self.spawn_errors.pop(0)
        self.spawned.append(definition)
        self._pid += 1
        return self.started_as(self._pid)

    def _check(self, definition: Definition) -> None:
        if self.check_errors:
            raise self.check_errors[0]

    def _kill(self, pid: int, number: int) -> None:
        if self.kill_error is not None:
            raise self.kill_error
        assert pid in self.children.watched
        self.kills.append((pid, number))

    def _kill_group(self, definition: Definition) -> None:
        self.group_kills += 1

    # what the outside does

    def end(self, pid: int, status: int = 0) -> None:
        """The process ends, with a wait status."""
        self.children.watched.pop(pid)(status)

    def advance(self, seconds: float) -> None:
        """Time goes by, and every timer gets its turn at its time."""
        end_s = self.clock_s + seconds
        while due := [timer.due_s for timer in self.loop._timers if timer.callback and timer.due_s <= end_s]:
            self.clock_s = max(self.clock_s, min(due))
            self.loop._run_timers()
        self.clock_s = end_s

    def call(self, method: str, data: Mapping[str, object]) -> tuple[int, dict[str, object]]:
        """A call to the object `service` as it comes over the bus: its status and answer."""
        return call(self.object, method, data, self.faults)

    def set(self, name: str, **instances: object) -> None:
        """`service set` of instances, which has to succeed."""
        assert self.call("set", {"name": name, "instances": instances}) == (wire.OK, {})

    def instance(self, service: str, name: str) -> Instance:
        return self.services.table[service].instances[name]

    def listing(self, service: str, name: str, verbose: bool = False) -> dict[str, object]:
        listed = self.services.listing(service, verbose)[service]
        assert isinstance(listed, dict)
        instances = listed["instances"]
        assert isinstance(instances, dict)
        found = instances[name]
        assert isinstance(found, dict)
        return found  # type: ignore[return-value]

    def take_notes(self) -> list[str]:
        """The names of the notifications since the last time."""
        names, self.notes = [name for name, _ in self.notes], []
        return names

    def close(self) -> None:
        self.loop.close()
        assert self.faults == []


def call(
    served: Object, method: str, data: Mapping[str, object], faults: list[Exception]
) -> tuple[int, dict[str, object]]:
    frames: list[Frame] = []
    body = wire.invoke_body(7, method, data)  # type: ignore[arg-type]
    serve_call(served, Frame(wire.INVOKE, 1, 7, body), frames.append, faults.append)
    answer: dict[str, object] = {}
    for frame in frames:
        found = frame.attributes()
        if frame.type == wire.STATUS:
            return wire.word(found[wire.A_STATUS]), answer
        answer |= unpack_table(found[wire.A_DATA])
    raise AssertionError("no status")


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)
