# SPDX-License-Identifier: MIT
"""The life of an instance: each state with each event, ends that were asked for and ends that were not."""

import os
import signal
from pathlib import Path

import pytest
from initd_world import FIRST_PID, FakeOutput, FakeStarted, World

from initd import instance as states
from initd.death import exit_code, words
from initd.instance import EVENTS, STATES, Instance
from initd.pidfile import remove_pid, write_pid
from jail.errors import ConfigError, SetupError

RUN = {"command": ["/bin/d"]}
RESPAWN = {**RUN, "respawn": ["10", "5", "2"]}
TERM, KILL, HUP = signal.SIGTERM, signal.SIGKILL, signal.SIGHUP


def bring(world: World, state: str) -> Instance:
    """An instance with respawn in this state; a process, if it has one, is the last that was spawned."""
    world.set("s", one=RESPAWN)
    one = world.instance("s", "one")
    if state == states.STOPPED:
        one.stop()
        world.end(FIRST_PID)
    elif state == states.STOPPING:
        one.stop()
    elif state == states.RESTARTING:
        one.stop()
        one.start()
    elif state == states.STARTING:
        one.stop()
        world.end(FIRST_PID)
        world.set("s", one={**RESPAWN, "jail": {"name": "x", "net": ["veth:eth0"]}})
    elif state == states.WAITING:
        world.end(FIRST_PID)
    elif state == states.FAILED:
        for pid in range(FIRST_PID, FIRST_PID + 3):
            world.end(pid)
            world.advance(5)
    assert one.state == state
    world.kills.clear()
    world.spawned.clear()
    return one


# state → event → next state, signals sent, processes started. What is not here changes nothing
NEXT: dict[str, dict[str, tuple[str, list[int], int]]] = {
    "stopped": {"start": ("running", [], 1)},
    "running": {
        "stop": ("stopping", [TERM], 0),
        "changed": ("restarting", [TERM], 0),
        "exited": ("waiting", [], 0),
        "expired": ("restarting", [TERM], 0),
    },
    "stopping": {
        "start": ("restarting", [], 0),
        "exited": ("stopped", [], 0),
        "due": ("stopping", [KILL], 0),
    },
    "restarting": {
        "stop": ("stopping", [], 0),
        "exited": ("running", [], 1),
        "due": ("restarting", [KILL], 0),
    },
    "waiting": {
        "start": ("running", [], 1),
        "stop": ("stopped", [], 0),
        "due": ("running", [], 1),
    },
    "failed": {"start": ("running", [], 1), "stop": ("stopped", [], 0)},
    "starting": {"stop": ("stopped", [], 0)},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_state_with_every_event(world: World, state: str, event: str) -> None:
    one = bring(world, state)
    if event == "exited":
        if not world.children.watched:
            return  # nothing is there that could end
        world.end(next(iter(world.children.watched)))
    elif event == "due" and state in ("stopping", "restarting", "waiting"):
        world.advance(5)
    elif event == "changed" and state == "running":
        world.set("s", one={**RESPAWN, "nice": 1})
    else:
        one.event(event)
    after, signals, started = NEXT[state].get(event, (state, [], 0))
    assert one.state == after
    assert not NEXT[state].get(event) or f"s::one: {state}, {event}: {after}" in world.log.states
    assert [number for _, number in world.kills] == signals
    assert len(world.spawned) == started
    assert (one.process is not None) == (after in ("running", "stopping", "restarting"))


def test_a_stop_is_term_and_then_kill(world: World) -> None:
    world.set("s", one={**RUN, "term_timeout": 3})
    world.instance("s", "one").stop()
    assert world.kills == [(FIRST_PID, TERM)]
    world.advance(2.9)
    assert len(world.kills) == 1
    world.advance(0.2)
    assert world.kills == [(FIRST_PID, TERM), (FIRST_PID, KILL)]
    assert "warning s::one: still there 3 s after TERM: killed" in world.log.lines
    world.end(FIRST_PID, KILL)
    world.advance(100)
    assert len(world.kills) == 2 and world.listing("s", "one")["exit_code"] == 128 + 9


def test_a_stop_that_is_obeyed_kills_nobody_later(world: World) -> None:
    world.set("s", one=RUN)
    world.instance("s", "one").stop()
    world.end(FIRST_PID, 0)
    world.instance("s", "one").start()
    world.advance(100)
    assert world.kills == [(FIRST_PID, TERM)]


def test_a_new_definition_while_restarting_is_the_one_that_starts(world: World) -> None:
    world.set("s", one={**RUN, "nice": 1})
    world.set("s", one={**RUN, "nice": 2})
    world.set("s", one={**RUN, "nice": 3})
    assert world.kills == [(FIRST_PID, TERM)]
    world.end(FIRST_PID)
    assert [definition.nice for definition in world.spawned] == [1, 3]


def test_a_fault_while_restarting_keeps_it_down(world: World) -> None:
    world.set("s", one=RUN)
    world.set("s", one={**RUN, "nice": 1})
    world.set("s", one={**RUN, "nice": 99})
    world.end(FIRST_PID)
    assert world.instance("s", "one").state == "stopped" and len(world.spawned) == 1
    assert world.listing("s", "one")["errors"] == ["nice: 99 is not a number from -20 to 20"]
    world.set("s", one=RUN)
    assert world.instance("s", "one").state == "running"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError("/bin/d: no such program"), 125, "/bin/d: no such program"),
        (SetupError("exec /bin/d", OSError(2, "No such file"), 127), 127, "exec /bin/d: No such file"),
        (OSError(11, "Resource temporarily unavailable"), 125, "Resource temporarily unavailable"),
        (OSError(28, "No space left on device"), 125, "No space left on device"),
    ],
)
def test_a_spawn_that_fails(world: World, error: Exception, code: int, text: str) -> None:
    world.spawn_errors = [error]
    world.set("s", one=RUN)
    one = world.listing("s", "one")
    assert (one["running"], one["exit_code"], one["state"]) == (False, code, "failed")
    assert one["failed"] == f"cannot start: {text}"
    assert world.log.lines == [f"error s::one: cannot start: {text}"]
    world.set("s", one=RUN)
    assert world.instance("s", "one").state == "running" and "failed" not in world.listing("s", "one")


def test_a_process_that_cannot_be_kept_is_killed(world: World) -> None:
    """Else it would run with nobody to know, and the next start would be a second one."""

    def refuse(*words: object) -> FakeOutput:
        raise RuntimeError("no")

    def start(pid: int) -> FakeStarted:
        started = FakeStarted(pid, pid)
        started.stdout_fd = 77
        return started

    world.started_as, world.host.output = start, refuse
    world.set("s", one=RUN)
    assert world.instance("s", "one").state == "failed" and len(world.spawned) == 1
    assert world.kills == [(FIRST_PID, KILL)] and world.group_kills == 1
    assert [str(error) for error in world.faults] == ["no"]
    world.faults.clear()
    world.end(FIRST_PID, KILL)  # reaped, and not taken for the end of another
    assert world.instance("s", "one").state == "failed" and not world.faults


def test_a_spawn_that_fails_counts_as_a_quick_crash(world: World) -> None:
    world.spawn_errors = [OSError(11, "again") for _ in range(3)]
    world.set("s", one=RESPAWN)
    assert world.instance("s", "one").state == "waiting"
    assert world.listing("s", "one")["failed"] == "cannot start: again"
    world.advance(10)
    assert world.instance("s", "one").state == "failed"
    assert world.listing("s", "one")["failed"] == (
        "crash loop: 3 crashes, 0 seconds since the last: cannot start: again"
    )
    assert [name for name, _ in world.notes if name.startswith("instance.")] == [
        "instance.respawn", "instance.respawn", "instance.fail",
    ]  # fmt: skip


def test_a_fault_of_ours_in_a_spawn_leaves_a_state(world: World) -> None:
    world.spawn_errors = [ZeroDivisionError("ours")]
    world.set("s", one=RUN)
    assert [type(fault) for fault in world.faults] == [ZeroDivisionError]
    world.faults.clear()
    assert world.listing("s", "one")["failed"] == "cannot start: ours"


def test_a_kernel_that_refuses_a_signal(world: World) -> None:
    world.set("s", one=RUN)
    world.kill_error = PermissionError(1, "Operation not permitted")
    world.instance("s", "one").stop()
    assert world.instance("s", "one").state == "stopping"
    assert "warning s::one: signal 15: Operation not permitted" in world.log.lines
    world.end(FIRST_PID)
    assert world.instance("s", "one").state == "stopped"


def test_the_pidfile_is_there_as_long_as_the_process(world: World, tmp_path: Path) -> None:
    path = tmp_path / "d.pid"
    definition = {**RESPAWN, "pidfile": str(path)}
    world.set("s", one=definition)
    assert path.read_text() == f"{FIRST_PID}\n" and os.listdir(tmp_path) == ["d.pid"]
    world.end(FIRST_PID, KILL)
    assert not path.exists()
    world.advance(5)
    assert path.read_text() == f"{FIRST_PID + 1}\n"
    world.instance("s", "one").stop()
    assert path.exists()
    world.end(FIRST_PID + 1)
    assert not path.exists()


def test_a_pidfile_that_cannot_be_written_stops_nothing(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "no" / "d.pid")
    world.set("s", one={**RUN, "pidfile": path})
    assert world.instance("s", "one").state == "running"
    assert world.log.lines == [f"warning s::one: pidfile {path}: No such file or directory"]


def test_a_jails_pidfile_goes_only_if_it_was_written(world: World, tmp_path: Path) -> None:
    """It may be another service's, whose directory this one was not let into."""
    path = tmp_path / "pid"
    path.write_text("7\n")
    jail = {"name": "x", "pidfile": str(path)}
    world.set("s", one={**RUN, "jail": jail})
    world.end(FIRST_PID)
    assert path.read_text() == "7\n"

    def start(pid: int) -> FakeStarted:
        started = FakeStarted(pid, pid)
        started.pidfile = str(path)
        return started

    world.started_as = start
    world.set("s", one={**RUN, "jail": jail})
    world.end(FIRST_PID + 1)
    assert not path.exists()


def test_want_of_memory_is_said_and_listed(world: World) -> None:
    world.set("s", one={**RUN, "cgroup": {"memory.max": "8M"}})
    assert "out_of_memory" not in world.listing("s", "one")
    world.oom = "out of memory: the kernel killed 1 of its processes, memory.max is 8388608"
    assert world.listing("s", "one")["out_of_memory"] == world.oom
    world.end(FIRST_PID, 9)
    assert f"error s::one: {world.oom}" in world.log.lines
    world.oom = ""
    assert str(world.listing("s", "one")["out_of_memory"]).startswith("out of memory")


def test_a_pidfile_follows_no_link(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "d.pid"
    victim.write_text("mine")
    path.symlink_to(victim)
    (tmp_path / ".d.pid.7").symlink_to(victim)  # where it passes by
    write_pid(str(path), 7)
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("mine", "7\n", False)
    remove_pid(str(path))
    remove_pid(str(path))
    assert os.listdir(tmp_path) == ["victim"]


def test_a_pidfile_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pid("d.pid", 7)
    assert os.listdir(tmp_path) == ["d.pid"]


def test_the_ends_of_pipes_are_drained_at_the_end(world: World) -> None:
    def started(pid: int) -> FakeStarted:
        made = FakeStarted(pid, pid + 500)
        made.stdout_fd, made.stderr_fd = 77, 78
        made.warnings = ["/etc/x: no such file, skipped"]
        return made

    world.started_as = started
    world.set("s", one={**RUN, "stdout": True})
    listed = world.listing("s", "one")
    assert (listed["pid"], listed["service_pid"]) == (FIRST_PID, FIRST_PID + 500)
    assert listed["warnings"] == ["/etc/x: no such file, skipped"]
    assert world.log.lines == ["warning s::one: /etc/x: no such file, skipped"]
    assert world.closed_outputs == []
    world.end(FIRST_PID)
    # it may be what it ended of
    assert world.listing("s", "one")["warnings"] == ["/etc/x: no such file, skipped"]
    assert world.closed_outputs == [77, 78]


def test_words_that_cannot_be_read_stop_nothing(world: World) -> None:
    def started(pid: int) -> FakeStarted:
        made = FakeStarted(pid, pid)
        made.stdout_fd = os.open("/dev/null", os.O_RDONLY)
        return made

    def refuse(*arguments: object) -> FakeOutput:
        raise OSError(28, "No space left on device")

    world.started_as, world.host.output = started, refuse
    before = len(os.listdir("/proc/self/fd"))
    world.set("s", one={**RUN, "stdout": True})
    assert world.instance("s", "one").state == "running"
    assert len(os.listdir("/proc/self/fd")) == before
    assert world.log.lines == ["warning s::one: output: No space left on device"]


def test_a_death_by_the_policy_is_explained(world: World) -> None:
    world.set("s", one={**RUN, "seccomp": "/etc/p.json"})
    world.end(FIRST_PID, (128 + signal.SIGSYS) << 8)  # as a stub passes it on
    world.advance(1)
    said = f"error s::one: d[{FIRST_PID}] was killed for a system call that /etc/p.json does not allow; "
    assert any(line.startswith(said) for line in world.log.lines)


def test_another_death_is_not(world: World) -> None:
    world.set("s", one={**RUN, "seccomp": "/etc/p.json"})
    world.end(FIRST_PID, signal.SIGSEGV)
    world.advance(1)
    assert world.log.lines == ["info s::one: ended after 0 s: signal 11 (SIGSEGV)"]


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (0, 0, "exit status 0"),
        (3 << 8, 3, "exit status 3"),
        (9, 137, "signal 9 (SIGKILL)"),
        (143 << 8, 143, "signal 15 (SIGTERM)"),
        (200 << 8, 200, "exit status 200"),
        (255 << 8, 255, "exit status 255"),
        (9 | 0x80, 137, "signal 9 (SIGKILL)"),  # with a core
        (40, 168, "signal 40"),
    ],
)
def test_how_it_ended(status: int, code: int, text: str) -> None:
    assert exit_code(status) == code and words(code) == text


def test_the_group_has_to_be_gone_first(world: World) -> None:
    one = bring(world, "restarting")
    world.is_group_gone = False
    world.advance(5)
    assert (world.kills, world.group_kills) == ([(FIRST_PID, KILL)], 1)
    world.end(FIRST_PID, KILL)
    world.advance(1)
    assert one.state == "restarting" and world.spawned == []
    assert "pid" not in world.listing("s", "one") and not world.listing("s", "one")["running"]
    with pytest.raises(ProcessLookupError):  # the pid may be somebody else's by now
        one.send_signal(HUP)
    one.stop()
    one.start()
    assert world.kills == [(FIRST_PID, KILL)]
    world.is_group_gone = True
    world.advance(1)
    assert one.state == "running" and len(world.spawned) == 1


@pytest.mark.parametrize("changed", [{}, {"nice": 1}, {"env": {"NEW": "1"}}])
@pytest.mark.parametrize("first", [RUN, RESPAWN, {**RUN, "reload_signal": HUP}])
def test_start_that_comes_before_the_group_is_gone_is_not_lost(
    world: World, first: dict[str, object], changed: dict[str, object]
) -> None:
    world.set("s", one=first)
    world.is_group_gone = False
    world.end(FIRST_PID)
    world.set("s", one={**first, **changed})
    one = world.instance("s", "one")
    assert (one.state, len(world.spawned), world.kills) == ("restarting", 1, [])
    one.stop()
    one.start()
    world.is_group_gone = True
    world.advance(1)
    assert (one.state, len(world.spawned)) == ("running", 2)
    assert world.spawned[1].given == {**first, **changed}


def test_process_that_is_over_stays_so_when_nothing_asks_for_another(world: World) -> None:
    world.set("s", one=RUN)
    world.is_group_gone = False
    world.end(FIRST_PID)
    world.instance("s", "one").stop()
    world.is_group_gone = True
    world.advance(20)
    assert (world.instance("s", "one").state, len(world.spawned)) == ("stopped", 1)


def test_a_group_that_does_not_end_is_not_waited_for_for_ever(world: World) -> None:
    one = bring(world, "stopping")
    world.is_group_gone = False
    world.end(FIRST_PID)
    world.advance(11)
    assert one.state == "stopped"
    assert "error s::one: there are processes in its cgroup that do not end" in world.log.lines


# the watchdog


def watched(world: World, **more: object) -> Instance:
    world.set("s", one={**RUN, "watchdog": ["1", "10"], **more})
    return world.instance("s", "one")


def test_a_sign_of_life_in_time(world: World) -> None:
    one = watched(world)
    for _ in range(5):
        world.advance(9)
        status, answer = world.call("watchdog", {"name": "s", "instance": "one"})
        assert (status, answer) == (0, {"name": "s", "instance": "one", "mode": 1, "timeout": 10})
    assert one.state == "running" and not one.watchdog.is_own
    world.advance(10)
    assert one.state == "stopping"


def test_no_sign_of_life_with_respawn(world: World) -> None:
    one = watched(world, respawn=[])
    world.advance(10)
    assert one.state == "restarting" and world.kills == [(FIRST_PID, TERM)]
    world.end(FIRST_PID, TERM)
    assert one.state == "running"
    world.advance(9)
    assert len(world.kills) == 1


def test_no_sign_of_life_without_respawn_keeps_the_definition(world: World) -> None:
    one = watched(world)
    world.advance(10)
    world.end(FIRST_PID, TERM)
    assert one.state == "failed"
    assert world.listing("s", "one")["failed"] == "watchdog: no sign of life for 10 seconds"
    world.set("s", one={**RUN, "watchdog": ["1", "10"]})
    assert one.state == "running" and one.failed == ""


def test_what_the_service_sets_itself_stays(world: World) -> None:
    one = watched(world)
    world.call("watchdog", {"name": "s", "instance": "one", "mode": 2, "timeout": 100})
    assert one.watchdog.is_own
    watched(world)
    watched(world, watchdog=["1", "20"])
    assert (one.state, one.watchdog.mode, one.watchdog.timeout_s) == ("running", 2, 100)
    world.advance(99)
    assert world.kills == []
    world.call("watchdog", {"name": "s", "instance": "one", "mode": 0})
    world.advance(1000)
    assert one.state == "running" and "watchdog" not in world.listing("s", "one")


def test_a_watchdog_changed_by_its_script_restarts(world: World) -> None:
    one = watched(world)
    watched(world, watchdog=["1", "20"])
    assert one.state == "restarting"


def test_a_sign_of_life_before_the_start_arms_nothing(world: World) -> None:
    one = bring(world, "waiting")
    one.take_watchdog(1, 1)
    world.advance(2)
    assert one.state == "waiting" and world.kills == []
