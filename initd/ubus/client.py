# SPDX-License-Identifier: MIT
"""The client: requests and their answers, objects of ours, events, over one connection.

Used in two ways: inside the event loop, where answers come by callback and nothing waits (bus.py), and
blocking, where an answer is waited for (blocking.py, the commands). Must not wait itself.
"""

from initd.slim import deque, socket
from initd.ubus import wire
from initd.ubus.blob import pack_attribute, unpack_table
from initd.ubus.channel import Channel, PeerGone
from initd.ubus.object import Object, serve_call
from initd.ubus.strangers import close_fd
from initd.ubus.wire import Frame, UbusError, pack_flag, pack_string, pack_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initd.ubus.blob import Table, Value

SOCKET_PATH = "/var/run/ubus/ubus.sock"
TIMEOUT_S = 30.0
BACKLOG_MAX = 1 << 18
OUTPUT_MAX = 4 * wire.FRAME_MAX  # the backlog and one answer fit in any case


class Request:
    """A question on its way. `on_data` gets each DATA, `on_end` the status, once."""

    __slots__ = ("fd", "is_done", "on_data", "on_end", "peer", "seq", "status")

    def __init__(
        self, on_data: "Callable[[Frame], None] | None", on_end: "Callable[[int], None] | None"
    ) -> None:
        self.on_data = on_data
        self.on_end = on_end
        self.seq = self.peer = 0
        self.status = wire.NO_DATA
        self.is_done = False
        self.fd = -1  # came with the end; the asker's to close

    def end(self, status: int) -> None:
        """The end is known: the answer came, or never will."""
        if not self.is_done:
            self.is_done, self.status = True, status
            if self.on_end is not None:
                self.on_end(status)


class Found:
    """An object that a lookup showed."""

    __slots__ = ("id", "path", "signature")

    def __init__(self, found: dict[int, bytes]) -> None:
        self.path = found[wire.A_OBJPATH].decode("utf-8", "surrogateescape")
        self.id = wire.word(found[wire.A_OBJID])
        self.signature: Table = unpack_table(found.get(wire.A_SIGNATURE, b""))


class Client:
    """One connection to a broker. `fault` is told what a handler of ours let through."""

    def __init__(self, connected: socket.socket, fault: "Callable[[Exception], None]") -> None:
        self.channel = Channel(connected, OUTPUT_MAX)
        self.fault = fault
        self.id = 0  # known after HELLO
        self.on_hello: Callable[[], None] | None = None
        self.on_monitor: Callable[[bytes], None] | None = None
        self.on_backlog: Callable[[], None] | None = None  # something could not be sent at once
        self.objects: dict[int, Object] = {}
        self.is_lost = False
        self.inbox: deque[Frame] = deque()  # read, and left until our own answers have been taken
        self._requests: dict[int, Request] = {}
        self._seq = 0

    # what both kinds of use have in common

    def request(
        self,
        type: int,
        body: bytes,
        peer: int = 0,
        on_data: "Callable[[Frame], None] | None" = None,
        on_end: "Callable[[int], None] | None" = None,
        fd: int = -1,
    ) -> Request:
        """Send a request. A lost connection ends it with CONNECTION_FAILED, as it ends all others."""
        request = Request(on_data, on_end)
        request.seq, request.peer = self._next_seq(), peer
        self._requests[request.seq] = request
        self.send(Frame(type, request.seq, peer, body, fd))
        if self.is_lost:
            request.end(wire.CONNECTION_FAILED)
        return request

    def _next_seq(self) -> int:
        for _ in range(1 << 16):
            self._seq = self._seq + 1 & 0xFFFF
            if self._seq not in self._requests:
                return self._seq
        raise UbusError(wire.NO_MEMORY)

    def cancel(self, request: Request, status: int = wire.TIMEOUT) -> None:
        """End a request whose answer is not waited for any more; a late one is not taken for another's."""
        if self._requests.get(request.seq) is request:
            del self._requests[request.seq]
        request.end(status)

    def send(self, frame: Frame) -> None:
        """Send any frame. Raises BlobError only; what a lost connection does not take is gone."""
        raw = frame.pack()
        if self.is_lost:
            return
        try:
            self.channel.send(raw, frame.fd)
        except PeerGone:
            self.lose()
        if self.channel.output_bytes and self.on_backlog is not None:
            self.on_backlog()

    def lose(self) -> None:
        """The connection is broken: end all that waits for it."""
        if self.is_lost:
            return
        self.is_lost = True
        while self.inbox:
            close_fd(self.inbox.popleft().fd)
        for served in self.objects.values():
            served.id, served.has_subscribers = 0, False
        self.objects.clear()
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.end(wire.CONNECTION_FAILED)

    def close(self) -> None:
        """Close the connection."""
        self.lose()
        self.channel.close()

    def work(self, is_enough: "Callable[[], bool]" = lambda: False) -> None:
        """Send what waits, read once, serve what came. Sets is_lost when the other side is gone.

        While BACKLOG_MAX of our answers wait, no further questions are taken: memory stays bounded, and the
        broker sees to who asks too much. `is_enough` is asked after each: what is left is for the next time.
        """
        if self.is_lost:
            return
        try:
            self.channel.flush()
            if not self.inbox:
                self.inbox.extend(self.channel.receive())
        except PeerGone:
            self.lose()
        while self.inbox and self.channel.output_bytes < BACKLOG_MAX:
            frame = self.inbox.popleft()
            try:
                self._take(frame)
            except Exception as error:  # nonsense from the broker, or a fault in a callback: one message lost
                self.fault(error)
            finally:
                close_fd(frame.fd)
            if is_enough():
                break

    def _take(self, frame: Frame) -> None:
        if frame.type in (wire.STATUS, wire.DATA):
            self._take_answer(frame)
        elif frame.type == wire.INVOKE:
            served = self.objects.get(wire.word(frame.attributes().get(wire.A_OBJID, bytes(4))))
            if served is not None:
                serve_call(served, frame, self.send, self.fault)
        elif frame.type in (wire.NOTIFY, wire.UNSUBSCRIBE):
            self._take_notice(frame)
        elif frame.type == wire.HELLO:
            self.id = frame.peer
            if self.on_hello is not None:
                self.on_hello()
        elif frame.type == wire.MONITOR and self.on_monitor is not None:
            self.on_monitor(frame.body)

    def _take_answer(self, frame: Frame) -> None:
        request = self._requests.get(frame.seq)
        if request is None or request.peer != frame.peer:
            return
        if frame.type == wire.DATA:
            if request.on_data is not None:
                request.on_data(frame)
            return
        found = frame.attributes()
        status = wire.word(found[wire.A_STATUS]) if wire.A_STATUS in found else wire.INVALID_ARGUMENT
        del self._requests[frame.seq]
        request.fd, frame.fd = frame.fd, -1
        request.end(status)
        if request.on_end is not None:
            close_fd(request.fd)  # by callback, only what on_end has taken
            request.fd = -1

    def _take_notice(self, frame: Frame) -> None:
        found = frame.attributes()
        served = self.objects.get(wire.word(found.get(wire.A_OBJID, bytes(4))))
        if served is None:
            return
        if frame.type == wire.NOTIFY:
            served.has_subscribers = found.get(wire.A_ACTIVE, b"\0") != b"\0"
        elif served.on_gone is not None and wire.A_TARGET in found:
            served.on_gone(wire.word(found[wire.A_TARGET]))

    # requests by callback

    def start_add(self, served: Object, on_end: "Callable[[int], None] | None" = None) -> Request:
        """Register an object; at the end with status 0 it has its id."""
        body = b""
        if served.path:
            body = pack_string(wire.A_OBJPATH, wire.path_bytes(served.path))
            body += pack_attribute(wire.A_SIGNATURE, served.signature())

        def on_data(frame: Frame) -> None:
            found = frame.attributes()
            served.id = wire.word(found.get(wire.A_OBJID, bytes(4)))
            self.objects[served.id] = served

        return self.request(wire.ADD_OBJECT, body, 0, on_data, on_end)

    def start_remove(self, served: Object, on_end: "Callable[[int], None] | None" = None) -> Request:
        """Take an object off the bus."""
        self.objects.pop(served.id, None)
        body = pack_word(wire.A_OBJID, served.id)
        served.id, served.has_subscribers = 0, False
        return self.request(wire.REMOVE_OBJECT, body, 0, None, on_end)

    def start_lookup(
        self,
        path: str | None,
        on_found: "Callable[[Found], None]",
        on_end: "Callable[[int], None] | None" = None,
    ) -> Request:
        """Look for one path, for a prefix that ends in `*`, or for all objects."""

        def on_data(frame: Frame) -> None:
            found = frame.attributes()
            if wire.A_OBJID in found and wire.A_OBJPATH in found:
                on_found(Found(found))

        return self.request(wire.LOOKUP, wire.lookup_body(path), 0, on_data, on_end)

    def start_invoke(
        self,
        id: int,
        method: str,
        data: "Mapping[str, Value]",
        on_data: "Callable[[Table], None] | None" = None,
        on_end: "Callable[[int], None] | None" = None,
        fd: int = -1,
    ) -> Request:
        """Call a method of the object with that id; `fd` goes along and stays the caller's. Raises BlobError."""

        def on_frame(frame: Frame) -> None:
            if on_data is not None:
                on_data(unpack_table(frame.attributes().get(wire.A_DATA, b"")))

        return self.request(wire.INVOKE, wire.invoke_body(id, method, data), id, on_frame, on_end, fd)

    def start_listen(
        self, listener: Object, pattern: str, on_end: "Callable[[int], None] | None" = None
    ) -> Request:
        """Let a registered, anonymous object hear events; a `*` at the end stands for any rest."""
        data: Table = {"object": wire.as_int32(listener.id), "pattern": pattern}
        return self.start_invoke(wire.EVENT_OBJECT, "register", data, None, on_end)

    def start_subscribe(
        self, subscriber: Object, target: int, on_end: "Callable[[int], None] | None" = None
    ) -> Request:
        """Let a registered object hear the notifications of another one."""
        body = pack_word(wire.A_OBJID, subscriber.id) + pack_word(wire.A_TARGET, target)
        return self.request(wire.SUBSCRIBE, body, 0, None, on_end)

    def notify(self, served: Object, name: str, data: "Mapping[str, Value]") -> None:
        """Tell the subscribers of an object, if there are any; no answer is waited for. Raises BlobError."""
        if served.id and served.has_subscribers:
            body = wire.invoke_body(served.id, name, data) + pack_flag(wire.A_NO_REPLY, True)
            self.send(Frame(wire.NOTIFY, self._next_seq(), 0, body))
