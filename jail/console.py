# SPDX-License-Identifier: MIT
"""The console of a jail that is launched: how its master comes from the launch, and how initd is given it to hold.

On the path of a start, only where a console was asked for.
"""

import _socket  # the C half of `socket`, without selectors and enum
import os
from errno import EMFILE
from struct import calcsize, unpack

from jail.errors import JailError

HOLDER, METHOD = "container", "console_set"


class Passage:
    """A pair of sockets; into one end, `console_fd`, the launcher puts the master."""

    __slots__ = ("_ours", "_theirs")

    def __init__(self) -> None:
        self._ours, self._theirs = _socket.socketpair(
            _socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC
        )

    @property
    def console_fd(self) -> int:
        return self._theirs.fileno()

    def take(self) -> int:
        """The master, after a launch that has worked; the caller's to close. Raises OSError."""
        size = calcsize("i")
        _, ancillary, _, _ = self._ours.recvmsg(1, _socket.CMSG_SPACE(size), _socket.MSG_DONTWAIT)
        if not ancillary:
            raise OSError(EMFILE, os.strerror(EMFILE))  # what else keeps a descriptor from coming through
        (fd,) = unpack("i", ancillary[0][2][:size])
        os.set_inheritable(fd, False)
        return int(fd)

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


class Handover:
    """The console of a jail that `ujail` starts, for initd. Raises JailError where no initd is there to take it."""

    __slots__ = ("_holder", "_name", "_passage", "_session")

    def __init__(self, name: str) -> None:
        from initd.ubus.blocking import Session
        from initd.ubus.client import SOCKET_PATH
        from initd.ubus.wire import UbusError

        self._name = name
        path = os.environ.get("UBUS_SOCKET") or SOCKET_PATH
        try:
            self._session: Session = Session(path)
            self._holder = self._session.lookup_id(HOLDER)
        except UbusError as error:
            raise JailError(f"console: there is no initd on {path} that could hold it: {error}") from error
        self._passage = Passage()

    @property
    def console_fd(self) -> int:
        """For the launch."""
        return self._passage.console_fd

    def finish(self) -> None:
        """The jail runs: hand its console over. Raises JailError, OSError; then nobody has it."""
        from initd.ubus.wire import UbusError

        master_fd = self._passage.take()
        try:
            names = {"name": self._name, "instance": self._name}
            self._session.call(self._holder, METHOD, names, master_fd)
        except UbusError as error:
            raise JailError(f"console: initd does not hold it: {error}") from error
        finally:
            os.close(master_fd)
            self._passage.close()
            self._session.close()
