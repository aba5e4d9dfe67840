# SPDX-License-Identifier: MIT
"""A line for who called `ujail`, and for syslog. Imported when there is something to say."""

import _socket  # the C half of `socket`, without selectors and enum
import posix

from jail.spec import SOCKETS

LOG_SOCKET = SOCKETS["log"][0]


def say_line(line: str) -> None:
    """One line on stderr and in syslog; if nobody listens, the exit status has to do."""
    _log(line)
    try:
        # one write, so that lines of several processes do not mix
        posix.write(2, line.encode("utf-8", "surrogateescape") + b"\n")
    except OSError:
        return


def _log(line: str) -> None:
    """To syslog as well, if there is one."""
    try:
        channel = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        )
        channel.sendto(b"<27>" + line.encode("utf-8", "surrogateescape"), LOG_SOCKET)  # daemon.err
        channel.close()
    except OSError:
        return  # no log daemon
