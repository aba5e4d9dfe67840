# SPDX-License-Identifier: MIT
"""The process that an instance has, and the last one that it had: what can be asked of them, and sent to them.

When there is to be one is for instance.py to say.
"""

from errno import ESRCH

from initd import death

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initd.definition import Definition
    from initd.denials import History
    from initd.host import Host
    from initd.process import Process
    from initd.watchdog import Watchdog
    from initd.whose import Owner


class HasProcess:
    """`definition` is what is asked for now; the process may be of an older one."""

    __slots__ = (
        "_asked_watchdog",
        "_host",
        "_last",
        "_owner",
        "definition",
        "denied",
        "exit_code",
        "process",
        "watchdog",
    )

    def __init__(self, host: "Host", definition: "Definition", watchdog: "Watchdog") -> None:
        self._host = host
        self.definition = definition
        self.process: Process | None = None
        self._last: Process | None = None  # the one that ended
        self.exit_code: int | None = None  # its, or of what failed instead
        self._owner: Owner | None = None  # for denials, of the last process
        self.denied: History | None = None  # None where nothing was
        self.watchdog = watchdog
        self._asked_watchdog: tuple[int, ...] | None = None  # when the process was started

    @property
    def is_startable(self) -> bool:
        """Whether there is nothing wrong with what was asked for."""
        return not (self.definition.faults or self.definition.error)

    @property
    def is_over(self) -> bool:
        """Whether the process has ended, and only what it left in its group is waited for."""
        return self.process is not None and self.process.is_over

    def send_signal(self, number: int) -> None:
        """To the process, by the stub if there is one. Raises OSError; ESRCH where there is none."""
        if self.process is None:
            raise ProcessLookupError(ESRCH, "not running")
        self.process.kill(number)

    @property
    def trace_file(self) -> str:
        """Where the trace of the process is or will be, or that of the last one; "" if it is not traced."""
        process = self.process or self._last
        return process.trace.path if process is not None and process.trace is not None else ""

    @property
    def warnings(self) -> "Sequence[str]":
        """What the process has not got of what was asked for, or the last one had not."""
        process = self.process or self._last
        return process.warnings if process is not None else ()

    def describe_oom(self) -> str:
        """What the kernel has killed of the process, or of the last one, for want of memory; "" for nothing."""
        if self.process is not None:
            return self.process.describe_oom()
        return self._last.oom if self._last is not None else ""

    def how_it_ended(self, ran_s: float) -> str:
        """The last process, in words."""
        assert self._last is not None and self.exit_code is not None
        if self._last.trace is not None and self._last.trace.failure:
            return f"cannot start: {self._last.trace.failure}"
        return f"ended after {ran_s:.0f} s: {death.words(self.exit_code)}"

    def has_changed(self) -> bool:
        """Whether the process is another one than is asked for now."""
        assert self.process is not None
        if not self.watchdog.is_own and self._asked_watchdog != self.definition.watchdog:
            return True
        return self.process.identity != self.definition.identity()

    def signal(self, number: int) -> None:
        """As send_signal(), but what goes wrong is worth a line at most."""
        if self.process is not None:
            self.process.try_kill(number)

    def let_go(self) -> None:
        """Nobody asks any more.

        What is held in a circle would stay until Python looks for circles, which it does every thousand starts.
        """
        self._last = self._owner = None
        self.watchdog.let_go()
