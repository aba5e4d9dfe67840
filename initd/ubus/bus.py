# SPDX-License-Identifier: MIT
"""initd's place on the bus, inside the event loop: with the ubusd that is there, or as the broker itself.

Decided once, at start(): if something answers on the socket, our objects are registered there, and again each
time it comes back; if nothing does, the broker takes the path. What was asked for stays asked for: objects,
listeners and subscriptions outlive any connection.
"""

from initd.loop import READ, WRITE, Loop
from initd.slim import socket
from initd.ubus import wire
from initd.ubus.acl import ACL_DIR
from initd.ubus.broker import Broker
from initd.ubus.client import SOCKET_PATH, TIMEOUT_S, Client, Found
from initd.ubus.object import Call, Object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from initd.ubus.blob import Table, Value

    Heard: TypeAlias = Callable[[str, Table], None]

RETRY_S = 1.0
SLICE_S = 0.02  # in which calls to us are served in a row, before the rest of the loop has its turn


class Bus:
    """`warn` gets one line for each thing an administrator should know; `broker` is None under a ubusd."""

    def __init__(
        self,
        loop: Loop,
        warn: "Callable[[str], None]",
        path: str = SOCKET_PATH,
        acl_dir: str = ACL_DIR,
    ) -> None:
        self._loop = loop
        self._warn = warn
        self._path = path
        self._acl_dir = acl_dir
        self._objects: list[Object] = []
        self._listeners: list[tuple[str, Object]] = []
        self._subscribers: list[tuple[str, Object]] = []
        self._client: Client | None = None
        self._watched = 0
        self._is_closed = False
        self.broker: Broker | None = None
        self.on_ready: Callable[[], None] | None = None  # all objects are registered, again

    # what is asked for; at any time

    def add(self, served: Object) -> None:
        """Serve an object from now on."""
        self._objects.append(served)
        if self.is_connected:
            self._register(served)

    def listen(self, pattern: str, heard: "Heard") -> None:
        """Hear events from now on: heard(event, data)."""
        listener = Object(receive=lambda call: _hear(call, heard))
        self._listeners.append((pattern, listener))
        if self.is_connected:
            self._start_listener(pattern, listener)

    def subscribe(self, path: str, heard: "Heard") -> None:
        """Hear the notifications of an object, whenever it is there: heard(name, data)."""
        subscriber = Object(receive=lambda call: _hear(call, heard))
        if not self._subscribers:
            self.listen("ubus.object.add", self._on_path)
        self._subscribers.append((path, subscriber))
        if self.is_connected:
            self._start_subscriber(path, subscriber)

    def notify(self, served: Object, name: str, data: "Mapping[str, Value]") -> None:
        """Tell the subscribers of our object; nothing happens where there are none."""
        if self._client is not None:
            self._client.notify(served, name, data)

    def send_event(self, name: str, data: "Mapping[str, Value]") -> None:
        """Send an event to all who listen; lost while there is no broker."""
        if self._client is not None:
            table: Table = {"id": name, "data": dict(data)}
            self._client.start_invoke(wire.EVENT_OBJECT, "send", table)

    def call(
        self,
        path: str,
        method: str,
        data: "Mapping[str, Value]",
        on_end: "Callable[[int, list[Table]], None]",
        timeout_s: float = TIMEOUT_S,
        fd: int = -1,
    ) -> None:
        """Call a method of somebody else's object: on_end(status, answers), once.

        `fd` goes along; it is the caller's, and has to stay open until then. The end comes with TIMEOUT after
        `timeout_s` for finding the object, and as long again for the call.
        """
        client = self._client
        if client is None:
            on_end(wire.CONNECTION_FAILED, [])
            return
        answers: list[Table] = []
        ids: list[int] = []

        def invoke(status: int) -> None:
            if status or not ids:
                end(status or wire.NOT_FOUND)
            else:
                request = client.start_invoke(ids[0], method, data, answers.append, end, fd)
                self._loop.after(timeout_s, lambda: client.cancel(request))

        def end(status: int) -> None:
            on_end(status, answers)

        lookup = client.start_lookup(path, lambda found: ids.append(found.id), invoke)
        self._loop.after(timeout_s, lambda: client.cancel(lookup))

    # the connection

    @property
    def is_connected(self) -> bool:
        """Whether requests can be made: HELLO has come."""
        return self._client is not None and self._client.id != 0

    def start(self) -> None:
        """Connect, or become the broker where nobody listens. Raises OSError where that is not possible."""
        try:
            self._connect()
            return
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        except BlockingIOError:  # somebody is there, and busy: not ours to replace
            self._loop.after(RETRY_S, self._retry)
            return
        self.broker = Broker(self._loop, self._warn, self._acl_dir)
        try:
            self.broker.listen(self._path)
        except OSError:
            self.broker = None
            raise
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.broker.adopt(theirs)
        self._use(ours)

    def _connect(self) -> None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.setblocking(False)
        try:
            connected.connect(self._path)
        except OSError:
            connected.close()
            raise
        self._use(connected)

    def _use(self, connected: socket.socket) -> None:
        self._client = client = Client(connected, self._loop.fault)
        client.on_hello = self._on_hello
        client.on_backlog = self._watch
        self._watched = 0
        self._watch()

    def _watch(self) -> None:
        client = self._client
        if client is None:
            return
        wanted = 0 if client.inbox else READ
        if client.channel.output_bytes or client.inbox:
            wanted |= WRITE
        if wanted != self._watched:
            self._watched = wanted
            self._loop.watch(client.channel.fileno(), wanted, self._on_io)

    def _on_io(self, events: int) -> None:
        client = self._client
        assert client is not None
        end_s = self._loop.now() + SLICE_S
        client.work(lambda: self._loop.now() >= end_s)
        if client.is_lost:
            self._part(client)
        else:
            self._watch()

    def _part(self, client: Client) -> None:
        self._loop.unwatch(client.channel.fileno())
        client.close()
        self._client = None
        if not self._is_closed:
            self._warn(f"{self._path}: the connection is lost; trying again every {RETRY_S:g} s")
            self._loop.after(RETRY_S, self._retry)

    def _retry(self) -> None:
        if self._is_closed or self._client is not None:
            return
        if self.broker is not None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            self.broker.adopt(theirs)
            self._use(ours)
            return
        try:
            self._connect()
        except OSError:
            self._loop.after(RETRY_S, self._retry)

    def _on_hello(self) -> None:
        for served in self._objects:
            self._register(served)
        for pattern, listener in self._listeners:
            self._start_listener(pattern, listener)
        for path, subscriber in self._subscribers:
            self._start_subscriber(path, subscriber)
        if self.on_ready is not None:
            # answers come in the order of the questions: with this one, all of the above are there
            ready = self.on_ready
            self._joined.start_lookup("", lambda found: None, lambda status: ready())

    @property
    def _joined(self) -> Client:
        assert self._client is not None
        return self._client

    def _register(self, served: Object) -> None:
        def on_end(status: int) -> None:
            if status and status != wire.CONNECTION_FAILED:
                self._warn(f"ubus: cannot add {served.path}: {wire.status_text(status)}")

        self._joined.start_add(served, on_end)

    def _start_listener(self, pattern: str, listener: Object) -> None:
        def on_end(status: int) -> None:
            if not status:
                self._joined.start_listen(listener, pattern)

        self._joined.start_add(listener, on_end)

    def _start_subscriber(self, path: str, subscriber: Object) -> None:
        def on_end(status: int) -> None:
            if not status:
                self._find_target(path, subscriber)

        self._joined.start_add(subscriber, on_end)

    def _find_target(self, path: str, subscriber: Object) -> None:
        client = self._joined

        def on_found(found: Found) -> None:
            client.start_subscribe(subscriber, found.id)

        client.start_lookup(path, on_found)

    def _on_path(self, event: str, data: "Table") -> None:
        for path, subscriber in self._subscribers:
            if path == data.get("path") and subscriber.id:
                self._find_target(path, subscriber)

    def close(self) -> None:
        """Leave the bus; the broker, if it is ours, goes too."""
        self._is_closed = True
        if self._client is not None:
            self._part(self._client)
        if self.broker is not None:
            self.broker.close()


def _hear(call: Call, heard: "Heard") -> None:
    heard(call.method, call.data)
