# SPDX-License-Identifier: MIT
"""Who may do what: nothing without a grant, with one what it says."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ubus_world import NOBODY, World, clean_world, echo, thing

from initd.ubus import wire
from initd.ubus.acl import Acl, Credentials, Grant, read_grants
from initd.ubus.jsontext import parse_table
from initd.ubus.object import Method, Object
from jail.errors import ConfigError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with clean_world(tmp_path) as made:
        yield made


GRANTS = """{"access": {"thing": {"methods": ["echo"], "acl": {"a": 1}}, "pre*": {"methods": ["*"]}},
"publish": ["mine.*"], "subscribe": ["thing"], "listen": ["heard.*"], "send": ["said"], "inherit": []}"""


def grant(world: World, text: str = GRANTS) -> None:
    table = parse_table(text)
    grants = read_grants({**table, "user": "root"}, "x.json")
    for item in grants:
        item.uid = NOBODY.uid
    world.broker.exchange.acl.grants = grants


def attempts(world: World) -> dict[str, int]:
    """What one who is not root gets for each thing that the grants are about, and for the ones beside it."""
    owner, client = world.client(), world.client(NOBODY)
    ids = {}
    for path in ("thing", "pref", "secret"):
        served = Object(path, {name: Method(echo) for name in ("echo", "other")})  # type: ignore[arg-type]
        ids[path] = world.add(owner, served).id
    ear = world.add(client, Object())
    out = {
        f"{path} {method}": world.call(client, id, method, {})[0]
        for path, id in ids.items()
        for method in ("echo", "other")
    }
    out |= {f"list {path}": world.lookup(client, path)[0] for path in (*ids, "*")}
    out |= {f"publish {path}": world.status(client.start_add, Object(path)) for path in ("mine.x", "mine")}
    out |= {f"subscribe {path}": world.status(client.start_subscribe, ear, ids[path]) for path in ids}
    for pattern in ("heard.x", "heard.x*", "heard", "*", "ubus.object.add"):
        out[f"listen {pattern}"] = world.status(client.start_listen, ear, pattern)
    for event in ("said", "unsaid"):
        data: dict[str, object] = {"id": event, "data": {}}
        out[f"send {event}"] = world.call(client, wire.EVENT_OBJECT, "send", data)[0]
    out["monitor"] = world.call(client, wire.MONITOR_OBJECT, "add", {})[0]
    anonymous = world.add(owner, Object(receive=lambda call: None)).id
    out["anonymous"] = world.call(client, anonymous, "x", {})[0]
    out["subscribe anonymous"] = world.status(client.start_subscribe, ear, anonymous)
    return out


def test_who_is_not_root_gets_nothing_without_a_grant(world: World) -> None:
    refused = {wire.PERMISSION_DENIED, wire.NOT_FOUND}
    seen = attempts(world)
    assert seen.pop("list *") == wire.NOT_FOUND
    assert {what for what, status in seen.items() if status not in refused} == set()


def test_a_grant_gives_what_it_says_and_no_more(world: World) -> None:
    grant(world)
    allowed = {what for what, status in attempts(world).items() if status == wire.OK}
    assert allowed == {
        *("thing echo", "pref echo", "pref other", "list thing", "list pref", "list *"),
        *("publish mine.x", "subscribe thing", "listen heard.x", "listen heard.x*", "send said"),
    }


def test_a_listing_shows_only_what_may_be_called(world: World) -> None:
    grant(world)
    owner, client = world.client(), world.client(NOBODY)
    world.add(owner, Object("thing", {name: Method(echo) for name in ("echo", "other")}))  # type: ignore[arg-type]
    assert list(world.lookup(client, "thing")[1][0].signature) == ["echo"]
    assert list(world.lookup(owner, "thing")[1][0].signature) == ["echo", "other"]


def test_an_owner_may_ask_what_the_files_say_of_its_objects(world: World) -> None:
    grant(world)
    owner = world.client()
    world.add(owner, thing())
    answer = world.call(owner, wire.ACL_OBJECT, "query", {})[1]
    assert answer == [{"seq": 1, "acl": [{"obj": "thing", "user": "root", "acl": {"a": 1}}]}]


def test_grants_are_for_their_user_or_their_group_alone() -> None:
    given, acl = Grant("send", "x"), Acl()
    acl.grants = [given]
    assert not acl.allows(NOBODY, "send", b"x")
    given.gid = NOBODY.gid
    acl.grants = [given]  # a list is not changed, but replaced, as at a load
    assert acl.allows(NOBODY, "send", b"x") and not acl.allows(NOBODY, "listen", b"x")
    assert not acl.allows(Credentials(1000, 1000), "send", b"x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json:1:2: "),
        ('{"user": 1}', "a.json: user: not a string"),
        ('{"user": "no such user"}', "a.json: no user no such user on this system"),
        ('{"group": "no such group"}', "a.json: no group"),
        ('{"user": "root", "access": []}', "access: not an object"),
        ('{"user": "root", "access": {"x": 1}}', "access: x: not an object"),
        ('{"user": "root", "access": {"x": {"methods": "echo"}}}', "methods: not an array"),
        ('{"user": "root", "access": {"x": {"acl": 1}}}', "acl: not an object"),
        ('{"user": "root", "send": ["a", 1]}', "send: not an array of strings"),
        (r'{"user": "ro\u0000ot", "send": ["a"]}', "a.json: embedded null byte"),
        (r'{"group": "\ud800", "send": ["a"]}', "a.json: 'utf-8' codec can't encode"),
        (r'{"user": "root", "send": ["\ud800"]}', "a.json: 'utf-8' codec can't encode"),
        (r'{"user": "root", "access": {"x": {"methods": ["\udfff"]}}}', "a.json: 'utf-8' codec can't encode"),
    ],
)
def test_an_acl_file_that_is_wrong_says_where(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_grants(parse_table(text, "a.json"), "a.json")
    assert message in str(error.value)


def test_only_files_that_root_alone_can_write_are_read(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, whose files these have to be")
    for name in ("good", "group", "foreign", "wrong"):
        (tmp_path / f"{name}.json").write_text(f'{{"user": "nobody", "send": ["{name}"]}}')
        (tmp_path / f"{name}.json").chmod(0o644)
    (tmp_path / "group.json").chmod(0o664)
    os.chown(tmp_path / "foreign.json", 1, 0)
    (tmp_path / "wrong.json").write_text("{")
    (tmp_path / "dir.json").mkdir()
    (tmp_path / "other.txt").write_text("{")
    os.mkfifo(tmp_path / "pipe.json")
    acl = Acl()
    warnings = acl.load(str(tmp_path))
    assert [given.pattern for given in acl.grants] == [b"good"]
    assert len(warnings) == 5 and all(line.endswith("; the file grants nothing") for line in warnings)
    assert Acl().load(str(tmp_path / "missing")) == []
