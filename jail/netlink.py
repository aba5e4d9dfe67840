# SPDX-License-Identifier: MIT
"""A netlink socket for pyroute2's messages. Used by rtnetlink.py and nftables.py, in the process of network.py.

pyroute2 has sockets too; what they are made of (asyncio, ssl, subprocess) is most of what loading it costs, and its
messages need only a plain one.
"""

import os
from _socket import AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, socket
from struct import unpack_from

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANSWER_MAX = 65536
# where they stand in an answer: struct nlmsghdr, then struct nlmsgerr
KIND_AT, NUMBER_AT, ERROR_AT = 4, 8, 16


class Netlink:
    """What belongs to the namespace in which it was made. All raise OSError."""

    def __init__(self, protocol: int) -> None:
        self._number = 0
        self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))

    def close(self) -> None:
        self._socket.close()

    def ask(self, message: "Any", kind: int, flags: int = 0) -> bytes:
        """Send it; the answer to it, which is no refusal."""
        number = self.next_number()
        self.send(encode(message, kind, flags, number))
        while True:
            answer = self.receive()
            of, error = number_and_error(answer)
            if of != number:
                continue
            if error:
                raise OSError(error, os.strerror(error))
            return answer

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    def receive(self) -> bytes:
        return self._socket.recv(ANSWER_MAX)


def encode(message: "Any", kind: int, flags: int, number: int) -> bytes:
    """The message with its header."""
    header = message["header"]
    header["type"] = kind
    header["flags"] = flags | lib.NLM_F_REQUEST
    header["sequence_number"] = number
    message.encode()
    return bytes(message.data)


def number_and_error(answer: bytes) -> tuple[int, int]:
    """Which message it answers, and the errno; 0 is none."""
    (number,) = unpack_from("=I", answer, NUMBER_AT)
    if unpack_from("=H", answer, KIND_AT)[0] != lib.NLMSG_ERROR:
        return number, 0
    return number, -unpack_from("=i", answer, ERROR_AT)[0]
