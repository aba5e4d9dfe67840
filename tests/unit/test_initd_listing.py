# SPDX-License-Identifier: MIT
"""`service list`: each field, in procd's order, and what is ours after it."""

from initd_world import FIRST_PID, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table

FULL: "Table" = {
    "command": ["/bin/d", "-f"],
    "env": {"A": "1"},
    "data": {"x": {"y": 1}},
    "file": ["/etc/d.conf"],
    "limits": {"core": "0"},
    "netdev": ["lo"],
    "nice": 3,
    "reload_signal": 1,
    "respawn": ["60", "1", "3"],
    "stdout": True,
    "facility": "local0",
    "trace": True,
    "no_new_privs": True,
    "seccomp": "/etc/d.json",
    "seccomp_mode": "trace",
    "capabilities": "/etc/c.json",
    "pidfile": "/no/such/place",
    "user": "root",
    "group": "root",
    "jail": {
        "name": "d",
        "hostname": "h",
        "log": True,
        "requirejail": True,
        "mount": {"/a": "0", "/b": True},
        "setns": [{"pid": 7, "namespaces": ["net", "ipc"]}],
    },
    "extroot": "/x",
    "overlaydir": "/o",
    "tmpoverlaysize": "1M",
    "triggers": [["a", ["run_script", "/bin/x"]]],
    "watch": ["network.interface"],
    "watchdog": ["1", "10"],
    "cgroup": {"memory.max": "16M"},
    "vrf": "red",
    "respwan": "x",
}
JAIL = {
    "name": "d",
    "hostname": "h",
    "procfs": False,
    "sysfs": False,
    "ubus": False,
    "log": True,
    "ronly": False,
    "netns": False,
    "userns": False,
    "cgroupsns": False,
    "console": False,
}
EXPECTED = {
    "running": True,
    "pid": FIRST_PID,
    "command": ["/bin/d", "-f"],
    "term_timeout": 5,
    "env": {"A": "1"},
    "data": {"x": {"y": 1}},
    "limits": {"core": "0"},
    "netdev": ["lo"],
    "reload_signal": 1,
    "respawn": {"threshold": 60, "timeout": 1, "retry": 3},
    "trace": True,
    "no_new_privs": True,
    "seccomp": "/etc/d.json",
    "capabilities": "/etc/c.json",
    "pidfile": "/no/such/place",
    "user": "root",
    "group": "root",
    "jail": JAIL,
    "mount": {"/a": "0", "/b": "1"},
    "setns": [{"pid": 7, "namespaces": ["net", "ipc"]}],
    "extroot": "/x",
    "overlaydir": "/o",
    "tmpoverlaysize": "1M",
    "triggers": [["a", ["run_script", "/bin/x"]]],
    "watchdog": {"mode": 1, "timeout": 10},
    "state": "running",
    "cgroup": {"memory.max": "16M"},
    "vrf": "red",
    "seccomp_mode": "trace",
    "warnings": ['respwan: unknown, ignored: did you mean "respawn"?'],
}


def test_all_fields_in_their_order(world: World) -> None:
    world.set("s", one=FULL)
    listed = world.listing("s", "one", verbose=True)
    assert listed == EXPECTED and list(listed) == list(EXPECTED)
    assert list(listed["jail"]) == list(JAIL)  # type: ignore[call-overload]


def test_triggers_only_if_asked_for(world: World) -> None:
    world.set("s", one=FULL)
    del (expected := dict(EXPECTED))["triggers"]
    assert world.listing("s", "one") == expected


def test_the_least(world: World) -> None:
    world.set("s", one={"command": ["/bin/d"]})
    expected = {
        "running": True,
        "pid": FIRST_PID,
        "command": ["/bin/d"],
        "term_timeout": 5,
        "state": "running",
    }
    assert world.listing("s", "one") == expected


def test_what_has_ended(world: World) -> None:
    world.set("s", one={"command": ["/bin/d"], "respawn": ["60", "1", "3"]})
    world.end(FIRST_PID, 15)
    assert world.listing("s", "one") == {
        "running": False,
        "command": ["/bin/d"],
        "term_timeout": 5,
        "exit_code": 143,
        "respawn": {"threshold": 60, "timeout": 1, "retry": 3},
        "state": "waiting",
        "last_exit": "signal 15 (SIGTERM)",
        "crashes": 1,
    }


def test_what_is_wrong_is_shown(world: World) -> None:
    """procd hides such an instance."""
    world.set("s", one={"command": "x", "error": ["first"], "nice": 99})
    listed = world.listing("s", "one")
    assert list(listed)[:5] == ["running", "command", "term_timeout", "exit_code", "errors"]
    assert listed["errors"] == [
        "first",
        "command: not an array of strings",
        "nice: 99 is not a number from -20 to 20",
        "command: there is none",
    ]


def test_a_bundle(world: World) -> None:
    world.set("s", one={"bundle": "/b", "jail": {"name": "n", "pidfile": "/p", "immediately": True}})
    listed = world.listing("s", "one")
    assert list(listed)[:4] == ["running", "pid", "command", "bundle"]
    assert listed["jail"] == {"name": "n", "pidfile": "/p", "immediately": True, "console": False}


def test_a_service(world: World) -> None:
    world.call("set", {"name": "empty"})
    world.call(
        "set",
        {
            "name": "s",
            "script": "/etc/init.d/s",
            "autostart": False,
            "data": {"d": 1},
            "instances": {"one": {"command": ["/bin/d"]}},
            "triggers": [["a", ["run_script", "/bin/x"]]],
            "validate": [{"package": "p", "type": "t", "rules": {"o": "bool"}}],
        },
    )
    assert world.call("list", {"name": "empty"}) == (0, {"empty": {}})
    assert world.call("list", {"name": "none"}) == (0, {})
    everything = world.call("list", {})[1]
    assert list(everything) == ["empty", "s"]
    listed = everything["s"]
    assert isinstance(listed, dict)
    assert list(listed) == ["autostart", "data", "instances"] and listed["autostart"] is False
    verbose = world.call("list", {"name": "s", "verbose": True})[1]["s"]
    assert isinstance(verbose, dict)
    assert list(verbose) == ["autostart", "data", "instances", "triggers", "validate"]
    assert verbose["validate"] == [{"package": "p", "type": "t", "rules": {"o": "bool"}}]
