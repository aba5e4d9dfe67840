# SPDX-License-Identifier: MIT
"""Objects that we serve: methods with their arguments, and one call to them.

A handler gets a Call whose arguments have the promised types; it returns a table or None.
"""

from initd.ubus import wire
from initd.ubus.blob import INT16, INT32, INT64, BlobError, pack_table, type_of, unpack_table
from initd.ubus.strangers import close_fd
from initd.ubus.wire import Frame, UbusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from initd.ubus.blob import Table, Value

    # returns the answer, or None for an empty one; raises UbusError for any other end
    Handler: TypeAlias = "Callable[[Call], Mapping[str, Value] | None]"

_INTEGERS = frozenset((INT16, INT32, INT64))


class Method:
    """A handler and its arguments, as `ubus -v list` prints them: name → blobmsg type."""

    __slots__ = ("arguments", "handler", "required")

    def __init__(
        self, handler: "Handler", arguments: "Mapping[str, int] | None" = None, required: tuple[str, ...] = ()
    ) -> None:
        self.handler = handler
        self.arguments = dict(arguments or {})
        self.required = required

    def check(self, data: "Table") -> None:
        """Raise UbusError (invalid argument) for a wrong type or what is missing. More names may be there."""
        for name, expected in self.arguments.items():
            if name in data and not _fits(type_of(data[name]), expected):
                raise UbusError(wire.INVALID_ARGUMENT)
        for name in self.required:
            if name not in data:
                raise UbusError(wire.INVALID_ARGUMENT)


def _fits(given: int, expected: int) -> bool:
    # 0 in a signature: any type. A number fits whatever its size, but is no boolean
    return not expected or given == expected or (expected in _INTEGERS and given in _INTEGERS)


class Object:
    """An object on the bus; without a path an anonymous one, which receives events or notifications.

    Its id is new with each connection; 0: not registered now. `receive` gets the calls to methods that are
    not listed.
    """

    __slots__ = ("has_subscribers", "id", "methods", "on_gone", "path", "receive")

    def __init__(
        self,
        path: str = "",
        methods: "Mapping[str, Method] | None" = None,
        receive: "Handler | None" = None,
        on_gone: "Callable[[int], None] | None" = None,
    ) -> None:
        self.path = path
        self.methods = dict(methods or {})
        self.receive = receive
        self.on_gone = on_gone  # called with the id of a subscribed object that went away
        self.id = 0
        self.has_subscribers = False

    def signature(self) -> bytes:
        """What ADD_OBJECT carries about the methods."""
        return pack_table({name: dict(method.arguments) for name, method in self.methods.items()})


class Call:
    """One call to an object of ours, until it is answered."""

    __slots__ = (
        "_send",
        "data",
        "is_silent",
        "method",
        "object",
        "request",
    )

    def __init__(
        self, served: Object, frame: Frame, found: dict[int, bytes], send: "Callable[[Frame], None]"
    ) -> None:
        self.object = served
        self.request = frame
        self.method = found.get(wire.A_METHOD, b"").decode("utf-8", "surrogateescape")
        self.data: Table = unpack_table(found.get(wire.A_DATA, b""))
        # events come from the broker itself and nobody waits for an answer
        self.is_silent = found.get(wire.A_NO_REPLY, b"\0") != b"\0"
        self._send = send

    def take_fd(self) -> int:
        """The descriptor that came along or -1; from now on the handler's, else closed after the handler."""
        fd, self.request.fd = self.request.fd, -1
        return fd

    def reply(self, data: "Mapping[str, Value]") -> None:
        """Send the answer. Raises BlobError."""
        self._answer(wire.DATA, wire.data_body(self.object.id, data))

    def finish(self, status: int) -> None:
        """End the call."""
        self._answer(wire.STATUS, wire.status_body(status, self.object.id))

    def _answer(self, type: int, body: bytes) -> None:
        if not self.is_silent:
            self._send(Frame(type, self.request.seq, self.request.peer, body))


def serve_call(
    served: Object, frame: Frame, send: "Callable[[Frame], None]", fault: "Callable[[Exception], None]"
) -> None:
    """Answer an INVOKE. Whatever a caller sends or a handler does ends in a status, never in an exception."""
    try:
        status = wire.OK
        call = Call(served, frame, frame.attributes(), send)
        try:
            _run(call)
        except UbusError as error:
            status = error.code
        except Exception as error:
            status = wire.UNKNOWN_ERROR
            fault(error)
        call.finish(status)
    except BlobError:
        send(Frame(wire.STATUS, frame.seq, frame.peer, wire.status_body(wire.INVALID_ARGUMENT, served.id)))
    finally:
        close_fd(frame.fd)
        frame.fd = -1


def _run(call: Call) -> None:
    method = call.object.methods.get(call.method)
    if method is not None:
        method.check(call.data)
        answer = method.handler(call)
    elif call.object.receive is not None:
        answer = call.object.receive(call)
    else:
        raise UbusError(wire.METHOD_NOT_FOUND)
    if answer is not None:
        call.reply(answer)
