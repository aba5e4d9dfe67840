# SPDX-License-Identifier: MIT
"""The event loop: order of timers, signals that storm, and callbacks that fail or end one another."""

import os
import signal
from collections.abc import Iterator

import pytest

from initd.loop import READ, Loop


@pytest.fixture
def faults() -> list[Exception]:
    return []


@pytest.fixture
def loop(faults: list[Exception]) -> Iterator[Loop]:
    before = len(os.listdir("/proc/self/fd"))
    made = Loop(faults.append)
    yield made
    made.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_timers_run_in_order_and_not_after_cancel(loop: Loop) -> None:
    clock, seen = [100.0], []
    loop.now = lambda: clock[0]
    for name, delay_s in (("b", 2.0), ("a", 1.0), ("c", 2.0), ("late", 9.0)):
        loop.after(delay_s, lambda name=name: seen.append(name))  # type: ignore[misc]
    gone = loop.after(1.5, lambda: seen.append("gone"))
    gone.cancel()
    gone.cancel()
    loop.step(0)
    assert seen == []
    clock[0] += 2
    loop.step(0)
    assert seen == ["a", "b", "c"]


def test_a_fault_is_told_and_the_others_are_served(loop: Loop, faults: list[Exception]) -> None:
    seen: list[int] = []
    loop.after(0, lambda: seen.append(1 // 0))
    loop.after(0, lambda: seen.append(1))
    loop.after(0, loop.stop)
    loop.run()
    assert seen == [1] and isinstance(faults[0], ZeroDivisionError)


def test_one_callback_may_end_another_one_of_the_same_round(loop: Loop) -> None:
    pipes = [os.pipe() for _ in range(2)]
    seen: list[int] = []

    def ready(number: int) -> None:
        seen.append(number)
        loop.unwatch(pipes[1 - number][0])

    for number, (reads, writes) in enumerate(pipes):
        os.write(writes, b"x")
        loop.watch(reads, READ, lambda events, number=number: ready(number))  # type: ignore[misc]
    loop.step(0)
    assert len(seen) == 1
    loop.unwatch(pipes[seen[0]][0])
    for pair in pipes:
        for fd in pair:
            os.close(fd)


def test_a_storm_of_signals_loses_none(loop: Loop) -> None:
    seen: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: seen.append("usr1"))
    loop.on_signal(signal.SIGUSR2, lambda: seen.append("usr2"))
    for _ in range(1000):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert loop._wakeup is not None
    with pytest.raises(BlockingIOError):  # the pipe is full: the number has to get through all the same
        while True:
            os.write(loop._wakeup[1], bytes(4096))
    os.kill(os.getpid(), signal.SIGUSR2)
    loop.step(5)
    assert seen == ["usr1", "usr2"]
    loop.step(0)
    while loop._epoll.poll(0):
        loop.step(0)
    assert seen == ["usr1", "usr2"]


def test_a_timer_of_the_far_future_holds_up_nothing(loop: Loop) -> None:
    loop.after(1e10, lambda: None)  # more milliseconds than epoll takes
    loop.on_signal(signal.SIGUSR1, loop.stop)
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.run()


def test_cancelled_timers_take_no_memory_until_they_were_due(loop: Loop) -> None:
    seen: list[int] = []
    loop.after(0, lambda: seen.append(1))
    for _ in range(10_000):  # a service that gives signs of life, long before its watchdog bites
        loop.after(86400, lambda: seen.append(2)).cancel()
    assert len(loop._timers) < 200
    loop.step(0)
    assert seen == [1]
