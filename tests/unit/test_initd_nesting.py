# SPDX-License-Identifier: MIT
"""What is nested deeper than `service list` could tell is refused when it comes, with its place."""

from collections.abc import Iterator
from typing import Any

import pytest
from initd_world import World

from initd.fields import NESTED_MAX, too_deep
from initd.ubus import wire

D = {"command": ["/bin/daemon"]}


def nested(levels: int) -> Any:
    """Tables and arrays by turns, that many in all."""
    value: Any = "end"
    for level in range(levels):
        value = {"k": value} if level % 2 else [value]
    return value


def table(levels: int) -> dict[str, Any]:
    return {"k": nested(levels - 1)}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def placed(levels: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every place that the list tells again: what is called, where it is, and with what."""
    one = {"name": "s", "instances": {"one": D}}
    yield "set", "data", {**one, "data": table(levels)}
    yield "set", "triggers", {**one, "triggers": [nested(levels - 1)]}
    yield "add", "instances.two.data", {**one, "instances": {"two": {**D, "data": table(levels - 2)}}}
    yield (
        "set",
        "instances.one.triggers",
        {**one, "instances": {"one": {**D, "triggers": [nested(levels - 3)]}}},
    )
    yield "set_data", "data", {"name": "s", "data": table(levels)}
    yield "set_data", "data", {"name": "s", "instance": "one", "data": table(levels)}


@pytest.mark.parametrize("number", range(6))
def test_what_is_taken_can_be_listed(world: World, number: int) -> None:
    world.set("s", one=D)
    method, _, message = [*placed(NESTED_MAX)][number]
    assert world.call(method, message)[0] == wire.OK
    for asked in ({"verbose": True}, {}):
        assert world.call("list", asked)[0] == wire.OK
    assert world.call("get_data", {})[0] == wire.OK


@pytest.mark.parametrize("number", range(6))
def test_one_level_more_is_refused_with_its_place(world: World, number: int) -> None:
    world.set("s", one=D)
    before = world.call("list", {"verbose": True})
    method, place, message = [*placed(NESTED_MAX + 1)][number]
    assert world.call(method, message)[0] == wire.INVALID_ARGUMENT
    assert world.call("list", {"verbose": True}) == before
    [line] = [line for line in world.log.lines if "nested" in line]
    assert line.startswith(f"error s: {method}: {place}.") and line.endswith(
        f"nested deeper than {NESTED_MAX}"
    )


def test_the_place_is_a_short_line() -> None:
    place = too_deep({"a\n" * 100: nested(NESTED_MAX)})
    assert len(place) < 80 and place.isprintable()
