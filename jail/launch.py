# SPDX-License-Identifier: MIT
"""Plan → a running jail: the one place with effects, all of them in one native call."""

import os
from errno import EACCES, ENOENT, ENOEXEC

from jail._native import ffi, lib
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, SetupError
from jail.plan import Plan


class Jail:
    """A jail that runs. Its end is the end of the child `pid`, with the service's status."""

    __slots__ = ("pid", "service_pid")

    def __init__(self, pid: int, service_pid: int) -> None:
        self.pid = pid
        self.service_pid = service_pid


def launch(plan: Plan, flags: int = 0) -> Jail:
    """Start the jail and return once the service's program runs in it.

    Raises SetupError with the step that failed; then nothing is left of the jail. `flags` are LAUNCH_* of
    jail._native, for tests.
    """
    packed = b"".join([step.pack() for step in plan.steps])
    result = ffi.new("struct launch_result *")
    if lib.launch(packed, len(packed), plan.namespaces, flags, result) == 0:
        return Jail(result.pid, result.service_pid)
    cause = OSError(result.error, os.strerror(result.error))
    if result.step < 0:
        raise SetupError("clone the jail", cause)
    step = plan.steps[result.step]
    error = SetupError(step.describe(), cause)
    if step.op == lib.STEP_EXEC and result.error == ENOENT:
        error.status = EXIT_NOT_FOUND
    elif step.op == lib.STEP_EXEC and result.error in (EACCES, ENOEXEC):
        error.status = EXIT_CANNOT_EXECUTE
    raise error from cause
