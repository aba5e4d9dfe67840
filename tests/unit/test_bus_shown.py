# SPDX-License-Identifier: MIT
"""Who is root for the host and is shown the bus is warned of, and nobody else."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initd.definition import Definition
from initd.spawn import Plans
from jail.capabilities import default_for
from jail.idmap import IdMaps
from jail.plan import make_plan
from jail.privilege import it_is_root
from jail.shares import bus_warnings
from jail.shown import Shown
from jail.spec import JailSpec

if TYPE_CHECKING:
    from initd.ubus.blob import Value

PROGRAM = os.path.realpath("/bin/true")
IS_ROOT = (
    "it is root, and root on ubus may start anything outside the jail: give it a user or userns, and what it may"
    " call in /usr/share/acl.d"
)
CAN_BE_ROOT = IS_ROOT.replace("it is root", "it can become root")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Path]:
    """A socket in a directory of its own, and a link to that."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to("run")
    path = tmp_path / "run/ubus.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def told(bus: Path, shares: tuple[str, ...], **words: object) -> list[str]:
    """The warnings of a jail; `BUS` in a share is the socket's directory."""
    spec = JailSpec("j", [PROGRAM])
    spec.ubus_socket = f"{bus.parent.parent}/var/{bus.name}"  # by the link, as /var/run is one
    for word in shares:
        if word == "ubus":
            spec.show_socket(word)
        else:
            spec.share(word.replace("BUS", str(bus.parent)))
    for name, value in words.items():
        setattr(
            spec,
            name,
            [str(each).replace("BUS", str(bus.parent)) for each in value]
            if isinstance(value, list)
            else value,
        )
    spec.validate()
    return make_plan(spec).all_warnings()


@pytest.mark.parametrize("share", ["ubus", "@ubus", "BUS", "BUS:/elsewhere", "BUS/ubus.sock:/s"])
def test_root_that_is_shown_the_bus_is_warned_of(bus: Path, share: str) -> None:
    assert told(bus, (share,)) == [IS_ROOT]
    assert told(bus, (share,), user="0", capabilities="none") == [IS_ROOT]
    assert told(bus, (share,), user="65534") == []


def test_bind_shows_it_too_and_what_does_not_is_not_warned_of(bus: Path) -> None:
    assert told(bus, (), binds=["BUS:/b:ro,noexec"]) == [IS_ROOT]
    assert IS_ROOT in told(bus, (), binds=["/:/b"])
    assert told(bus, (f"{bus.parent.parent}/var/ubus.sock",)) == [IS_ROOT]
    (bus.parent / "other").touch()
    assert told(bus, ("BUS/other",)) == []
    assert told(bus, ("/etc/passwd",)) == told(bus, ()) == []
    (bus.parent.parent / "var").unlink()
    (bus.parent.parent / "var").symlink_to("var")
    assert told(bus, ("/etc/passwd",)) == []


def test_bus_that_is_covered_is_not_shown(bus: Path) -> None:
    assert told(bus, ("BUS",), masks=["BUS/ubus.sock"]) == []
    (bus.parent / "other").touch()
    assert told(bus, ("BUS",), masks=["BUS/other"]) == [IS_ROOT]
    assert told(bus, (f"{bus.parent.parent}",), tmpfs=["BUS"]) == []


def test_capability_that_makes_root_counts_as_root(bus: Path) -> None:
    assert told(bus, ("ubus",), user="65534", capabilities="cap_setuid") == [CAN_BE_ROOT]
    assert told(bus, ("ubus",), user="65534", capabilities="cap_kill") == []
    # what ends at exec makes nobody root
    assert CAN_BE_ROOT not in told(bus, ("ubus",), user="65534", capabilities="cap_setuid+ep")


def test_user_namespace_is_root_outside_only_with_the_hosts_root_in_its_map(bus: Path) -> None:
    """The maps alone: an ordinary user, who may run this too, gets no other ones."""
    nobody = IdMaps([(0, 65534, 1), (1, 100000, 1000)], [(0, 65534, 1)])
    assert told(bus, ("ubus",), userns=True) == []
    sets = default_for(0)
    assert it_is_root(nobody.root(), sets, nobody) == ""
    for line in ((0, 0, 1), (7, 0, 1)):
        mapped = IdMaps([line], [(0, 0, 1)])
        how = it_is_root(mapped.root(), sets, mapped)
        spec = JailSpec("j", [PROGRAM])
        spec.ubus_socket = str(bus)
        assert bus_warnings(spec, {"/b": str(bus.parent)}, how) == [CAN_BE_ROOT]


def test_second_service_in_a_jail_sees_what_the_first_has_asked_for(bus: Path) -> None:
    spec = JailSpec("j", [PROGRAM])
    spec.ubus_socket, spec.user = str(bus), "65534"
    spec.show_socket("ubus")
    plan = make_plan(spec)
    assert plan.rootfs and plan.warnings == []
    second = JailSpec("j", [PROGRAM])
    second.ubus_socket = str(bus)
    assert bus_warnings(second, Shown(spec, plan.rootfs).sources(), "it is root") == [IS_ROOT]


@pytest.mark.parametrize(
    ("table", "lines"),
    [({}, [IS_ROOT]), ({"user": "65534"}, []), ({"jail": {"name": "x", "ubus": True, "userns": True}}, [])],
)
def test_initd_warns_of_its_own_socket(bus: Path, table: dict[str, "Value"], lines: list[str]) -> None:
    jail: Value = {"name": "x", "ubus": True}
    asked: Value = {"command": [PROGRAM], "jail": jail, **table}
    packed = Plans(str(bus)).make(Definition.read("s", "i", asked))
    assert list(packed.warnings) == lines
