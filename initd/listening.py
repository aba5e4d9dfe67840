# SPDX-License-Identifier: MIT
"""The denied calls of one process that ask initd: its listener is taken, and each call is answered in the loop.

The launch has taken it where door 1 has one. Else the service waits for that before its main, and it is looked for
in ever longer steps. One that asks without end gets RATE answers a second and waits for the others, not we. Imported
only where a filter asks.
"""

import os

from initd.allowance import Allowance
from initd.loop import READ
from jail.errors import JailError
from jail.notifier import Notifier, take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.definition import Definition
    from initd.host import Words
    from initd.loop import Loop, Timer
    from jail.denial import Denial

FIRST_LOOK_S, LAST_LOOK_S = 0.001, 0.1
# answers in a row, and the time in which they are begun, before the other callbacks of the loop have their turn: on a
# router's processor one takes milliseconds
ROUND_MAX, SLICE_S = 16, 0.005
RATE, BURST = 1000, 1000
PAUSE_S = 0.02


class Listening:
    """Until close(), which is due when the process has ended. `kill` ends the service if it cannot be heard."""

    __slots__ = (
        "_abi", "_answers", "_definition", "_kill", "_log", "_loop", "_notifier", "_pid", "_tell", "_timer", "_wait_s",
    )  # fmt: skip

    def __init__(
        self,
        loop: "Loop",
        log: "Words",
        definition: "Definition",
        pid: int,
        abi: str,
        tell: "Callable[[Denial], None]",
        kill: "Callable[[], None]",
        fd: int = -1,
    ) -> None:
        """`pid` is the service's, `abi` its program's; `tell` takes each denied call; `fd` is its listener or -1."""
        self._loop, self._log, self._definition = loop, log, definition
        self._pid, self._abi, self._tell, self._kill = pid, abi, tell, kill
        self._notifier: Notifier | None = None
        self._answers = Allowance(RATE, BURST, loop.now())
        self._wait_s = FIRST_LOOK_S
        self._timer: Timer | None = None
        if fd >= 0:
            self._listen(fd)
        else:
            self._timer = loop.after(self._wait_s, self._look)

    def _look(self) -> None:
        self._timer = None
        try:
            fd = take(self._pid)
        except (FileNotFoundError, ProcessLookupError):
            return  # it has ended, which we will be told
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        if fd < 0:
            self._wait_s = min(2 * self._wait_s, LAST_LOOK_S)
            self._timer = self._loop.after(self._wait_s, self._look)
            return
        self._listen(fd)

    def _listen(self, fd: int) -> None:
        definition = self._definition
        try:
            self._notifier = Notifier(
                fd,
                definition.policy_path,
                self._abi,
                self._pid,
                complains=definition.complains,
                tell=self._note,
            )
        except (JailError, OSError) as error:
            os.close(fd)
            self._fail(str(error))
            return
        self._watch()

    def _fail(self, reason: str) -> None:
        """It waits for an answer that it will not get."""
        self._log.error(
            f"{self._definition.full_name}: killed, for its denied calls cannot be heard: {reason}"
        )
        self._kill()

    def _watch(self) -> None:
        assert self._notifier is not None
        self._timer = None
        try:
            self._loop.watch(self._notifier.fd, READ, self._ready)
        except OSError as error:  # the kernel watches no more; close() undoes no watch that there is not
            self._notifier.close()
            self._notifier = None
            self._fail(error.strerror or str(error))

    def _note(self, denial: "Denial") -> None:
        denial.service, denial.instance = self._definition.service, self._definition.instance
        denial.policy = self._definition.policy_path
        self._tell(denial)

    def _ready(self, events: int) -> None:
        assert self._notifier is not None
        now_s = self._loop.now()
        self._answers.refill(now_s)
        for _ in range(ROUND_MAX):
            if self._answers.left < 1:
                self._loop.unwatch(self._notifier.fd)
                self._timer = self._loop.after(PAUSE_S, self._watch)
                return
            if not self._notifier.is_asked():
                if self._notifier.is_over():  # the loop would come here for ever
                    self.close()
                return
            self._answers.take()
            self._notifier.serve()
            if self._loop.now() >= now_s + SLICE_S:
                return

    def close(self) -> None:
        """Nobody answers any more: what is left of the service gets ENOSYS for denied calls."""
        if self._notifier is not None:
            if self._timer is None:
                self._loop.unwatch(self._notifier.fd)
            self._notifier.close()
            self._notifier = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
