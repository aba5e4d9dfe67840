# SPDX-License-Identifier: MIT
"""The listener of one process in the loop: how long it may take, and its end."""

import errno
import os
from types import SimpleNamespace
from typing import Any, cast

import pytest
from initd_world import World

from initd import listening
from initd.definition import Definition
from initd.listening import FIRST_LOOK_S, ROUND_MAX, SLICE_S, Listening
from initd.loop import READ


class Ended:
    """A listener whose processes are all gone: the end of a pipe that nobody writes to."""

    def __init__(self, fd: int, *_: object, **__: object) -> None:
        self.fd = fd
        self.looks = 0

    def is_asked(self) -> bool:
        self.looks += 1
        return False

    def is_over(self) -> bool:
        return True

    def close(self) -> None:
        os.close(self.fd)


def test_listener_that_nobody_asks_any_more_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = os.pipe()
    os.close(there)
    monkeypatch.setattr(listening, "take", lambda pid: here)
    monkeypatch.setattr(listening, "Notifier", Ended)
    definition = Definition.read("s", "one", {"command": ["/bin/d"], "seccomp": "/p.json"})
    listener = Listening(world.loop, world.log, definition, 1, "x86_64", lambda found: None, lambda: None)
    world.advance(FIRST_LOOK_S)
    notifier = listener._notifier
    assert isinstance(notifier, Ended)
    for _ in range(5):
        world.loop.step(0)
    assert notifier.looks == 1 and listener._notifier is None
    listener.close()  # again, as when the process has ended


def test_service_whose_listener_cannot_be_watched_is_killed_and_its_end_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    here, there = os.pipe()
    os.close(there)
    monkeypatch.setattr(listening, "take", lambda pid: here)
    monkeypatch.setattr(listening, "Notifier", Ended)
    monkeypatch.setattr(world.loop, "watch", refuse)
    killed: list[bool] = []
    definition = Definition.read("s", "one", {"command": ["/bin/d"], "seccomp": "/p.json"})
    listener = Listening(
        world.loop, world.log, definition, 1, "x86_64", lambda found: None, lambda: killed.append(True)
    )
    world.advance(FIRST_LOOK_S)
    assert killed and "cannot be heard: No space left" in world.log.lines[-1]
    listener.close()  # as when the process has ended
    with pytest.raises(OSError):
        os.fstat(here)


@pytest.mark.parametrize(("answer_s", "answers"), [(0.0, ROUND_MAX), (SLICE_S / 2, 2), (3 * SLICE_S, 1)])
def test_answers_in_a_row_are_bounded_by_number_and_time(answer_s: float, answers: int) -> None:
    clock: Any = SimpleNamespace(now_s=1.0, now=lambda: clock.now_s, after=lambda delay_s, callback: None)
    served: list[float] = []

    def serve() -> None:
        served.append(clock.now_s)
        clock.now_s += answer_s

    nothing: Any = None
    made = Listening(clock, nothing, nothing, 1, "x86_64", nothing, nothing)
    made._notifier = cast(Any, SimpleNamespace(fd=-1, is_asked=lambda: True, serve=serve))
    made._ready(READ)
    assert len(served) == answers
