# SPDX-License-Identifier: MIT
"""The `initd` command: puts the parts together, starts them, and ends them.

The only file that knows all parts. Nothing that a service, a script or a peer does ends it.
"""

import gc
import os
import resource
import sys
import time

from initd.children import Children
from initd.commands import Commands
from initd.log import DEBUG, INFO, Log
from initd.loop import Loop
from initd.model import Model
from initd.rcd import Scripts, list_scripts, script_command
from initd.script import ScriptStarter
from initd.settings import Settings, read_settings, usage
from initd.slim import signal
from initd.surroundings import close_inherited, export, name_process, raise_nofile
from initd.system import System
from initd.ubus import wire
from initd.ubus.blocking import Session
from initd.ubus.bus import Bus
from initd.ubus.strangers import never_wait
from initd.ubus.wire import UbusError
from initd.watchdog_device import Watchdog
from jail.errors import EXIT_FAILURE, JailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.first import First

SERVICE = "service"  # the object that there can be only one of
PROBE_S = 3.0  # for a bus that is there to say whether it has that object
EXIT = "exit"
PAUSE_S = 0.1
STOP_LIMIT_S = 60.0  # for services whose own time is longer, when the machine ends


class Initd:
    """All parts. The loop is theirs together."""

    def __init__(self, settings: Settings, nofile: tuple[int, int], is_first: bool) -> None:
        self.settings = settings
        self.how = ""  # it is to end, once this is set
        self.has_boot = settings.has_boot or is_first
        self.loop = Loop(self._fault)
        level = DEBUG if settings.debug else INFO
        self.log = Log(self.loop, to_stderr=settings.to_stderr, path=settings.log_socket, level=level)
        self.children = Children(self.loop)
        parts = self.loop, self.log, self.children
        self.bus = Bus(self.loop, self.log.warning, settings.socket, settings.acl_dir)
        starter = ScriptStarter(nofile)
        self.scripts = Scripts(
            *parts, starter, lambda path, action: script_command(path, action, settings.root)
        )
        self.commands = Commands(self.loop, self.children, self.log, nofile)
        self.model = Model(
            *parts,
            self.commands,
            self.bus,
            settings.init_dir,
            settings.root,
            settings.socket,
            {"nofile": str(nofile[0])} if nofile != resource.getrlimit(resource.RLIMIT_NOFILE) else {},
        )
        self.watchdog = Watchdog(self.loop)
        reboot = None
        if is_first:
            from initd.boot import REBOOT

            reboot = self._on(REBOOT)
        self.bus.add(System(self.watchdog, settings.root, reboot).object)
        self.first = self._be_first(starter) if is_first else None
        if not is_first:
            for number in (signal.SIGTERM, signal.SIGINT):
                self.loop.on_signal(number, self._on(EXIT))
        self.loop.on_signal(signal.SIGHUP, self._read_again)

    def _be_first(self, starter: ScriptStarter) -> "First":
        from initd.first import First

        first = First(self.loop, self.log, self.children, starter, self.settings.root, self.stop)
        first.feed(self.watchdog)
        return first

    def _on(self, how: str) -> "Callable[[], None]":
        return lambda: self.stop(how)

    def start(self) -> None:
        """Be on the bus, and begin the boot. Raises JailError."""
        refuse_second(self.settings.socket)
        try:
            self.bus.start()
        except OSError as error:
            raise JailError(f"{self.settings.socket}: {error.strerror}") from error
        from jail.cgroup import describe_missing

        if said := describe_missing():
            self.log.info(said)
        if self.first is not None:
            self.first.before_boot(self._boot)
        elif self.has_boot:
            self._boot()

    def _boot(self) -> None:
        self._run_scripts("S", "boot", self._booted)

    def _booted(self) -> None:
        self.log.info("all scripts of the boot were run")
        if self.first is not None:
            self.first.after_boot()

    def stop(self, how: str) -> None:
        """Scripts with `shutdown`, then all services, then the loop; `how` says what is done after that."""
        if self.how:
            return
        self.how = how
        self.log.info(f"{how}: stopping all services")
        self.commands.close()
        if self.first is not None:
            self.first.begin_end()
        if self.has_boot:
            self._run_scripts("K", "shutdown", self._stop_services)
        else:
            self._stop_services()

    def _stop_services(self) -> None:
        """Those that no script has stopped."""
        first = self.first
        if first is None:
            self.model.stop_all(self.loop.stop)
            return
        limit = self.loop.after(STOP_LIMIT_S, lambda: self._give_up(first))

        def done() -> None:
            if limit.callback is not None:
                limit.cancel()
                first.after_services(self.loop.stop)

        self.model.stop_all(done)

    def _give_up(self, first: "First") -> None:
        self.log.error(f"{self.how}: services still run after {STOP_LIMIT_S:g} s; going on without them")
        first.after_services(self.loop.stop)

    def _run_scripts(self, letter: str, action: str, done: "Callable[[], None]") -> None:
        paths: list[str] = []
        try:
            paths = list_scripts(self.settings.rc_dir, letter)
        except OSError as error:
            self.log.error(f"{self.settings.rc_dir}: {error.strerror}")
        self.scripts.run(paths, action, done)

    def _read_again(self) -> None:
        if self.first is not None:
            self.first.read_again()
        if self.bus.broker is not None:
            self.bus.broker.load_acl()

    def _fault(self, error: BaseException) -> None:
        """A fault of ours, in a callback: it is told, and the rest goes on."""
        import traceback

        for part in traceback.format_exception(error):
            for line in part.rstrip().splitlines():
                self.log.error(line)

    def run(self) -> None:
        """Work until stop() is through. Not even a fault in the loop itself ends it."""
        while True:
            try:
                self.loop.run()
                return
            except BaseException as error:
                self._fault(error)
                time.sleep(PAUSE_S)  # it may come again at once

    def close(self) -> None:
        """Give everything back; what the log did not take yet is printed."""
        self.commands.close()
        self.model.close()
        self.bus.close()
        self.log.close()
        self.loop.close()


def refuse_second(path: str) -> None:
    """Raise JailError where another initd, or procd, is on the bus: two would start everything twice.

    Or where nobody could be on it.
    """
    try:
        with Session(path, PROBE_S) as session:
            session.lookup_id(SERVICE)
    except UbusError as error:
        if error.code in (wire.NOT_FOUND, wire.CONNECTION_FAILED):
            if os.geteuid():
                # a bus takes objects of root alone, be it ours or ubusd's, and shows nobody else which there are
                raise JailError("must be run as root") from error
            return  # a bus without it, or none
        raise JailError(f"{path}: {error}") from error
    raise JailError(f"{path}: there is an object {SERVICE} already: another initd, or procd")


def main(argv: list[str]) -> int:
    """Returns the exit status when all has ended; as process 1, never."""
    gc.enable()  # the launcher leaves it off for commands that end at once
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    never_wait()
    close_inherited()
    name_process()
    if os.getpid() == 1:
        run_as_first(argv)
    try:
        settings = read_settings(argv[1:])
        if settings.answer:
            from jail.stdout import show

            show(f"{usage() if settings.answer == 'help' else _version()}\n")
            return 0
        initd = make(settings, is_first=False)
    except JailError as error:
        say(str(error))
        return error.status
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror}")
        return EXIT_FAILURE
    initd.run()
    initd.close()
    return 0


def make(settings: Settings, is_first: bool) -> Initd:
    """Everything up to the event loop. Raises JailError, OSError."""
    nofile = raise_nofile()
    export(settings)
    initd = Initd(settings, nofile, is_first)
    initd.start()
    return initd


def run_as_first(argv: list[str]) -> None:
    """Never returns."""
    from initd import boot

    try:
        is_machine = boot.prepare(say)
        name_process()
        try:
            settings = read_settings(argv[1:], is_first=True)
        except JailError as error:
            say(f"{error}; going on without any option")
            settings = read_settings([])
        initd = make(settings, is_first=True)
    except BaseException as error:
        say(str(error) if isinstance(error, JailError) else f"{type(error).__name__}: {error}")
        boot.rescue(argv, say)
    initd.run()
    try:
        initd.close()
    finally:
        boot.end_system(initd.how, is_machine, say)


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
