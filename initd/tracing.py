# SPDX-License-Identifier: MIT
"""A service that is traced: it runs in its jail as ever, but under the tracer, which is a process of its own.

That process (jail/traced.py) takes the service's place as our child: it hands signals on, ends as the service
did, and writes what was called to a file that is claimed here, before anything runs. Imported only where
something is traced. Must not wait for it.
"""

import os
import sys
from contextlib import suppress
from struct import pack

from initd.loop import READ
from initd.slim import signal, socket
from jail._native import lib
from jail.errors import JailError
from jail.launch import launch
from jail.packed import Packed
from jail.plan import make_plan
from jail.spec import JailSpec
from jail.traced import order_of
from jail.tracefile import ATTEMPTS, FOLDER, MODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.definition import Definition
    from initd.host import Words
    from initd.loop import Loop

LINES_MAX = 1 << 16  # of all that the tracer says
PATIENCE_S = 20.0  # for the tracer to write when everything that it traced was killed
PROGRAM = """\
import sys
sys.path[:] = {path!r}
from jail.traced import main
sys.exit(main())
"""


class Tracing:
    """The tracer as initd sees it. `path` is where the trace will be; `failure` why there is none."""

    __slots__ = ("_is_written", "_log", "_loop", "_name", "_on_pid", "_socket", "_text", "failure", "path")

    def __init__(self, channel: "socket.socket", path: str) -> None:
        self._socket = channel
        self._text = b""
        self._is_written = False
        self.path = path
        self.failure = ""

    def follow(self, loop: "Loop", log: "Words", name: str, on_pid: "Callable[[int], None]") -> None:
        """Take what the tracer says from now on; on_pid(service's pid) when the service runs."""
        self._loop, self._log, self._name, self._on_pid = loop, log, name, on_pid
        loop.watch(self._socket.fileno(), READ, self._ready)
        log.info(f"{name}: its system calls are recorded, the trace will be in {self.path}")

    def _ready(self, events: int) -> None:
        try:
            part = self._socket.recv(LINES_MAX)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part or len(self._text) + len(part) > LINES_MAX:
            self._unwatch()
            return
        *lines, self._text = (self._text + part).split(b"\n")
        for line in lines:
            what, _, text = line.decode("utf-8", "replace").partition(" ")
            self._take(what, text)

    def _take(self, what: str, text: str) -> None:
        if what == "pid" and text.isdecimal():
            self._on_pid(int(text))
        elif what == "say":
            self._log.info(f"{self._name}: trace: {text}")
        elif what == "failed":
            self.failure = text
        elif what == "wrote":
            self._is_written = True

    def close(self) -> None:
        """The tracer has ended: say where the trace is, or that there is none."""
        if self._socket.fileno() >= 0:
            self._ready(READ)  # a stream: all that it said is there
        self._unwatch()
        self._on_pid = lambda pid: None  # it would hold who holds us
        if self._is_written:
            self._log.info(f"{self._name}: the trace is in {self.path}")
            return
        self._log.error(f"{self._name}: there is no trace: {self.failure or 'the tracer was killed'}")
        try:
            if not os.lstat(self.path).st_size:
                os.unlink(self.path)
        except OSError:
            return  # somebody has taken it away

    def _unwatch(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()

    def end(self, loop: "Loop", kill: "Callable[[int], None]") -> None:
        """Kill what is traced, so that the trace is written; a tracer that does not end by that is killed too."""
        kill(int(lib.TRACE_SIGNAL_END))
        loop.after(PATIENCE_S, lambda: kill(signal.SIGKILL))


def launch_traced(
    definition: "Definition", packed: Packed, stdio: tuple[int, int, int], net_fd: int = -1
) -> tuple[int, Tracing]:
    """Start the tracer, which starts what was planned; returns its pid.

    Raises JailError, OSError; then nothing is left. A plan that fails is told later, by its end and by Tracing.failure.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    plan_fd = file_fd = -1
    path = ""
    try:
        ours.setblocking(False)
        plan_fd = os.memfd_create("plan", os.MFD_CLOEXEC)
        order = order_of(packed, definition.extroot)
        if os.write(plan_fd, order) != len(order):
            raise JailError("trace: no memory for the plan")
        os.lseek(plan_fd, 0, os.SEEK_SET)
        if packed.group:
            packed.group.make()
        pid = launch(_tracer(definition), stdio=(theirs.fileno(), stdio[1], stdio[2])).pid
        path, file_fd = _claim(os.path.basename(definition.command[0]), pid)
        fds = pack("ii", plan_fd, file_fd) + (pack("i", net_fd) if net_fd >= 0 else b"")
        ours.sendmsg([b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        return pid, Tracing(ours, path)
    except BaseException:
        ours.close()  # a tracer that has no order yet ends by that
        if path:
            with suppress(FileNotFoundError):
                os.unlink(path)
        if packed.group:
            packed.group.remove()  # the tracer is not in it
        raise
    finally:
        theirs.close()
        for fd in (plan_fd, file_fd):
            if fd >= 0:
                os.close(fd)


def _tracer(definition: "Definition") -> Packed:
    """The tracer's own process: this interpreter, with all that we are."""
    # where modules are was found out when this process was started, and not by the interpreter
    program = PROGRAM.format(path=sys.path)
    spec = JailSpec(f"{definition.service}.{definition.instance}", [sys.executable, "-IS", "-c", program])
    spec.plain, spec.isolate, spec.stub, spec.no_new_privs = True, False, False, False
    spec.env = dict(os.environ)
    spec.validate()
    return Packed(make_plan(spec))


def _claim(program: str, pid: int) -> tuple[str, int]:
    """A file in /tmp that nobody had, and that nobody else writes: /tmp/NAME.json.PID."""
    root = os.environ.get("STOCKADE_ROOT", "")
    folder = f"{root}{FOLDER}"
    if root:
        os.makedirs(folder, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for number in range(ATTEMPTS):
        path = f"{folder}/{program}.json.{pid}" + (f".{number}" if number else "")
        try:
            return path, os.open(path, flags, MODE)
        except FileExistsError:
            continue
        except OSError as error:
            raise JailError(f"{path}: {error.strerror}") from error
    raise JailError(f"{folder}/{program}.json.{pid}: too many files of that name")
