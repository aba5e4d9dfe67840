# SPDX-License-Identifier: MIT
"""The `ubus` command for systems that have none: same words, same output, same exit status."""

import posix
import sys

from initd.ubus import wire
from initd.ubus.blob import INT32, BlobError, pack_attribute
from initd.ubus.blocking import Session
from initd.ubus.client import SOCKET_PATH, TIMEOUT_S, Found
from initd.ubus.copy import Copy
from initd.ubus.jsontext import format_string, format_value, parse_table
from initd.ubus.wire import UbusError, status_text
from jail import paths
from jail.errors import ConfigError, JailError, UsageError
from jail.stdout import show as show_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.ubus.blob import Table, Value

USAGE = """\
Usage: {} [<options>] <command> [arguments...]
Options:
 -s <socket>:		Set the unix domain socket to connect to
 -t <timeout>:		Set the timeout (in seconds) for a command to complete
 -S:			Use simplified output (for scripts)
 -v:			More verbose output
 -m <type>:		(for monitor): include a specific message type
			(can be used more than once)
 -M <r|t>		(for monitor): only capture received or transmitted traffic

Commands:
 - list [<path>]			List objects
 - call <path> <method> [<message>]	Call an object method
 - subscribe <path> [<path>...]	Subscribe to object(s) notifications
 - listen [<path>...]			Listen for events
 - send <type> [<message>]		Send an event
 - wait_for <object> [<object>...]	Wait for multiple objects to appear on ubus
 - monitor				Monitor ubus traffic
"""
TYPE_WORDS = {1: "Array", 2: "Table", 3: "String", INT32: "Integer", 7: "Boolean"}
EXIT_USAGE = 1
EXIT_OPERANDS = 254  # too few of them, or too many
EXIT_FAILED = 255


class Options:
    """What came before the command's name."""

    __slots__ = ("directions", "is_simple", "is_verbose", "path", "timeout_s", "types")

    def __init__(self) -> None:
        self.path = paths.as_name(posix.environ.get(b"UBUS_SOCKET", b"")) or SOCKET_PATH
        self.timeout_s = -1.0
        self.is_simple = self.is_verbose = False
        self.types: set[int] = set()
        self.directions = {True, False}


def parse_options(args: list[str]) -> tuple[Options, list[str]]:
    """Options up to the first operand, and the rest. Raises UsageError."""
    options, rest = Options(), args[::-1]
    while rest and rest[-1].startswith("-") and rest[-1] != "-":
        word = rest.pop()
        if word == "--":
            break
        letter = word[1]
        if letter in "Sv":
            options.is_simple |= letter == "S"
            options.is_verbose |= letter == "v"
            if word[2:]:
                rest.append(f"-{word[2:]}")
        elif letter in "stmM":
            if not word[2:] and not rest:
                raise _misused()
            _set(options, letter, word[2:] or rest.pop())
        else:
            raise _misused()
    if not rest:
        raise _misused()
    return options, rest[::-1]


def _set(options: Options, letter: str, value: str) -> None:
    if letter == "s":
        options.path = value
    elif letter == "t":
        if not value.isascii() or not value.isdigit() or len(value) > 6:
            raise _misused()
        options.timeout_s = float(value)
    elif letter == "m" and value in wire.TYPE_NAMES:
        options.types.add(wire.TYPE_NAMES.index(value))
    elif letter == "M" and value[:1] in ("r", "t"):
        options.directions = {value[0] == "t"}
    else:
        raise _misused()


def _misused(status: int = EXIT_USAGE) -> UsageError:
    """The usage text is all that is said of it; `status` is what the real command exits with then."""
    error = UsageError()
    error.status = status
    return error


def main(argv: list[str]) -> int:
    """Run one command; the exit status is that of the `ubus` command."""
    options = Options()
    try:
        options, words = parse_options(argv[1:])
        return run(options, words[0], words[1:])
    except UsageError as error:
        say(USAGE.format(argv[0] if argv else "ubus"))
        return error.status
    except UbusError as error:
        if not options.is_simple:
            say(f"Command failed: {error}")
        return error.code
    except KeyboardInterrupt:
        return 130
    except JailError as error:
        say(f"ubus: {error}")
        return EXIT_FAILED


def run(options: Options, name: str, words: list[str]) -> int:
    """Connect and run the command called `name`. Raises UbusError, UsageError."""
    # of an unknown command no number of operands is right; the real one connects before it says so
    least, most, command = COMMANDS.get(name, (1, 0, call))
    timeout_s = TIMEOUT_S if options.timeout_s < 0 else options.timeout_s
    try:
        session = Session(options.path, timeout_s)
    except UbusError:
        if not options.is_simple:
            say("Failed to connect to ubus")
        return EXIT_FAILED
    with session:
        if not least <= len(words) <= most:
            raise _misused(EXIT_OPERANDS)
        return command(session, options, words)


def list_objects(session: Session, options: Options, words: list[str]) -> int:
    """list [PATH]"""
    for found in session.lookup(words[0] if words else None):
        if options.is_simple or not options.is_verbose:
            show(found.path)
        else:
            show(f"'{found.path}' @{found.id:08x}")
            _show_methods(found)
    return 0


def _show_methods(found: Found) -> None:
    for method, arguments in found.signature.items():
        types = arguments if isinstance(arguments, dict) else {}
        words = {name: TYPE_WORDS.get(_number(kind), "(unknown)") for name, kind in types.items()}
        show(f"\t{format_string(method)}:{format_value({**words})}")


def _number(value: "Value") -> int:
    return value if isinstance(value, int) else -1


def call(session: Session, options: Options, words: list[str]) -> int:
    """call PATH METHOD [MESSAGE]"""
    try:
        data = parse_table(words[2]) if len(words) == 3 else {}
        path = session.lookup_id(words[0])
        request = session.start_invoke(path, words[1], data, lambda answer: _show_answer(options, answer))
    except (ConfigError, BlobError):
        return _call_failed(options, words, wire.PARSE_ERROR)
    try:
        session.wait(request)
    except UbusError as error:
        return _call_failed(options, words, error.code)
    return 0


def _show_answer(options: Options, answer: "Table") -> None:
    show(format_value(answer, -1 if options.is_simple else 0))


def _call_failed(options: Options, words: list[str], code: int) -> int:
    # the real command says which call it was, and exits with 256 - code, unless a person is looking
    if options.is_simple or posix.isatty(2):
        raise UbusError(code)
    say(f"Command failed: ubus call {' '.join(words)} ({status_text(code)})")
    return 256 - code


def subscribe(session: Session, options: Options, words: list[str]) -> int:
    """subscribe PATH..."""
    return _hear(session, options, words, session.subscribe)


def listen(session: Session, options: Options, words: list[str]) -> int:
    """listen [PATTERN...]"""
    return _hear(session, options, words or ["*"], session.listen)


def _hear(
    session: Session,
    options: Options,
    words: list[str],
    start: "Callable[[list[str], Callable[[str, Table], None]], object]",
) -> int:
    try:
        start(words, lambda name, data: show(f'{{ "{name}": {format_value(data)} }}'))
    except UbusError as error:
        if not options.is_simple:
            say(f"Error while registering for event '{words[-1]}': {error}")
        return EXIT_FAILED
    return _work(session, options)


def _work(session: Session, options: Options) -> int:
    """Until the time is over that -t gave, or the broker is gone; both are a normal end."""
    try:
        session.work_until(lambda: False, max(options.timeout_s, 0))
    except UbusError:
        return 0
    return 0


def send(session: Session, options: Options, words: list[str]) -> int:
    """send TYPE [MESSAGE]"""
    try:
        session.send_event(words[0], parse_table(words[1]) if len(words) == 2 else {})
    except (ConfigError, BlobError):
        raise UbusError(wire.PARSE_ERROR) from None
    return 0


def wait_for(session: Session, options: Options, words: list[str]) -> int:
    """wait_for OBJECT..."""
    session.wait_for(words)
    return 0


def monitor(session: Session, options: Options, words: list[str]) -> int:
    """monitor"""
    session.on_monitor = lambda body: _show_copy(options, body)
    # DATA of this call is no table but attributes, as the real command has it
    head = wire.pack_word(wire.A_OBJID, wire.MONITOR_OBJECT) + wire.pack_string(wire.A_METHOD, b"add")
    body = head + pack_attribute(wire.A_DATA, head)
    session.wait(session.request(wire.INVOKE, body, wire.MONITOR_OBJECT))
    return _work(session, options)


def _show_copy(options: Options, body: bytes) -> None:
    copy = Copy(body)
    if copy.is_sent in options.directions and (not options.types or copy.type in options.types):
        show(copy.line())


MANY = 1 << 20
# name → least and most operands, function
COMMANDS: "dict[str, tuple[int, int, Callable[[Session, Options, list[str]], int]]]" = {
    "list": (0, 1, list_objects),
    "call": (2, 3, call),
    "subscribe": (1, MANY, subscribe),
    "listen": (0, MANY, listen),
    "send": (1, 2, send),
    "wait_for": (1, MANY, wait_for),
    "monitor": (0, 0, monitor),
}


def show(line: str) -> None:
    """One line on stdout, at once: scripts read it through pipes."""
    show_text(f"{line}\n")


def say(line: str) -> None:
    """One line on stderr."""
    posix.write(2, line.encode("utf-8", "surrogateescape") + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
