# SPDX-License-Identifier: MIT
"""One denied system call: who called what, what came of it, and the words for it, whoever has seen it.

Made of the kernel's records, by a notifier, or of a death by SIGSYS alone. What a policy says and what arguments
mean is looked up when words are asked for. Must not read a policy or import a table before that.
"""

from jail._native import lib
from jail.policy import call_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

UNKNOWN_CALL = -1  # the number, where only the death is known
DEADLY = (lib.SECCOMP_RET_KILL_PROCESS, lib.SECCOMP_RET_KILL_THREAD, lib.SECCOMP_RET_TRAP)
ACTIONS = {
    lib.SECCOMP_RET_KILL_PROCESS: "kill_process",
    lib.SECCOMP_RET_KILL_THREAD: "kill_thread",
    lib.SECCOMP_RET_TRAP: "trap",
    lib.SECCOMP_RET_ERRNO: "errno",
    lib.SECCOMP_RET_USER_NOTIF: "notify",
    lib.SECCOMP_RET_TRACE: "trace",
    lib.SECCOMP_RET_LOG: "log",
}
RECORD, NOTIFIER, WAITPID = "record", "notifier", "waitpid"  # where it is known from


class Denial:
    """`pid` is the host's, -1 if it is not known. `abi` is an architecture's name, "" for one not known here.

    `action` is a filter's value: SECCOMP_RET_ERRNO may hold the errno in its lower bits. `args` are all six, or
    none where the source does not tell them. `policy` is a file, "" for the filter that every jail has. A jail
    of `ujail` is a service without an instance.
    """

    __slots__ = (
        "abi", "action", "args", "instance", "number", "pid", "policy", "program", "service", "source", "time_s",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        abi: str,
        pid: int,
        *,
        program: str = "",
        action: int = lib.SECCOMP_RET_KILL_PROCESS,
        args: "Sequence[int]" = (),
        service: str = "",
        instance: str = "",
        policy: str = "",
        source: str = RECORD,
        time_s: float = 0.0,
    ) -> None:
        self.number = number
        self.abi = abi
        self.pid = pid
        self.program = program
        self.action = action
        self.args = tuple(args)
        self.service = service
        self.instance = instance
        self.policy = policy
        self.source = source
        self.time_s = time_s  # of the clock on the wall

    @property
    def name(self) -> str:
        """Whose process it was, as initd's lines begin."""
        return f"{self.service}::{self.instance}" if self.instance else self.service

    @property
    def call(self) -> str:
        """The call's name, "" for a number that has none."""
        return call_name(self.abi, self.number) if self.number >= 0 else ""

    @property
    def kind(self) -> str:
        """What came of it, in one word: see ACTIONS."""
        return ACTIONS.get(self.action & lib.SECCOMP_RET_ACTION_FULL, "unknown")

    @property
    def errno(self) -> int:
        """What the call failed with; 0 if it did not, or if the source does not tell."""
        return self.action & lib.SECCOMP_RET_DATA if self.kind == "errno" else 0

    @property
    def is_deadly(self) -> bool:
        """Whether a process may have ended by it, with SIGSYS."""
        return self.action & lib.SECCOMP_RET_ACTION_FULL in DEADLY

    def words(self) -> str:
        """The line: who, what, by which policy, and the change to it that would allow the call."""
        from jail.denial_words import line

        return line(self)

    def fields(self) -> "dict[str, Any]":
        """The same as values, for a message or a line of JSON; what is not known is left out."""
        from jail.denial_words import fields

        return fields(self)
