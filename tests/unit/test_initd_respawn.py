# SPDX-License-Identifier: MIT
"""Starting again what ended unasked: counting, waiting, giving up, and what brings it back."""

import pytest
from initd_world import FIRST_PID, World

from initd import respawn


def run(*given: str) -> dict[str, object]:
    return {"command": ["/bin/d", "-x"], "respawn": list(given)}


@pytest.mark.parametrize(
    ("crashes", "ran_s", "after"), [(0, 0.0, 1), (3, 59.9, 4), (3, 60.0, 0), (5, 1e6, 0)]
)
def test_a_long_run_forgives(crashes: int, ran_s: float, after: int) -> None:
    assert respawn.count_crash((60, 5, 5), crashes, ran_s) == after


@pytest.mark.parametrize(("retry", "crashes", "is_over"), [(5, 5, False), (5, 6, True), (0, 10**6, False)])
def test_when_it_is_hopeless(retry: int, crashes: int, is_over: bool) -> None:
    assert respawn.is_hopeless((60, 5, retry), crashes) == is_over


@pytest.mark.parametrize(
    ("timeout", "ran_s", "delay_s"),
    [(5, 0.0, 5.0), (5, 100.0, 5.0), (0, 0.0, 1.0), (0, 0.4, 0.6), (0, 9.0, 0)],
)
def test_never_two_starts_in_a_second(timeout: int, ran_s: float, delay_s: float) -> None:
    assert respawn.delay_s((60, timeout, 5), ran_s) == pytest.approx(delay_s)


def test_a_clean_end_is_started_again_too(world: World) -> None:
    world.set("s", one=run())
    world.end(FIRST_PID, 0)
    world.advance(4.9)
    assert len(world.spawned) == 1 and world.listing("s", "one")["state"] == "waiting"
    world.advance(0.2)
    assert len(world.spawned) == 2


def test_without_respawn_it_stays_down(world: World) -> None:
    world.set("s", one={"command": ["/bin/d"]})
    world.end(FIRST_PID, 7 << 8)
    world.advance(10000)
    listed = world.listing("s", "one")
    assert (len(world.spawned), listed["state"], listed["exit_code"]) == (1, "stopped", 7)
    assert world.take_notes() == ["instance.start", "service.start", "instance.stop"]


def test_the_sixth_quick_end_is_the_last(world: World) -> None:
    world.set("s", one=run("3600", "5", "5"))
    for number in range(6):
        world.advance(2)
        world.end(FIRST_PID + number, 1 << 8)
        world.advance(5)
    assert len(world.spawned) == 6
    listed = world.listing("s", "one")
    assert listed["state"] == "failed" and listed["respawn"] == {"threshold": 3600, "timeout": 5, "retry": 5}
    assert listed["failed"] == (
        "crash loop: 6 crashes, 2 seconds since the last: ended after 2 s: exit status 1"
    )
    assert any(line.startswith("error s::one: given up: crash loop: 6 crashes") for line in world.log.lines)


def test_the_notifications_of_crashes(world: World) -> None:
    world.set("s", one=run("10", "5", "1"))
    world.notes.clear()
    world.end(FIRST_PID, 9)
    world.advance(5)
    world.end(FIRST_PID + 1, 1 << 8)
    both = {"service": "s", "instance": "one"}
    crash = {**both, "command": ["/bin/d", "-x"]}
    assert world.notes == [
        ("instance.stop", both),
        ("instance.respawn", {**crash, "pid": FIRST_PID, "exit_code": 137, "respawn_count": 1}),
        ("instance.start", both),
        ("instance.stop", both),
        ("instance.fail", {**crash, "pid": FIRST_PID + 1, "exit_code": 1, "respawn_count": 2}),
    ]
    assert list(world.notes[1][1]) == ["service", "instance", "pid", "exit_code", "respawn_count", "command"]


def test_a_long_run_between_quick_ones(world: World) -> None:
    world.set("s", one=run("10", "5", "2"))
    pid = FIRST_PID
    for ran_s in (0, 0, 11, 0, 0):
        world.advance(ran_s)
        world.end(pid)
        world.advance(5)
        pid += 1
    assert world.instance("s", "one").state == "running"
    world.end(pid)
    assert world.instance("s", "one").state == "failed"


def test_retry_zero_is_for_ever(world: World) -> None:
    world.set("s", one=run("3600", "5", "0"))
    for number in range(50):
        world.end(FIRST_PID + number)
        world.advance(5)
    assert len(world.spawned) == 51


def test_timeout_zero_does_not_spin(world: World) -> None:
    world.set("s", one=run("3600", "0", "0"))
    start_s = world.clock_s
    for number in range(10):
        world.end(FIRST_PID + number)
        world.advance(1)
    assert len(world.spawned) == 11 and world.clock_s - start_s == 10


def give_up(world: World) -> int:
    world.set("s", one=run("10", "1", "2"))
    for number in range(3):
        world.end(FIRST_PID + number)
        world.advance(1)
    assert world.instance("s", "one").state == "failed"
    return FIRST_PID + 3


@pytest.mark.parametrize("how", ["set", "changed", "state"])
def test_a_wish_after_giving_up_begins_anew(world: World, how: str) -> None:
    pid = give_up(world)
    if how == "state":
        assert world.call("state", {"name": "s", "spawn": True})[0] == 0
    else:
        world.set("s", one={**run("10", "1", "2"), "nice": int(how == "changed")})
    for number in range(2):
        assert world.instance("s", "one").state == "running"
        world.end(pid + number)
        world.advance(1)
    assert world.instance("s", "one").state == "running" and "failed" not in world.listing("s", "one")


def test_a_set_does_not_wait_and_does_not_forgive(world: World) -> None:
    world.set("s", one=run("10", "5", "2"))
    world.end(FIRST_PID)
    world.set("s", one=run("10", "5", "2"))
    one = world.instance("s", "one")
    assert (one.state, one.crashes, len(world.spawned)) == ("running", 1, 2)
    world.advance(10)
    assert len(world.spawned) == 2


def test_a_changed_one_begins_anew(world: World) -> None:
    world.set("s", one=run("10", "5", "2"))
    world.end(FIRST_PID)
    world.set("s", one=run("10", "5", "3"))
    assert world.instance("s", "one").crashes == 0 and len(world.spawned) == 2


def test_a_stop_keeps_the_respawn(world: World) -> None:
    """procd forgets it until the next set."""
    world.set("s", one=run())
    world.call("state", {"name": "s", "spawn": False})
    world.end(FIRST_PID)
    world.advance(100)
    assert len(world.spawned) == 1
    world.call("state", {"name": "s", "spawn": True})
    world.end(FIRST_PID + 1)
    world.advance(5)
    assert len(world.spawned) == 3
