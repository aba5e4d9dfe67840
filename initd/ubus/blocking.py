# SPDX-License-Identifier: MIT
"""The client for programs that wait: one question, its answer, the next. Not for the event loop."""

import select
import time

from initd.slim import socket
from initd.ubus import wire
from initd.ubus.client import SOCKET_PATH, TIMEOUT_S, Client, Found, Request
from initd.ubus.object import Call, Object
from initd.ubus.wire import UbusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from initd.ubus.blob import Table, Value


class Session(Client):
    """A connection whose answers are waited for. `timeout_s` bounds each wait; 0 is for ever."""

    def __init__(self, path: str = SOCKET_PATH, timeout_s: float = TIMEOUT_S) -> None:
        """Connect and wait for HELLO. Raises UbusError (connection failed)."""
        self.timeout_s = timeout_s
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.connect(path)
        except OSError as error:
            connected.close()
            raise UbusError(wire.CONNECTION_FAILED) from error
        super().__init__(connected, _raise)
        try:
            self.work_until(lambda: self.id != 0)
        except UbusError:
            self.close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def work_until(self, is_done: "Callable[[], bool]", timeout_s: float | None = None) -> None:
        """Serve the connection until something has happened. Raises UbusError: timeout, connection failed."""
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        end_s = time.monotonic() + limit_s if limit_s > 0 else None
        poller = select.poll()
        while not is_done():
            if self.is_lost:
                raise UbusError(wire.CONNECTION_FAILED)
            waits = select.POLLIN if not self.channel.output_bytes else select.POLLIN | select.POLLOUT
            poller.register(self.channel.fileno(), waits)
            rest_s = None if end_s is None else end_s - time.monotonic()
            if rest_s is not None and rest_s <= 0:
                raise UbusError(wire.TIMEOUT)
            poller.poll(None if rest_s is None else rest_s * 1000)
            self.work()

    def wait(self, request: Request) -> None:
        """Wait for the end of a request. Raises UbusError unless it is status 0."""
        try:
            self.work_until(lambda: request.is_done)
        except UbusError as error:
            self.cancel(request, error.code)
        if request.status:
            raise UbusError(request.status)

    def lookup(self, path: str | None = None) -> list[Found]:
        """The objects of a path, of a prefix that ends in `*`, or all. Raises UbusError."""
        found: list[Found] = []
        self.wait(self.start_lookup(path, found.append))
        return found

    def lookup_id(self, path: str) -> int:
        """The id of one object. Raises UbusError (not found)."""
        found = self.lookup(path)
        if not found:
            raise UbusError(wire.NOT_FOUND)
        return found[-1].id

    def call(
        self, path: "str | int", method: str, data: "Mapping[str, Value] | None" = None, fd: int = -1
    ) -> "list[Table]":
        """Call a method, of a path or of an id found before; the answers. Raises UbusError, BlobError."""
        id = path if isinstance(path, int) else self.lookup_id(path)
        answers: list[Table] = []
        self.wait(self.start_invoke(id, method, data or {}, answers.append, None, fd))
        return answers

    def add(self, served: Object) -> Object:
        """Register an object. Raises UbusError."""
        self.wait(self.start_add(served))
        return served

    def listen(self, patterns: "list[str]", heard: "Callable[[str, Table], None]") -> Object:
        """Hear events while work_until() runs. Raises UbusError."""
        listener = self.add(Object(receive=lambda call: _hear(call, heard)))
        for pattern in patterns:
            self.wait(self.start_listen(listener, pattern))
        return listener

    def subscribe(self, paths: "list[str]", heard: "Callable[[str, Table], None]") -> Object:
        """Hear notifications of objects while work_until() runs. Raises UbusError."""
        subscriber = self.add(Object(receive=lambda call: _hear(call, heard)))
        for path in paths:
            self.wait(self.start_subscribe(subscriber, self.lookup_id(path)))
        return subscriber

    def send_event(self, name: str, data: "Mapping[str, Value]") -> None:
        """Send an event to all who listen. Raises UbusError, BlobError."""
        self.call(wire.EVENT_OBJECT, "send", {"id": name, "data": dict(data)})

    def wait_for(self, paths: "list[str]") -> None:
        """Wait until all these objects are there. Raises UbusError (timeout)."""
        missing = set(paths)

        def heard(event: str, data: "Table") -> None:
            missing.discard(str(data.get("path")))

        end_s = time.monotonic() + self.timeout_s
        self.listen(["ubus.object.add"], heard)
        missing.difference_update([found.path for found in self.lookup()])
        rest_s = max(end_s - time.monotonic(), 0.001) if self.timeout_s else 0
        self.work_until(lambda: not missing, rest_s)


def _hear(call: Call, heard: "Callable[[str, Table], None]") -> None:
    heard(call.method, call.data)


def _raise(error: Exception) -> "NoReturn":
    raise error
