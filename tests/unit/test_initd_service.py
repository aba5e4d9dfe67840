# SPDX-License-Identifier: MIT
"""The object `service`: every method with what it does, its statuses for wrong arguments, its notifications."""

import pytest
from initd_world import FIRST_PID, World, call

from initd import objects
from initd.consoletable import ConsoleTable
from initd.objects import ServiceMethods
from initd.ubus import wire
from initd.ubus.blob import ARRAY, INT8, INT32, STRING, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table

D: "Table" = {"command": ["/bin/d"]}
E: "Table" = {"command": ["/bin/e"]}
INVALID, NOT_FOUND = wire.INVALID_ARGUMENT, wire.NOT_FOUND


def names(world: World, service: str = "s") -> list[str]:
    return list(world.services.table[service].instances)


def test_the_signatures() -> None:
    """As `ubus -v list` prints those of procd."""
    setting = {
        "name": STRING, "script": STRING, "instances": TABLE, "triggers": ARRAY, "validate": ARRAY,
        "autostart": INT8, "data": TABLE,
    }  # fmt: skip
    world = World()
    assert {name: method.arguments for name, method in world.object.methods.items()} == {
        "set": setting,
        "add": setting,
        "list": {"name": STRING, "verbose": INT8},
        "delete": {"name": STRING, "instance": STRING},
        "signal": {"name": STRING, "instance": STRING, "signal": INT32},
        "update_start": {"name": STRING},
        "update_complete": {"name": STRING},
        "event": {"type": STRING, "data": TABLE},
        "validate": {"package": STRING, "type": STRING, "service": STRING},
        "get_data": {"name": STRING, "instance": STRING, "type": STRING},
        "set_data": {"name": STRING, "instance": STRING, "data": TABLE},
        "state": {"spawn": INT8, "name": STRING},
        "watchdog": {"mode": INT32, "timeout": INT32, "name": STRING, "instance": STRING},
    }
    world.close()


@pytest.mark.parametrize(
    ("method", "data", "status"),
    [
        ("set", {}, INVALID),
        ("set", {"name": 1}, INVALID),
        ("set", {"name": ""}, INVALID),
        ("set", {"name": "../x"}, INVALID),
        ("set", {"name": "s", "instances": []}, INVALID),
        ("add", {}, INVALID),
        ("list", {"name": 1}, INVALID),
        ("delete", {}, INVALID),
        ("delete", {"name": "x"}, NOT_FOUND),
        ("delete", {"name": "s", "instance": "x"}, NOT_FOUND),
        ("signal", {}, INVALID),
        ("signal", {"name": "x"}, NOT_FOUND),
        ("signal", {"name": "s", "instance": "x"}, NOT_FOUND),
        ("signal", {"name": "s", "instance": "down"}, NOT_FOUND),
        ("signal", {"name": "s", "instance": "one", "signal": 0}, INVALID),
        ("signal", {"name": "s", "instance": "one", "signal": 65}, INVALID),
        ("signal", {"name": "s", "instance": "one", "signal": "1"}, INVALID),
        ("update_start", {}, INVALID),
        ("update_start", {"name": "x"}, NOT_FOUND),
        ("update_complete", {"name": "x"}, NOT_FOUND),
        ("event", {"type": "x"}, INVALID),
        ("event", {"data": {}}, INVALID),
        ("set_data", {"name": "x", "data": {}}, NOT_FOUND),
        ("set_data", {"name": "s"}, INVALID),
        ("set_data", {"name": "s", "instance": "x", "data": {}}, NOT_FOUND),
        ("state", {"name": "s"}, INVALID),
        ("state", {"spawn": True}, INVALID),
        ("state", {"spawn": True, "name": "x"}, NOT_FOUND),
        ("watchdog", {"name": "s"}, INVALID),
        ("watchdog", {"name": "x", "instance": "one"}, NOT_FOUND),
        ("watchdog", {"name": "s", "instance": "x"}, NOT_FOUND),
        ("watchdog", {"name": "s", "instance": "one", "mode": 3}, INVALID),
        ("watchdog", {"name": "s", "instance": "one", "timeout": 0}, INVALID),
        ("no_such_method", {}, wire.METHOD_NOT_FOUND),
    ],
)
def test_wrong_arguments(world: World, method: str, data: dict[str, object], status: int) -> None:
    world.set("s", one=D, down={**D, "error": ["x"]})
    world.notes.clear()
    assert world.call(method, data) == (status, {})
    assert names(world) == ["one", "down"] and list(world.services.table) == ["s"]
    assert (world.kills, world.notes, len(world.spawned)) == ([], [], 1)


# set, add, delete


def test_set_replaces_and_add_merges(world: World) -> None:
    world.set("s", one=D, two=D)
    world.call("add", {"name": "s", "instances": {"three": D}})
    assert names(world) == ["one", "two", "three"]
    world.set("s", two=D, four=D)
    assert world.kills == [(FIRST_PID, 15), (FIRST_PID + 2, 15)]
    assert names(world) == ["one", "two", "three", "four"]  # what ends is there until it has
    world.end(FIRST_PID)
    world.end(FIRST_PID + 2)
    assert names(world) == ["two", "four"] and world.forgotten == ["s::one", "s::three"]


def test_keys_that_are_not_given_stay(world: World) -> None:
    given: Table = {"name": "s", "data": {"a": 1}, "validate": [{}], "triggers": [["e", ["run_script", "x"]]]}
    world.call("set", {**given, "autostart": False, "instances": {"one": D}})
    before = world.services.listing("s", True)
    world.call("set", {"name": "s"})
    assert world.services.listing("s", True) == before and world.kills == []


def test_delete_stays_until_the_last_process_is_gone(world: World) -> None:
    world.set("s", one=D, two=D)
    world.take_notes()
    assert world.call("delete", {"name": "s"}) == (0, {})
    world.end(FIRST_PID)
    assert names(world) == ["two"]
    world.end(FIRST_PID + 1)
    assert world.services.table == {}
    assert world.take_notes() == ["instance.stop", "instance.stop", "service.stop"]
    assert world.call("list", {}) == (0, {})


def test_delete_of_one_instance_keeps_the_service(world: World) -> None:
    world.set("s", one=D)
    assert world.call("delete", {"name": "s", "instance": "one"}) == (0, {})
    world.end(FIRST_PID)
    assert world.call("list", {}) == (0, {"s": {}})


def test_delete_of_what_has_no_process_is_at_once(world: World) -> None:
    world.set("s", one={**D, "respawn": []}, two={**D, "nice": 99})
    world.end(FIRST_PID)
    world.call("delete", {"name": "s"})
    assert world.services.table == {}
    world.advance(100)
    assert len(world.spawned) == 1


def test_a_set_while_it_ends_brings_it_back(world: World) -> None:
    world.set("s", one=D, two=D)
    world.call("delete", {"name": "s"})
    world.set("s", one=D)
    assert world.instance("s", "one").state == "restarting"
    world.end(FIRST_PID)
    world.end(FIRST_PID + 1)
    assert names(world) == ["one"] and world.instance("s", "one").state == "running"
    assert not world.services.table["s"].is_deleted


def test_an_instance_that_comes_back_while_it_ends(world: World) -> None:
    world.set("s", one=D)
    world.set("s")
    world.set("s", one=E)
    world.end(FIRST_PID)
    assert [definition.command for definition in world.spawned] == [["/bin/d"], ["/bin/e"]]


def test_state_does_not_bring_back_what_is_to_go(world: World) -> None:
    world.set("s", one=D)
    world.call("delete", {"name": "s"})
    world.call("state", {"name": "s", "spawn": True})
    world.end(FIRST_PID)
    assert world.services.table == {}


def test_autostart_off(world: World) -> None:
    world.call("set", {"name": "s", "autostart": False, "instances": {"one": D}})
    assert world.spawned == []
    world.call("state", {"name": "s", "spawn": True})
    assert world.instance("s", "one").state == "running"
    world.set("s", one=E)  # what runs is still kept up to date
    world.end(FIRST_PID)
    assert world.instance("s", "one").state == "running"
    world.call("state", {"name": "s", "spawn": False})
    world.end(FIRST_PID + 1)
    world.set("s", one=E)
    assert world.instance("s", "one").state == "stopped"


def test_state_stops_and_keeps_the_definition(world: World) -> None:
    world.set("s", one=D, bad={**D, "error": ["x"]})
    assert world.call("state", {"name": "s", "spawn": False}) == (0, {})
    world.end(FIRST_PID)
    assert names(world) == ["one", "bad"] and world.listing("s", "one")["running"] is False
    assert world.call("state", {"name": "s", "spawn": True}) == (0, {})
    assert world.listing("s", "one")["running"] is True and len(world.spawned) == 2


# batches


def test_a_batch_ends_what_it_does_not_name(world: World) -> None:
    world.set("s", one=D, two=D, three=D)
    assert world.call("update_start", {"name": "s"}) == (0, {})
    world.call("add", {"name": "s", "instances": {"one": D}})
    world.call("add", {"name": "s", "instances": {"four": D}})
    assert world.kills == []
    assert world.call("update_complete", {"name": "s"}) == (0, {})
    assert world.kills == [(FIRST_PID + 1, 15), (FIRST_PID + 2, 15)]


def test_the_end_of_no_batch(world: World) -> None:
    world.set("s", one=D)
    assert world.call("update_complete", {"name": "s"}) == (0, {})
    assert world.kills == []


# signal


def test_signals(world: World) -> None:
    world.set("s", one=D, two=D)
    assert world.call("signal", {"name": "s"}) == (0, {})
    assert world.call("signal", {"name": "s", "instance": "two", "signal": 10}) == (0, {})
    assert world.kills == [(FIRST_PID, 1), (FIRST_PID + 1, 1), (FIRST_PID + 1, 10)]


def test_of_several_signals_the_last_status_counts(world: World) -> None:
    world.set("s", down={**D, "error": ["x"]}, one=D)
    assert world.call("signal", {"name": "s"})[0] == 0
    world.set("t", one=D, down={**D, "error": ["x"]})
    assert world.call("signal", {"name": "t"})[0] == NOT_FOUND
    world.kill_error = PermissionError(1, "no")
    assert world.call("signal", {"name": "s"})[0] == wire.SYSTEM_ERROR


# notifications and hooks


def test_the_order_of_notifications(world: World) -> None:
    world.set("s", one=D, two=D)
    assert world.notes == [
        ("instance.start", {"service": "s", "instance": "one"}),
        ("instance.start", {"service": "s", "instance": "two"}),
        ("service.start", {"service": "s"}),
    ]
    assert set(world.hooks) == {"s"}
    world.take_notes()
    world.set("s", one=E, two=D)
    world.end(FIRST_PID)
    assert world.take_notes() == ["instance.stop", "instance.start"]


def test_the_hook_after_a_start_again(world: World) -> None:
    world.set("s", one={**D, "respawn": []})
    world.hooks.clear()
    world.call("set", {"name": "s", "data": {}})
    assert world.hooks == []
    world.set("s", one={**D, "respawn": []})
    assert world.hooks == ["s"]
    world.hooks.clear()
    world.end(FIRST_PID)
    assert world.hooks == []
    world.advance(5)
    assert world.hooks == ["s"]


# events, triggers, data

RELOAD = ["if", ["eq", "package", "p"], ["run_script", "/etc/init.d/s", "reload"]]
PACKAGE_TRIGGER = [["config.change", RELOAD, 1000]]


def test_an_event_runs_triggers_and_tells_subscribers(world: World) -> None:
    world.call("set", {"name": "s", "triggers": PACKAGE_TRIGGER})
    world.set("t", one={"command": ["/bin/d"], "triggers": [["other", ["run_script", "/bin/x", "%a%"]]]})
    world.take_notes()
    world.call("event", {"type": "config.change", "data": {"package": "q"}})
    assert world.commands == []
    world.notes.clear()
    assert world.call("event", {"type": "config.change", "data": {"package": "p"}}) == (0, {})
    assert world.commands == [(["/etc/init.d/s", "reload"], 1000)]
    assert world.notes == [
        ("event.trigger", {"type": "config.change", "data": {"package": "p"}}),
        ("config.change", {"config": "p"}),
    ]
    world.call("event", {"type": "other", "data": {"a": "b"}})
    assert world.commands[1:] == [(["/bin/x", "b"], 0)]
    assert world.notes[2:] == [("event.trigger", {"type": "other", "data": {"a": "b"}})]


def test_a_bad_trigger_is_named_and_the_others_work(world: World) -> None:
    world.call("set", {"name": "s", "triggers": [["e"], ["e", ["run_script", "/bin/x"]]]})
    assert [line for line in world.log.lines if line.startswith("warning s: trigger 0: ")]
    world.call("event", {"type": "e", "data": {}})
    assert world.commands == [(["/bin/x"], 0)]


def data_trigger(event: str) -> "Table":
    return {"name": "watcher", "triggers": [[event, ["run_script", "/bin/x", "%name%"]]]}


def test_changed_data_is_an_event(world: World) -> None:
    world.call("set", data_trigger("service.data.update"))

    def commands() -> int:
        count = len(world.commands)
        assert all(command == (["/bin/x", "s"], 0) for command in world.commands)
        world.commands.clear()
        return count

    world.set("s", one=D)
    assert commands() == 0
    world.set("s", one={**D, "data": {"firewall": [1]}})
    assert commands() == 1
    world.set("s", one={**D, "data": {"firewall": [1]}})
    assert commands() == 0
    world.call("set_data", {"name": "s", "data": {"a": 1}})
    assert commands() == 1
    world.call("set_data", {"name": "s", "instance": "one", "data": {"firewall": [2]}})
    assert commands() == 1
    world.call("delete", {"name": "s"})
    world.end(FIRST_PID)
    assert commands() == 2
    assert world.call("list", {"name": "s"}) == (0, {})


def test_a_changed_instance_is_an_event(world: World) -> None:
    world.call("set", data_trigger("instance.update"))
    world.set("s", one=D)
    world.set("s", one=D)
    assert len(world.commands) == 1
    world.set("s", one=E)
    assert len(world.commands) == 2


def test_get_data(world: World) -> None:
    world.call("set", {"name": "s", "data": {"a": 1, "b": 2}, "instances": {"one": {**D, "data": {"a": 3}}}})
    world.call("set", {"name": "t", "instances": {"one": {**D, "data": {"b": 4}}, "two": D}})
    world.call("set", {"name": "u"})
    everything = {"s": {"*": {"a": 1, "b": 2}, "one": {"a": 3}}, "t": {"one": {"b": 4}}}
    assert world.call("get_data", {}) == (0, everything)
    assert world.call("get_data", {"name": "t"}) == (0, {"t": {"one": {"b": 4}}})
    assert world.call("get_data", {"type": "a"}) == (0, {"s": {"*": {"a": 1}, "one": {"a": 3}}})
    assert world.call("get_data", {"name": "s", "instance": "one"}) == (0, {"s": {"one": {"a": 3}}})
    assert world.call("get_data", {"name": "x"}) == (0, {})


def test_validate(world: World) -> None:
    rules = [
        {"package": "p", "type": "t", "rules": {"a": "bool"}},
        {"package": "p", "type": "u", "data": {"b": "string"}},
        "nonsense",
        {"package": "p"},
    ]
    world.call("set", {"name": "s", "validate": rules})
    world.call("set", {"name": "t", "validate": [{"package": "p", "type": "t", "rules": {"c": "port"}}]})
    assert world.call("validate", {}) == (
        0,
        {"p": {"t": {"a": "bool", "c": "port"}, "u": {"b": "string"}}},
    )
    assert world.call("validate", {"package": "p", "type": "u"}) == (0, {"p": {"u": {"b": "string"}}})
    assert world.call("validate", {"package": "q"}) == (0, {})
    assert world.call("validate", {"service": "s"}) == (0, {})


def test_watched_objects_are_subscribed_once(world: World) -> None:
    world.set("s", one={**D, "watch": ["network.interface", "hostapd"]})
    world.set("s", one={**D, "watch": ["network.interface"]})
    world.call("set", {"name": "t", "triggers": [["interface.update", ["run_script", "/bin/x", "%if%"]]]})
    assert sorted(world.subscribed) == ["hostapd", "network.interface"]
    world.notes.clear()
    world.subscribed["network.interface"]("interface.update", {"if": "wan"})
    assert world.commands == [(["/bin/x", "wan"], 0)] and world.notes == []


# the end, and containers


def test_everything_stops_and_nothing_starts_any_more(world: World) -> None:
    world.set("a", one=D, two={**D, "respawn": []})
    world.set("b", one=D)
    world.end(FIRST_PID + 1)
    ends: list[int] = []
    world.services.stop_all(lambda: ends.append(1))
    assert world.kills == [(FIRST_PID + 2, 15), (FIRST_PID, 15)]
    for name in ("c", "b"):
        assert world.call("set", {"name": name, "instances": {"one": D}}) == (wire.SYSTEM_ERROR, {})
    world.end(FIRST_PID)
    assert not ends
    world.end(FIRST_PID + 2)
    world.advance(100)
    assert ends == [1] and len(world.spawned) == 3 and world.services.table == {}


def test_there_is_nothing_to_stop(world: World) -> None:
    ends: list[int] = []
    world.services.stop_all(lambda: ends.append(1))
    assert ends == [1]


def test_a_container_has_its_own_methods(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    container = ServiceMethods(world.services).container(lambda: ConsoleTable(world.loop, [world.services]))
    common = ["set", "add", "list", "delete", "state", "get_features"]
    assert list(container.methods) == [*common, "console_set", "console_attach"]
    status, answer = call(container, "get_features", {}, world.faults)
    assert status == 0 and list(answer) == ["machine", "seccomp", "cgroup", "namespaces"]
    assert isinstance(answer["namespaces"], list) and "pid" in answer["namespaces"]
    monkeypatch.setattr(objects, "CONTROLLERS", "/no/such/file")
    assert call(container, "get_features", {}, world.faults)[1]["cgroup"] == []
