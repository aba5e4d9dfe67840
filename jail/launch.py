# SPDX-License-Identifier: MIT
"""Plan → a running jail: the one place with effects, all of them in one native call."""

import _signal  # the C half of `signal`, without enum
import posix
from errno import EACCES, EINVAL, ENOENT, ENOEXEC, ENOSPC, EPERM

from jail._native import ffi, lib
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, SetupError
from jail.packed import Packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail._native import FFI
    from jail.plan import Plan

OWN_STDIO = (-1, -1, -1)
WORD = (1 << 64) - 1
HINTED = (EPERM, EINVAL, ENOENT, ENOSPC)  # what jail/hints.py knows


class Jail:
    """A jail that runs. Its end is the end of the child `pid`, with the service's status.

    `listener_fd` is that of a filter of door 1 which asks, for a Notifier; else -1.
    """

    __slots__ = ("listener_fd", "pid", "service_pid")

    def __init__(self, pid: int, service_pid: int, listener_fd: int = -1) -> None:
        self.pid = pid
        self.service_pid = service_pid
        self.listener_fd = listener_fd


def launch(
    plan: "Plan | Packed",
    flags: int = 0,
    stdio: tuple[int, int, int] = OWN_STDIO,
    trace: "FFI.CData | None" = None,
    net_fd: int = -1,
    console_fd: int = -1,
) -> Jail:
    """Start the jail and return once the service's program runs in it.

    `stdio` are descriptors of this process that the service gets as 0, 1 and 2; -1 leaves it our own.
    `net_fd` is the network of a plan that has one (netmaker.py), `console_fd` for one that has a console (console.py).
    Raises SetupError with the step that failed; then nothing is left of the jail. `flags` are LAUNCH_* of
    jail._native, for tests. A `trace` is attached to the service, whose plan has its filter; from here on
    nothing but the trace may wait for children.
    """
    packed = plan if isinstance(plan, Packed) else Packed(plan)
    code = packed.join()
    reset = _signals_to_reset()
    if packed.group and packed.group.make():
        flags |= lib.LAUNCH_INTO_GROUP
    request = ffi.new(
        "struct launch_request *",
        (
            packed.namespaces,
            flags,
            stdio,
            net_fd,
            console_fd,
            (reset & WORD, reset >> 64),
            ffi.NULL if trace is None else trace,
        ),
    )
    result = ffi.new("struct launch_result *")
    if lib.launch(code, len(code), request, result) == 0:
        return Jail(result.pid, result.service_pid, result.listener_fd)
    cause = OSError(result.error, _how_killed(packed, result) or posix.strerror(result.error))
    if packed.group:
        packed.group.remove()
    raise _failure(packed, result.step, cause) from cause


def _how_killed(packed: Packed, result: "FFI.CData") -> str:
    """What ended a process of the launch, where that was none of its steps; "" where one failed."""
    if not result.was_killed:
        return ""
    oom = packed.group.describe_oom() if packed.group else ""
    by = f" by signal {result.signal}" if result.signal else ""
    return f"killed{by} in the middle of the launch, {oom or 'from outside or for want of memory'}"


def _failure(packed: Packed, step: int, cause: OSError) -> SetupError:
    """Where the launch has failed, and why."""
    if step < 0:
        reads_proc = step == lib.LAUNCH_READ_PROC
        return _told("read the service's pid in /proc" if reads_proc else "clone the jail", cause)
    error = _told(packed.describe(step), cause)
    if packed.is_exec(step) and cause.errno == ENOENT:
        error.status = EXIT_NOT_FOUND
    elif packed.is_exec(step) and cause.errno in (EACCES, ENOEXEC):
        error.status = EXIT_CANNOT_EXECUTE
    return error


def _told(step: str, cause: OSError) -> SetupError:
    if cause.errno not in HINTED:  # EMFILE, say: then no module can be read
        return SetupError(step, cause)
    from jail.hints import hint

    more = hint(step, cause.errno)
    return SetupError(step, OSError(cause.errno, f"{cause.strerror}: {more}") if more else cause)


def hold_signals() -> None:
    """A signal that comes once the service runs is for it: it waits until the stub is there to forward it."""
    # where CHLD is ignored, a jail that ends at once leaves no status behind
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())


def _signals_to_reset() -> int:
    """Bit n-1 for each signal that Python handles or found ignored: exec would keep it ignored."""
    default, found = (_signal.SIG_DFL, None), 0
    of = _signal.getsignal
    for number in range(1, _signal.NSIG):
        if of(number) not in default:
            found |= 1 << number - 1
    return found
