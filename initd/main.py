# SPDX-License-Identifier: MIT
"""The `initd` command: puts the parts together, starts them, and ends them.

The only file that knows all parts. Nothing that a service, a script or a peer does ends it.
"""

import gc
import os
import resource
import signal
import sys

from initd.loop import Loop
from initd.settings import Settings, read_settings, usage
from initd.ubus import wire
from initd.ubus.blocking import Session
from initd.ubus.bus import Bus
from initd.ubus.wire import UbusError
from jail.errors import EXIT_FAILURE, JailError

SERVICE = "service"  # the object that there can be only one of
PROBE_S = 3.0  # for a bus that is there to say whether it has that object
NOFILE = 8192  # each peer of the broker takes a descriptor, each service up to three


class Initd:
    """All parts. The loop is theirs together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = Loop()
        self.bus = Bus(self.loop, say, settings.socket, settings.acl_dir)
        self._is_stopping = False

    def start(self) -> None:
        """Be on the bus. Raises JailError, OSError."""
        refuse_second(self.settings.socket)
        self.bus.start()
        self.loop.on_signal(signal.SIGTERM, self.stop)
        self.loop.on_signal(signal.SIGINT, self.stop)
        self.loop.on_signal(signal.SIGHUP, self._read_acl)

    def stop(self) -> None:
        """Stop all services, then leave the loop."""
        if not self._is_stopping:
            self._is_stopping = True
            self.loop.stop()

    def _read_acl(self) -> None:
        if self.bus.broker is not None:
            self.bus.broker.load_acl()

    def run(self) -> None:
        """Work until stop()."""
        self.loop.run()
        self.bus.close()
        self.loop.close()


def refuse_second(path: str) -> None:
    """Raise JailError where another initd, or procd, is on the bus: two would start everything twice."""
    try:
        with Session(path, PROBE_S) as session:
            session.lookup_id(SERVICE)
    except UbusError as error:
        if error.code in (wire.NOT_FOUND, wire.CONNECTION_FAILED):
            return  # a bus without it, or none
        raise JailError(f"{path}: {error}") from error
    raise JailError(f"{path}: there is an object {SERVICE} already: another initd, or procd")


def raise_nofile() -> None:
    """As many descriptors as may be had, up to NOFILE. The broker reads its bound from this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = NOFILE if hard == resource.RLIM_INFINITY else min(NOFILE, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(argv: list[str]) -> int:
    """Returns the exit status when all has ended."""
    gc.enable()  # the launcher leaves it off for commands that end at once
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        settings = read_settings(argv[1:])
        if settings.answer:
            print(usage() if settings.answer == "help" else _version())
            return 0
        raise_nofile()
        initd = Initd(settings)
        initd.start()
    except JailError as error:
        say(str(error))
        return error.status
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror}")
        return EXIT_FAILURE
    initd.run()
    return 0


def _version() -> str:
    from jail.version import VERSION

    return f"initd (Stockade) {VERSION}"


def say(line: str) -> None:
    """One line on stderr, if anybody reads it."""
    try:
        os.write(2, f"initd: {line}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv))
