# SPDX-License-Identifier: MIT
"""The one event loop of initd: descriptors, timers and signals. Nothing that it calls may block.

A fault in a callback is reported and the loop goes on: no service, peer or timer can end the supervisor.
"""

import os
import select
import time

from initd.slim import heapq, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TypeAlias

    Ready: TypeAlias = Callable[[int], None]

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
WAIT_MAX_S = 86400.0  # epoll takes less than 25 days; timers may be of years
SWEEP_MIN = 128  # timers, before cancelled ones are looked for


class Timer:
    """One call in the future; cancel() may be used at any time and more than once."""

    __slots__ = ("_number", "callback", "due_s")

    def __init__(self, due_s: float, number: int, callback: "Callable[[], None]") -> None:
        self.due_s = due_s
        self._number = number  # equal times run in the order they were asked for
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: "Timer") -> bool:
        return (self.due_s, self._number) < (other.due_s, other._number)

    def cancel(self) -> None:
        """Forget the call."""
        self.callback = None


class Loop:
    """Descriptors, timers, signals. `fault` is told of each exception that a callback let through."""

    def __init__(self, fault: "Callable[[Exception], None] | None" = None) -> None:
        self.fault = fault or print_fault
        self.now = time.monotonic
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[int, Ready]] = {}
        self._timers: list[Timer] = []
        self._sweep_at = SWEEP_MIN
        self._count = 0
        self._running = False
        self._signals: dict[int, Callable[[], None]] = {}
        self._pending: set[int] = set()
        self._wakeup: tuple[int, int] | None = None

    def watch(self, fd: int, events: int, callback: "Ready") -> None:
        """Call `callback(events)` whenever `fd` is ready. For a watched one: change what is waited for."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = (events, callback)

    def unwatch(self, fd: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        del self._watched[fd]
        try:
            self._epoll.unregister(fd)
        except OSError:
            return  # closed already: the kernel has forgotten it

    def after(self, delay_s: float, callback: "Callable[[], None]") -> Timer:
        """Call `callback()` once, `delay_s` from now."""
        self._count += 1
        timer = Timer(self.now() + delay_s, self._count, callback)
        heapq.heappush(self._timers, timer)
        if len(self._timers) > self._sweep_at:
            self._sweep()
        return timer

    def _sweep(self) -> None:
        """Drop the cancelled timers: a watchdog leaves one at each sign of life, and it may be due in a year."""
        self._timers[:] = [timer for timer in self._timers if timer.callback is not None]
        heapq.heapify(self._timers)
        self._sweep_at = max(SWEEP_MIN, 2 * len(self._timers))

    def on_signal(self, number: int, callback: "Callable[[], None]") -> None:
        """Call `callback()` in the loop after the signal came, once for any number of them in a row.

        The handler only notes the number, and a byte in a pipe ends the wait: a storm of signals fills
        the pipe, but cannot lose one.
        """
        if self._wakeup is None:
            self._wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
            self.watch(self._wakeup[0], READ, self._take_signals)
        self._signals[number] = callback
        signal.signal(number, self._note)
        signal.siginterrupt(number, False)

    def _note(self, number: int, frame: "FrameType | None") -> None:
        self._pending.add(number)

    def _take_signals(self, events: int) -> None:
        assert self._wakeup is not None
        os.read(self._wakeup[0], 65536)
        self._pending, pending = set(), self._pending
        for number in sorted(pending):
            self._guard(self._signals[number])

    def run(self) -> None:
        """Work until stop()."""
        self._running = True
        while self._running:
            self.step()

    def stop(self) -> None:
        """Let run() return after the callbacks at hand."""
        self._running = False

    def step(self, wait_s: float | None = None) -> None:
        """Wait for what comes next, `wait_s` at most, and serve it."""
        timers = self._timers
        while timers and timers[0].callback is None:
            heapq.heappop(timers)
        if timers:
            due_s = min(max(0.0, timers[0].due_s - self.now()), WAIT_MAX_S)
            wait_s = due_s if wait_s is None else min(wait_s, due_s)
        for fd, events, watched in [(fd, events, self._watched.get(fd)) for fd, events in self._wait(wait_s)]:
            # one callback may have ended what another descriptor of this round stood for
            if watched is not None and self._watched.get(fd) is watched:
                wanted, callback = watched
                # an error or a hang-up shows in whatever is tried next
                self._guard(callback, events & wanted or wanted)
        self._run_timers()

    def _wait(self, wait_s: float | None) -> list[tuple[int, int]]:
        return self._epoll.poll(wait_s, max(len(self._watched), 1))

    def _run_timers(self) -> None:
        timers, now_s = self._timers, self.now()
        while timers and timers[0].due_s <= now_s:
            timer = heapq.heappop(timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._guard(callback)

    def _guard(self, callback: "Callable[..., None]", *arguments: int) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            self.fault(error)

    def close(self) -> None:
        """Give back descriptors and signals."""
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        self._signals.clear()
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            self.unwatch(self._wakeup[0])
            os.close(self._wakeup[0])
            os.close(self._wakeup[1])
            self._wakeup = None
        self._epoll.close()


def print_fault(error: Exception) -> None:
    """The default for `fault`: a traceback on stderr. Its modules are loaded only if it ever comes to it."""
    import traceback

    traceback.print_exception(error)
