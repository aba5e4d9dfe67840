# SPDX-License-Identifier: MIT
"""What a second `set` does to an instance that runs: nothing, a signal, or a new process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from initd_world import FIRST_PID, World, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table

TERM, HUP = 15, 1


@pytest.fixture
def base(tmp_path: Path) -> "Table":
    """An instance that has something of everything that is compared."""
    return {
        "command": ["/bin/d", "-f"],
        "env": {"A": "1", "B": "2"},
        "file": [write(tmp_path / "conf", "one")],
        "netdev": ["lo"],
        "limits": {"core": "0", "nofile": "100"},
        "cgroup": {"memory.max": "1M"},
        "seccomp": write(tmp_path / "policy", "{}"),
        "capabilities": write(tmp_path / "caps", "{}"),
        "data": {"x": 1},
        "jail": {"name": "d", "log": True, "mount": {"/a": "0", "/b": "1"}},
    }


LEFT_ALONE: dict[str, Callable[["Table"], "Table"]] = {
    "identical": lambda base: {},
    "order of env": lambda base: {"env": {"B": "2", "A": "1"}},
    "order of limits": lambda base: {"limits": {"nofile": "100", "core": "0"}},
    "order of mounts": lambda base: {"jail": {**base["jail"], "mount": {"/b": "1", "/a": "0"}}},  # type: ignore[dict-item]
    "stdout": lambda base: {"stdout": True},
    "stderr": lambda base: {"stderr": True},
    "data": lambda base: {"data": {"x": 2}},
    "watch": lambda base: {"watch": ["network.interface"]},
    "triggers": lambda base: {"triggers": [["a", ["run_script", "/bin/x"]]]},
    "an unknown key": lambda base: {"respwan": "x"},
    "the same written otherwise": lambda base: {"jail": {**base["jail"], "log": "1"}, "nice": "0"},  # type: ignore[dict-item]
}
RESTARTED: dict[str, "Table"] = {
    "command": {"command": ["/bin/d"]},
    "order of command": {"command": ["-f", "/bin/d"]},
    "env added": {"env": {"A": "1", "B": "2", "C": "3"}},
    "env changed": {"env": {"A": "1", "B": "3"}},
    "respawn added": {"respawn": ["3600", "5", "5"]},
    "nice": {"nice": 1},
    "term_timeout": {"term_timeout": 6},
    "reload_signal": {"reload_signal": 0, "limits": {}},
    "file list": {"file": []},
    "netdev": {"netdev": ["lo", "no-such-device"]},
    "limits": {"limits": {"core": "0"}},
    "cgroup": {"cgroup": {"memory.max": "2M"}},
    "facility": {"facility": "local1"},
    "user": {"user": "root"},
    "group": {"group": "root"},
    "pidfile": {"pidfile": "/no/such/place"},
    "seccomp": {"seccomp": ""},
    "seccomp_mode": {"seccomp_mode": "enforce"},
    "capabilities": {"capabilities": ""},
    "no_new_privs": {"no_new_privs": True},
    "trace": {"trace": True},
    "bundle": {"bundle": "/b"},
    "extroot": {"extroot": "/b"},
    "overlaydir": {"overlaydir": "/b"},
    "tmpoverlaysize": {"tmpoverlaysize": "1M"},
    "watchdog": {"watchdog": ["1"]},
    "no jail": {"jail": None},
    "jail name": {"jail": {"name": "e", "log": True, "mount": {"/a": "0", "/b": "1"}}},
    "jail hostname": {"jail": {"name": "d", "hostname": "h", "log": True, "mount": {"/a": "0", "/b": "1"}}},
    "jail pidfile": {"jail": {"name": "d", "pidfile": "/p", "log": True, "mount": {"/a": "0", "/b": "1"}}},
    "jail flag": {"jail": {"name": "d", "mount": {"/a": "0", "/b": "1"}}},
    "requirejail": {"jail": {"name": "d", "log": 1, "requirejail": 1, "mount": {"/a": "0", "/b": "1"}}},
    "mount": {"jail": {"name": "d", "log": True, "mount": {"/a": "1", "/b": "1"}}},
    "setns": {
        "jail": {
            "name": "d",
            "log": True,
            "mount": {"/a": "0", "/b": "1"},
            "setns": [{"pid": 1, "namespaces": ["net"]}],
        }
    },
}


def merged(base: "Table", change: "Table") -> "Table":
    table = {**base, **change}
    return {key: value for key, value in table.items() if value is not None}


def path_of(table: "Table", key: str) -> Path:
    value = table[key]
    return Path(str(value[0] if isinstance(value, list) else value))


@pytest.mark.parametrize("change", LEFT_ALONE)
def test_left_alone(world: World, base: "Table", change: str) -> None:
    world.set("s", one=base)
    world.set("s", one=merged(base, LEFT_ALONE[change](base)))
    one = world.instance("s", "one")
    assert (one.state, world.kills, len(world.spawned)) == ("running", [], 1)


@pytest.mark.parametrize("change", RESTARTED)
def test_restarted(world: World, base: "Table", change: str) -> None:
    world.set("s", one=base)
    world.set("s", one=merged(base, RESTARTED[change]))
    assert world.instance("s", "one").state == "restarting"
    world.end(FIRST_PID)
    assert world.instance("s", "one").state == "running" and world.kills == [(FIRST_PID, TERM)]


@pytest.mark.parametrize("key", ["file", "seccomp", "capabilities"])
def test_restarted_when_a_file_has_other_contents(world: World, base: "Table", key: str) -> None:
    path = path_of(base, key)
    world.set("s", one=base)
    path.write_text(path.read_text())
    world.set("s", one=base)
    assert world.kills == []
    path.write_text("two")
    world.set("s", one=base)
    assert world.kills == [(FIRST_PID, TERM)]


@pytest.mark.parametrize("key", ["file", "seccomp", "capabilities"])
def test_restarted_when_a_file_goes(world: World, base: "Table", key: str) -> None:
    world.set("s", one=base)
    path_of(base, key).unlink()
    world.set("s", one=base)
    assert world.kills == [(FIRST_PID, TERM)]


def test_contents_are_those_of_the_start(world: World, base: "Table", tmp_path: Path) -> None:
    """What a respawn has read already is no reason to start once more."""
    definition = {**base, "respawn": []}
    world.set("s", one=definition)
    (tmp_path / "conf").write_text("two")
    world.end(FIRST_PID)
    world.advance(5)
    world.set("s", one=definition)
    assert world.instance("s", "one").state == "running" and world.kills == []


def test_a_file_that_would_block_does_not(world: World, base: "Table", tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    definition = {**base, "file": [str(tmp_path / "fifo"), str(tmp_path), "/dev/zero", "/no/such"]}
    world.set("s", one=definition)
    world.set("s", one=definition)
    assert world.instance("s", "one").state == "running" and world.kills == []


def test_a_huge_file_is_known_by_its_time(world: World, base: "Table", tmp_path: Path) -> None:
    import os

    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 1 << 40)
    definition = {**base, "file": [str(path)]}
    world.set("s", one=definition)
    world.set("s", one=definition)
    assert world.kills == []
    os.utime(path, ns=(1, 1))
    world.set("s", one=definition)
    assert world.kills == [(FIRST_PID, TERM)]


# a signal instead


@pytest.mark.parametrize(
    "change", ["command", "env added", "respawn added", "term_timeout", "file list", "netdev"]
)
def test_a_signal_instead_of_a_restart(world: World, base: "Table", change: str) -> None:
    base = {**base, "reload_signal": HUP}
    world.set("s", one=base)
    world.set("s", one=merged(base, RESTARTED[change]))
    world.set("s", one=merged(base, RESTARTED[change]))
    assert world.instance("s", "one").state == "running" and world.kills == [(FIRST_PID, HUP)]


@pytest.mark.parametrize(
    "change", ["user", "seccomp", "capabilities", "no_new_privs", "limits", "cgroup", "no jail", "mount"]
)
def test_no_signal_gives_another_confinement(world: World, base: "Table", change: str) -> None:
    base = {**base, "reload_signal": HUP}
    world.set("s", one=base)
    world.set("s", one=merged(base, RESTARTED[change]))
    assert world.instance("s", "one").state == "restarting" and world.kills == [(FIRST_PID, TERM)]


def test_no_signal_gives_another_policy_either(world: World, base: "Table", tmp_path: Path) -> None:
    base = {**base, "reload_signal": HUP}
    world.set("s", one=base)
    (tmp_path / "policy").write_text("{ }")
    world.set("s", one=base)
    assert world.kills == [(FIRST_PID, TERM)]


# faults


def test_an_error_stops_what_runs(world: World, base: "Table") -> None:
    world.set("s", one=base)
    world.set("s", one={**base, "error": ["bad config"]})
    world.end(FIRST_PID)
    assert (world.instance("s", "one").state, len(world.spawned)) == ("stopped", 1)
    assert world.listing("s", "one")["errors"] == ["bad config"]
    world.set("s", one=base)
    assert world.instance("s", "one").state == "running"


def test_what_is_not_yet_there_is_seen_at_once(world: World, base: "Table") -> None:
    from jail.errors import UsageError

    world.check_errors = [UsageError("bundle is not yet there")]
    world.set("s", one=base)
    assert world.spawned == []
    assert world.listing("s", "one")["errors"] == ["bundle is not yet there"]
    assert world.log.lines == ["error s::one: not started: bundle is not yet there"]


def test_the_same_problem_is_told_once(world: World) -> None:
    world.set("s", one={"command": ["/bin/d"], "respwan": "x", "nice": 99})
    before = list(world.log.lines)
    world.set("s", one={"command": ["/bin/d"], "respwan": "x", "nice": 99})
    assert world.log.lines == before and len(before) == 2
