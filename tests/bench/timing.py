# SPDX-License-Identifier: MIT
"""Start a command, time it, and take turns among several so that noise hits all alike."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Command:
    """A command line, and the files that it wants open under fixed descriptors."""

    def __init__(self, name: str, argv: Sequence[str], opens: dict[int, str] | None = None) -> None:
        self.name = name
        self.argv = list(argv)
        self.opens = opens or {}

    def spawn(self, quiet: bool = False) -> int:
        """Start it by posix_spawn and return its pid. `quiet` sends what it says to /dev/null."""
        actions = [(os.POSIX_SPAWN_OPEN, fd, path, os.O_RDONLY, 0) for fd, path in self.opens.items()]
        if quiet:
            actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
        return os.posix_spawn(self.argv[0], self.argv, os.environ, file_actions=actions)

    def status(self, quiet: bool = False) -> int:
        """Run it to its end and return its exit status, negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.spawn(quiet), 0)[1])

    def time_ns(self, quiet: bool = False) -> int:
        """Run it to its end; raises RuntimeError if that is a failure."""
        start = time.perf_counter_ns()
        status = os.waitpid(self.spawn(quiet), 0)[1]
        took = time.perf_counter_ns() - start
        if status:
            raise RuntimeError(f"{self.name}: status {os.waitstatus_to_exitcode(status)}")
        return took


def take_turns(contenders: dict[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call each once a round, starting one further each time; the first round warms up and is dropped."""
    names = list(contenders)
    samples: dict[str, list[T]] = {name: [] for name in names}
    gc.disable()
    for number in range(-1, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            sample = contenders[name]()
            if number >= 0:
                samples[name].append(sample)
    gc.enable()
    return samples


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def spread(samples: Sequence[float], scale: float = 1) -> tuple[float, float]:
    """The 10th and the 90th percentile, each divided by `scale`."""
    ordered = sorted(samples)
    return ordered[int(len(ordered) * 0.1)] / scale, ordered[int(len(ordered) * 0.9)] / scale
