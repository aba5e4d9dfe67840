# SPDX-License-Identifier: MIT
"""A service in its jail under the tracer: trace_here() for `ujail -m trace`, main() for initd's services.

main() is a process of its own, which initd starts in the service's place. Descriptor 0 is a socket to initd. From
there come the descriptors of the plan, of the trace's file and perhaps of a network; there go lines: `pid N`,
`say TEXT`, `failed TEXT`, `wrote`. Signals are handed on to the jail; TRACE_SIGNAL_END is KILL for the jail, and the
trace is still written. The exit status is the service's. Without initd this process ends, and the kernel ends what it
traces.
"""

import _signal  # the C half of `signal`, without enum
import _socket
import marshal
import os
from struct import calcsize, iter_unpack

from jail.errors import EXIT_FAILURE, ConfigError, JailError
from jail.launch import OWN_STDIO
from jail.packed import Packed
from jail.trace import Trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jail.plan import Plan
    from jail.tree import Closure

FDS_MAX = 3


def order_of(packed: Packed, root: str) -> bytes:
    """What main() reads from the plan's descriptor. `root` is the extroot, or ""."""
    return marshal.dumps((packed.name, packed.namespaces, packed.parts, packed.text, packed.program, root))


def main() -> int:
    """Carry out the order; returns the exit status."""
    # from the start: one that comes too early is for the service
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    channel = _socket.socket(fileno=0)
    try:
        with open("/proc/self/comm", "w") as file:
            file.write("utrace")
        plan_fd, file_fd, net_fd = _receive(channel)
        with os.fdopen(plan_fd, "rb") as file_of_plan:
            packed, root = _packed(marshal.load(file_of_plan))
        return _run(packed, root, channel, file_fd, net_fd)
    except JailError as error:
        _tell(channel, "failed", str(error))
        return error.status
    except OSError as error:
        _tell(channel, "failed", error.strerror or str(error))
        return EXIT_FAILURE


def _receive(channel: "_socket.socket") -> list[int]:
    """Wait for the descriptors; -1 is a network that there is not. Raises JailError at the end of initd."""
    _, ancillary, _, _ = channel.recvmsg(1, _socket.CMSG_SPACE(FDS_MAX * calcsize("i")))
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds = [fd for (fd,) in iter_unpack("i", content)]
            for fd in fds:
                os.set_inheritable(fd, False)
            return fds + [-1] * (FDS_MAX - len(fds))
    raise JailError("no order came")


def _packed(order: tuple[str, int, tuple[bytes, ...], str, str, str]) -> tuple[Packed, str]:
    packed = Packed.__new__(Packed)
    packed.name, packed.namespaces, packed.parts, packed.text, packed.program, root = order
    # the rest stays with initd
    packed.group, packed.joins, packed.missing, packed.warnings = None, (), (), ()
    packed.network, packed.notify_abi = None, ""
    return packed, root


def _run(packed: Packed, root: str, channel: "_socket.socket", file_fd: int, net_fd: int) -> int:
    trace = Trace([])
    try:
        null_fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        jail = trace.launch(packed, (null_fd, 1, 2), net_fd)
        for fd in (1, 2):  # who reads the service's output sees its end when the service closes it
            os.dup2(null_fd, fd)
        _tell(channel, "pid", str(jail.service_pid))
        status = trace.run(packed.program)
        for line in _write(trace, packed.program, root, file_fd):
            _tell(channel, "say", line)
        _tell(channel, "wrote")
        return status
    finally:
        trace.close()


def trace_here(
    plan: "Plan",
    root: str,
    say: "Callable[[str], None]",
    on_start: "Callable[[int], None]",
    net_fd: int = -1,
    console_fd: int = -1,
) -> int:
    """Run the jail under this process as its tracer, and write the trace; returns the service's exit status.

    on_start(the service's pid) is called once it runs; `net_fd` and `console_fd` are as for launch(). Raises JailError,
    OSError; then nothing is left of it.
    """
    from jail.record import policy_of
    from jail.tracefile import TraceFile, default_path

    packed = Packed(plan)
    file = TraceFile(default_path(packed.program, os.getpid()), replace=False)
    trace = Trace([])
    try:
        on_start(trace.launch(packed, OWN_STDIO, net_fd, console_fd).service_pid)
        status = trace.run(packed.program)
        text, notes = policy_of(trace, _closure(packed.program, root))
        for line in (f"the trace is in {file.commit(text)}", *notes):
            say(line)
        return status
    finally:
        trace.close()
        file.drop()


def _write(trace: Trace, program: str, root: str, fd: int) -> list[str]:
    """Write the policy there; returns what is to be said about it. Raises JailError, OSError."""
    from jail.record import policy_of

    text, notes = policy_of(trace, _closure(program, root))
    left = text.encode()
    while left:
        left = left[os.write(fd, left) :]
    return notes


def _closure(program: str, root: str) -> "Closure | None":
    from jail.doors import link

    try:
        return link(program, root or "/")[0]
    except ConfigError:
        return None


def _tell(channel: "_socket.socket", what: str, text: str = "") -> None:
    try:
        line = f"{what} {text}".strip().replace("\n", " ")
        channel.send(line.encode("utf-8", "backslashreplace") + b"\n", _socket.MSG_NOSIGNAL)
    except OSError:
        return  # initd has gone, and so will we
