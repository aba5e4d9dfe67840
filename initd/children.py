# SPDX-License-Identifier: MIT
"""The ends of initd's children: everything that dies is reaped, and whoever watched a pid is told its status.

As PID 1 initd inherits every orphan of the system. Those strangers are reaped and forgotten.
"""

import os

from initd.slim import OrderedDict, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from initd.loop import Loop

    OnEnd: TypeAlias = Callable[[int], None]

ROUND_MAX = 64  # ends in a row before the other callbacks of the loop have their turn
EARLY_MAX = 256  # ends of pids that nobody watches yet; as PID 1 nearly all of them are strangers
LOST = 255 << 8  # the wait status that a watcher gets for a pid that is no child of ours


class Children:
    """Who waits for which child."""

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop
        self._watched: dict[int, OnEnd] = {}
        self._early: OrderedDict[int, int] = OrderedDict()
        self._has_turn = False
        loop.on_signal(signal.SIGCHLD, self._reap)
        self._reap_later()  # what ended before there was a handler sends no signal again

    def watch(self, pid: int, on_end: "OnEnd") -> None:
        """Call `on_end(status)` once, from the loop, when the child has ended; a wait status as of os.waitpid.

        It may have ended already. A pid that is no child and was not seen to end has the status LOST, so
        that nobody waits for ever.
        """
        early = self._early.pop(pid, LOST)
        if is_child(pid):  # so the status that was kept is of an older process with the same number
            self._watched[pid] = on_end
            return
        self._loop.after(0, lambda: on_end(early))

    def _reap_later(self) -> None:
        if not self._has_turn:
            self._has_turn = True
            self._loop.after(0, self._next_round)

    def _next_round(self) -> None:
        self._has_turn = False
        self._reap()

    def _reap(self) -> None:
        for _ in range(ROUND_MAX):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._end(pid, status)
        self._reap_later()

    def _end(self, pid: int, status: int) -> None:
        on_end = self._watched.pop(pid, None)  # before the call, which may start a child with this very pid
        if on_end is None:
            self._early.pop(pid, None)
            self._early[pid] = status
            if len(self._early) > EARLY_MAX:
                self._early.popitem(last=False)
            return
        try:
            on_end(status)
        except Exception as error:  # the others of this round have ended too
            self._loop.fault(error)


def is_child(pid: int) -> bool:
    """Whether the pid is a child that was not reaped yet, alive or not."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
