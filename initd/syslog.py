# SPDX-License-Identifier: MIT
"""The socket of the log daemon, from the sender's side: packets go, or come back. Never waits."""

from errno import ENOBUFS, ENOMEM, EPROTOTYPE

from initd.slim import socket

PATH = "/dev/log"


class Syslog:
    """A connection to the log daemon, made when it is needed and again when it is lost."""

    def __init__(self, path: str = PATH) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._is_stream = False

    def fileno(self) -> int:
        """The descriptor to wait on until it is writable, -1 if there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def send(self, packet: bytes) -> "bytes | None":
        """Send one packet. Returns what is left of it, b"" if nothing is, None if there is no log daemon."""
        for _ in range(2):  # a daemon that was started again has a new socket in the old place
            if self._socket is None:
                self._socket = self._connect()
                if self._socket is None:
                    return None
            if self._is_stream and not packet.endswith(b"\0"):
                packet += b"\0"  # the end of a record, as in syslog(3)
            try:
                return packet[self._socket.send(packet, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                return packet
            except OSError as error:
                if error.errno in (ENOBUFS, ENOMEM):
                    return packet
                self.close()
        return None

    def _connect(self) -> "socket.socket | None":
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            made = None
            try:
                made = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
                made.connect(self._path)
            except OSError as error:
                if made is not None:
                    made.close()
                if error.errno != EPROTOTYPE:
                    return None
                continue
            self._is_stream = kind == socket.SOCK_STREAM
            return made
        return None

    def close(self) -> None:
        """Give up the connection; the next packet makes another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
