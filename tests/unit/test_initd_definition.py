# SPDX-License-Identifier: MIT
"""A definition as it is read: what each key becomes, and which wrong ones are faults, warnings or tolerated."""

import pytest

from initd.definition import Definition, name_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table, Value

FULL: "Table" = {
    "command": ["/bin/d", "-f", ""],
    "env": {"B": "2", "A": "1"},
    "data": {"mdns": {"x": 1}},
    "file": ["/etc/d.conf"],
    "netdev": ["lo"],
    "limits": {"core": "0", "nofile": "100 200"},
    "cgroup": {"memory.max": "16M"},
    "nice": -5,
    "user": "root",
    "group": "0",
    "respawn": ["60", "1", "3"],
    "term_timeout": 7,
    "reload_signal": 1,
    "stdout": True,
    "stderr": False,
    "facility": "local0",
    "pidfile": "/run/d.pid",
    "seccomp": "/etc/d.json",
    "no_new_privs": True,
    "capabilities": "/etc/c.json",
    "watchdog": ["1", "10"],
    "watch": ["network.interface"],
    "error": ["no"],
    "jail": {
        "name": "d",
        "hostname": "h",
        "procfs": True,
        "ronly": 1,
        "log": "0",
        "mount": {"/a": "0", "/b": "1"},
        "setns": [{"pid": 7, "namespaces": ["net"]}],
    },
}


def read(**keys: "Value") -> Definition:
    table: Table = {"command": ["/bin/true"], **keys}
    return Definition.read("svc", "one", table)


def test_every_key_of_a_full_definition() -> None:
    got = Definition.read("svc", "one", FULL)
    assert (got.faults, got.warnings) == ([], [])
    assert got.command == ["/bin/d", "-f", ""] and list(got.env) == ["B", "A"]
    assert (got.respawn, got.watchdog) == ((60, 1, 3), (1, 10))
    assert (got.nice, got.term_timeout, got.reload_signal) == (-5, 7, 1)
    assert (got.stdout, got.stderr, got.facility) == (True, False, "local0")
    assert (got.user, got.group, got.seccomp, got.no_new_privs) == ("root", "0", "/etc/d.json", True)
    assert got.cgroup == {"memory.max": "16M"} and got.full_name == "svc::one"
    assert got.jail is not None
    assert (got.jail.name, got.jail.hostname) == ("d", "h")
    assert (got.jail.procfs, got.jail.ronly, got.jail.log, got.jail.sysfs) == (True, True, False, False)
    assert got.jail.mount == {"/a": False, "/b": True} and got.jail.setns == [(7, ["net"])]


def test_what_was_not_asked_for() -> None:
    got = read()
    assert got.faults == got.warnings == got.error == got.file == []
    assert (got.respawn, got.watchdog, got.data, got.jail) == (None, None, None, None)
    assert (got.term_timeout, got.facility, got.user, got.seccomp) == (5, "daemon", "", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], (3600, 5, 5)),
        (["10"], (10, 5, 5)),
        (["", "", "0"], (3600, 5, 0)),
        ([3600, 5, 5], (3600, 5, 5)),
        (["1", "2", "-1"], (1, 2, 0)),
        (["retry=60"], (3600, 5, 60)),
        (["retry=60", "", "threshold=1"], (1, 5, 60)),
        (["timeout="], (3600, 5, 5)),
    ],
)
def test_respawn_as_scripts_write_it(given: "list[Value]", expected: tuple[int, int, int]) -> None:
    assert read(respawn=given).respawn == expected


# a value of the wrong type that were ignored, as procd does, would be a service without protection
@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("user", 0, "user: not a string"),
        ("user", "no-such-user", 'unknown user "no-such-user"'),
        ("group", "no-such-group", 'unknown group "no-such-group"'),
        ("seccomp", ["/a"], "seccomp: not a string"),
        ("capabilities", {}, "capabilities: not a string"),
        ("no_new_privs", "yes", "no_new_privs: neither true nor false"),
        ("jail", ["x"], "jail: not a table"),
        ("jail", {"ronly": 2}, "jail ronly: neither true nor false"),
        ("jail", {"mount": ["/a"]}, "jail mount: not a table"),
        ("jail", {"mount": {"/a": "rw"}}, 'jail mount: /a is neither "0" nor "1"'),
        ("jail", {"setns": [{"pid": 0}]}, "jail setns pid: 0 is not a number from 1 to 2147483647"),
        ("extroot", True, "extroot: not a string"),
        ("limits", ["core=0"], "limits: not a table"),
        ("limits", {"cores": "0"}, 'unknown limit "cores": did you mean "core"?'),
        ("limits", {"core": "x"}, 'limit core: "x" is neither a number nor "unlimited"'),
        ("limits", {"core": ""}, 'limit core: "" is not "unlimited", "N" or "SOFT HARD"'),
        ("limits", {"nofile": "9 8"}, 'limit nofile: the soft limit of "9 8" is above the hard one'),
        ("cgroup", ["memory.max"], "cgroup: not a table"),
        ("nice", 21, "nice: 21 is not a number from -20 to 20"),
        ("nice", "x", "nice: x is not a number from -20 to 20"),
        ("respawn", ["a"], "respawn: a is not a number"),
        ("respawn", ["retry=x"], "respawn: retry=x is not a number"),
        ("respawn", ["tries=3"], "respawn: tries=3 is not a number"),
        ("respawn", ["1", "2", "3", "4"], "respawn: 4 values where there are 3 at most"),
        ("reload_signal", 99, "reload_signal: 99 is not a number from 0 to 64"),
        ("watchdog", ["3"], "watchdog: mode 3 is not 0, 1 or 2"),
        ("watchdog", ["1", "0"], "watchdog: no time to give a sign of life in"),
        ("command", [], "command: there is none"),
        ("command", ["a", 1], "command: not an array of strings"),
        ("command", "a", "command: not an array of strings"),
        ("env", {"A": ["x"]}, "env: A is not a string"),
        # what was most likely meant to protect is not left out
        ("seccmop", "/a", 'seccmop: unknown: did you mean "seccomp"?'),
        ("no_new_priv", True, 'no_new_priv: unknown: did you mean "no_new_privs"?'),
        ("jail", {"ronyl": True}, 'jail ronyl: unknown: did you mean "ronly"?'),
        # a jail that was to have nothing but /proc would have no namespaces
        ("jail", {"prcofs": True}, 'jail prcofs: unknown: did you mean "procfs"?'),
        ("jail", {"logg": True}, 'jail logg: unknown: did you mean "log"?'),
        # nor what stands in the wrong table
        ("jail", {"seccomp": "/a"}, "jail seccomp: unknown"),
        ("jail", {"no_new_privs": True}, "jail no_new_privs: unknown"),
        ("requirejail", True, "requirejail: unknown"),
        ("mount", {"/a": "0"}, "mount: unknown"),
    ],
)
def test_a_wrong_value_is_a_fault(key: str, value: "Value", fault: str) -> None:
    assert fault in read(**{key: value}).faults


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"respwan": []}, 'respwan: unknown, ignored: did you mean "respawn"?'),
        ({"jail": {"another": True}}, "jail another: unknown, ignored"),
        ({"facility": "deamon"}, 'unknown facility "deamon": did you mean "daemon"?: daemon it is'),
        ({"user": ""}, "user: empty, so none was asked for"),
        ({"seccomp": ""}, "seccomp: empty, so none was asked for"),
        ({"a\nb": 1}, "'a\\nb': unknown, ignored"),
    ],
)
def test_an_unknown_key_is_named(keys: "Table", warning: str) -> None:
    got = read(**keys)
    assert (got.faults, got.warnings) == ([], [warning])


@pytest.mark.parametrize("table", [None, 1, "x", ["/bin/true"]])
def test_an_instance_that_is_no_table(table: "Value") -> None:
    assert "not a table" in Definition.read("svc", "one", table).faults


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\nb", "x" * 256])
def test_names_that_could_leave_their_place(name: str) -> None:
    assert name_fault(name)
    assert name_fault(name) in Definition.read("svc", name, {"command": ["/bin/true"]}).faults


@pytest.mark.parametrize("name", ["a", "cfg01.x", "ä b", "-", "x" * 255])
def test_names_that_are_none_of_this(name: str) -> None:
    assert name_fault(name) == ""
