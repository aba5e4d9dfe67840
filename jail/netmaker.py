# SPDX-License-Identifier: MIT
"""Starts the process that makes a jail's network (network.py), and takes what it made: a descriptor.

The parent's half: neither blocks nor waits unless asked. As long as `hold_fd` is open the network's keeper waits;
once it is closed, by whatever end of this process, devices that were moved in go back.
"""

import os
from _signal import SIG_DFL, SIG_SETMASK, SIGKILL, getsignal, pthread_sigmask, valid_signals
from _signal import signal as set_signal  # the C half of `signal`, without enum
from select import POLLIN, poll

from jail.errors import ConfigError, SetupError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from jail.networds import Network

LIMIT_S = 60  # a slow machine takes seconds to load pyroute2
SAID_MAX = 4096
OK = b"ok\n"


class Made:
    """A network to be entered: `fd` is its namespace. `pid` is the keeper, 0 where there is none."""

    __slots__ = ("fd", "hold_fd", "pid")

    def __init__(self, fd: int, hold_fd: int = -1, pid: int = 0) -> None:
        self.fd = fd
        self.hold_fd = hold_fd
        self.pid = pid

    def let_go(self) -> None:
        """Close our descriptor of it; the jail is in it, or there is none."""
        self.fd = _close(self.fd)

    def close(self) -> None:
        """The jail has ended: what was moved in goes back, what was made goes."""
        self.let_go()
        self.hold_fd = _close(self.hold_fd)


class Making:
    """A network that is being made. `report_fd` is readable when there is something to read()."""

    __slots__ = ("_hold_fd", "_said", "pid", "report_fd")

    def __init__(self, jail_name: str, words: list[str]) -> None:
        """Raises OSError."""
        self._said = b""
        self.report_fd, report = os.pipe2(os.O_CLOEXEC)
        hold, self._hold_fd = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = os.fork()
            if not self.pid:
                _become_maker(hold, report, jail_name, words)
        except OSError:
            self.cancel()
            raise
        finally:
            os.close(hold)
            os.close(report)

    def read(self) -> bool:
        """Read what has come; True when there is nothing to wait for any more."""
        piece = os.read(self.report_fd, SAID_MAX)
        self._said += piece
        return not piece or self._said == OK or len(self._said) > SAID_MAX

    def take(self) -> Made:
        """The network, after read() was True. Raises ConfigError, OSError; then there is none."""
        hold_fd, self._hold_fd = self._hold_fd, -1
        self.report_fd = _close(self.report_fd)
        try:
            if self._said != OK:
                text = self._said.decode("utf-8", "replace").strip()
                raise ConfigError(text if text.isprintable() and text else "network: its maker ended early")
            if not self._is_alive():
                raise ConfigError("network: its keeper has ended")
            # it is unreaped, so its pid is no other process's
            fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            if os.path.samestat(os.fstat(fd), os.stat("/proc/self/ns/net")):
                os.close(fd)
                raise ConfigError("network: it is our own")
            return Made(fd, hold_fd, self.pid)
        except BaseException:
            os.close(hold_fd)
            raise

    def kill(self) -> None:
        """It hangs. Of what it has moved, hardware comes back by itself."""
        if self._is_alive():
            os.kill(self.pid, SIGKILL)

    def _is_alive(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False  # it was reaped: the pid is somebody else's

    def cancel(self) -> None:
        """It is not wanted any more, and gives back what it has moved. Who started it has to reap it."""
        self.report_fd = _close(self.report_fd)
        self._hold_fd = _close(self._hold_fd)


def open_existing(path: str) -> Made:
    """A namespace that somebody else has made. Raises SetupError."""
    try:
        return Made(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        raise SetupError(f"open the network {path}", error) from error


def make_and_wait(jail_name: str, network: "Network") -> Made:
    """For a process that has nothing else to do. Raises JailError, OSError."""
    if network.path:
        return open_existing(network.path)
    making = Making(jail_name, network.words)
    ready = poll()
    ready.register(making.report_fd, POLLIN)
    try:
        while ready.poll(LIMIT_S * 1000):
            if making.read():
                return making.take()
        raise late()
    except BaseException:
        making.cancel()
        making.kill()
        os.waitpid(making.pid, 0)
        raise


def late() -> ConfigError:
    return ConfigError(f"network: not made within {LIMIT_S} s")


def make_for_waiter(jail_name: str, network: "Network") -> int:
    """Make it, for this process and for what it execs: when that ends, what was moved in goes back.

    Returns the namespace. Raises JailError, OSError.
    """
    made = make_and_wait(jail_name, network)
    if made.hold_fd >= 0:
        os.set_inheritable(made.hold_fd, True)
    return made.fd


def make_for_tracer(jail_name: str, network: "Network") -> int:
    """Make it without a keeper, which would be a child that the tracer waits for; returns the namespace.

    Raises UsageError for what would have to be given back, JailError, OSError.
    """
    if any(device.kind == "dev" for device in network.devices):
        raise UsageError("net: a device cannot be moved into a jail that is traced here")
    made = make_and_wait(jail_name, network)
    if made.pid:
        os.kill(made.pid, SIGKILL)  # before it could see an end, and remove what it has made
        os.waitpid(made.pid, 0)
    made.hold_fd = _close(made.hold_fd)
    return made.fd


def _become_maker(hold_fd: int, report_fd: int, jail_name: str, words: list[str]) -> "NoReturn":
    """Whatever happens, this copy of our process does not go on. A new interpreter would have to load all of this."""
    try:
        os.dup2(hold_fd, 0)
        os.dup2(report_fd, 1)
        # as execve(2) would: what is ignored stays so
        for number in valid_signals():
            if callable(getsignal(number)):
                set_signal(number, SIG_DFL)
        pthread_sigmask(SIG_SETMASK, ())
        from jail.network import main

        main(jail_name, words)
    finally:
        os._exit(1)


def _close(fd: int) -> int:
    if fd >= 0:
        os.close(fd)
    return -1
