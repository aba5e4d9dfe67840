# SPDX-License-Identifier: MIT
"""`jailctl console NAME`: this terminal and the console of a jail, until the escape character or the jail's end.

initd holds the master; it is given one end of a pair of sockets and copies. So the jail never has our terminal, and
what it could do to it by ioctl(2) it does to its own.
"""

import _socket
import os
import select
import termios
from errno import EAGAIN

from jail.answers import YES, say
from jail.errors import JailError

ESCAPE = b"\x1d"
CHUNK_BYTES = 4096


def console(name: str) -> int:
    """Attach to the console of SERVICE, SERVICE::INSTANCE, or of a jail that `ujail -y` started."""
    line = _attach(name)
    is_terminal = os.isatty(0)
    if is_terminal:
        say(f"console of {name}; Ctrl-] leaves it")
    before = _make_raw() if is_terminal else None
    try:
        is_over = _relay(line, is_terminal)
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
    if is_terminal:
        os.write(2, b"\n")  # behind what the jail has written last
        say(f"{name}: {'it was taken away, or the jail has ended' if is_over else 'left'}")
    return YES


def _attach(name: str) -> "_socket.socket":
    from initd.ubus import wire
    from initd.ubus.blocking import Session
    from initd.ubus.client import SOCKET_PATH
    from initd.ubus.wire import UbusError

    service, _, instance = name.partition("::")
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    path = os.environ.get("UBUS_SOCKET") or SOCKET_PATH
    try:
        with Session(path) as session:
            names = {"name": service, **({"instance": instance} if instance else {})}
            session.call("container", "console_attach", names, theirs.fileno())
    except UbusError as error:
        ours.close()
        reasons = {
            wire.CONNECTION_FAILED: f"there is no initd on {path}",
            wire.NOT_FOUND: "no instance of that name runs and has a console",
            wire.INVALID_ARGUMENT: "several of its instances have a console: name one, SERVICE::INSTANCE",
        }
        raise JailError(f"{name}: {reasons.get(error.code, str(error))}") from error
    finally:
        theirs.close()
    return ours


def _make_raw() -> "list[int | list[bytes | int]]":
    """Every key goes to the jail, which has a terminal of its own to act on it. Returns what it was before."""
    before = termios.tcgetattr(0)
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = termios.tcgetattr(0)
    iflag &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
    oflag &= ~termios.OPOST
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    lflag &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSADRAIN, [iflag, oflag, cflag, lflag, ispeed, ospeed, characters])
    return before


def _relay(line: "_socket.socket", is_terminal: bool) -> bool:
    """Copy both ways; True if the other side has ended it. At the end of a file as input, until the jail does."""
    poll = select.poll()
    poll.register(line, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            piece = _read(line) if fd == line.fileno() else os.read(0, CHUNK_BYTES)
            if fd == line.fileno():
                if not piece:
                    return True
                _write(piece)
            elif not piece:
                poll.unregister(0)
            else:
                typed, escape, _ = piece.partition(ESCAPE) if is_terminal else (piece, b"", b"")
                line.sendall(typed)
                if escape:
                    return False


def _read(line: "_socket.socket") -> bytes:
    try:
        return line.recv(CHUNK_BYTES)
    except ConnectionResetError:
        return b""


def _write(piece: bytes) -> None:
    while piece:
        try:
            piece = piece[os.write(1, piece) :]
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            select.select([], [1], [])
