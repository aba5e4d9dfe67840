# SPDX-License-Identifier: MIT
"""--net: what is made for a jail is in it, and gone or back afterwards, however the jail ended.

In a network of its own, see networld.py; nothing here touches this machine's.
"""

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from networks import PORT, World

if TYPE_CHECKING:
    from jails import Host

pytest.importorskip("pyroute2")
VETH = "veth:eth0,addr=10.9.0.2/24,addr=fd09::2/64,bridge=br0"
HERE, HERE_6 = ("10.9.0.1", PORT), ("fd09::1", PORT)


# ---- devices ----


def test_veth_has_its_addresses_and_reaches_the_bridge(world: World) -> None:
    options = (*("--net", f"{VETH},mtu=1400,mac=02:00:00:00:00:09"), "-s")
    seen = world.jail(
        options,
        *("connect", *HERE, "connect", *HERE_6, "connect", "10.77.0.1", PORT),
        *("cat", "/sys/class/net/eth0/mtu", "cat", "/sys/class/net/eth0/address", "list", "/sys/class/net"),
    )
    assert (seen["connect:10.9.0.1"], seen["connect:fd09::1"]) == ("ok", "ok"), seen
    assert seen["connect:10.77.0.1"] == "ENETUNREACH"  # no gateway was named
    assert seen.all("line") == ["1400", "02:00:00:00:00:09"]
    assert sorted(seen.all("entry")) == ["eth0", "lo"]


def test_gateway_and_routes_lead_further(world: World) -> None:
    for more in ("gw=10.9.0.1", "route=10.77.0.0/24@10.9.0.1"):
        seen = world.jail(("--net", f"{VETH},{more}"), "connect", "10.77.0.1", PORT)
        assert seen["connect:10.77.0.1"] == "ok", seen


def test_hosts_end_has_a_name_an_alias_and_maybe_an_address(world: World) -> None:
    net = "veth:eth0,addr=10.8.0.2/30,host=10.8.0.1/30,peer=outer"
    pid = world.start(("--net", net), "connect", "10.8.0.1", PORT)
    assert world.links()["outer"] == "jail t eth0"
    assert world.end(pid) == 0


def test_connection_that_nobody_answers_holds_up_no_start(world: World) -> None:
    options = ("--net", f"{VETH},peer=outer")
    for address in (HERE, HERE_6):
        pid = world.start(options, "connect-and-keep", *address)
        # what the kernel sends at the end of the connection arrives nowhere, and it tries for a while
        assert world.run("ip", "link", "set", "outer", "down")[0] == 0
        assert world.end(pid) == 0
        seen = world.jail(options, "connect", *address)
        assert seen[f"connect:{address[0]}"] == "ok", seen


def test_nothing_is_known_of_ipv6_where_no_address_of_it_was_asked_for(world: World) -> None:
    options = ("--net", "veth:eth0,addr=10.9.0.2/24,bridge=br0", "-p")
    seen = world.jail(options, "cat", "/proc/net/if_inet6")
    assert [line.split()[-1] for line in seen.all("line")] == ["lo"]
    both = world.jail(("--net", VETH, "-p"), "cat", "/proc/net/if_inet6")
    assert "eth0" in [line.split()[-1] for line in both.all("line")]


def test_resolver_is_the_jails_own(world: World) -> None:
    seen = world.jail(("--net", f"{VETH},dns=10.9.0.1,dns=fd09::1"), "cat", "/etc/resolv.conf")
    assert seen.all("line") == ["nameserver 10.9.0.1", "nameserver fd09::1"]
    assert world.jail(("--net", VETH), "cat", "/etc/resolv.conf").tries() == {
        "cat:/etc/resolv.conf": "ENOENT"
    }


def test_macvlan_shares_the_parents_wire(world: World) -> None:
    world.ask(pair=["m0", "m1"])
    world.ask(address=["m1", "10.7.0.1/24"])
    for name in ("m0", "m1"):
        world.ask(up=name)
    seen = world.jail(("--net", "macvlan:m0,name=wan,addr=10.7.0.2/24", "-s"), "connect", "10.7.0.1", PORT)
    world.ask(delete="m0")
    assert seen["connect:10.7.0.1"] == "ok", seen


@pytest.mark.parametrize("how", ["ends", "service killed", "ujail killed", "keeper killed"])
def test_device_is_moved_in_and_comes_back(world: World, how: str) -> None:
    world.ask(pair=["d0", "d1"])
    pid = world.start(("--net", "dev:d0,name=lan,addr=10.6.0.2/24"), "list", "/sys/class/net")
    assert {"d0", "d1"} & world.links().keys() == {"d1"}
    keeper, first = world.host.children_of(pid)  # the older one first, whatever their pids
    if how == "service killed":
        [service] = world.host.children_of(first)
        world.run("kill", "-9", service)
        assert world.end(pid) == 137
    elif how == "keeper killed":
        world.run("kill", "-9", keeper)
        assert world.end(pid) == 0
    else:
        assert world.end(pid, signal.SIGKILL if how == "ujail killed" else 0) == (
            -9 if how == "ujail killed" else 0
        )
    if how == "keeper killed":
        # nobody knows where it came from: the kernel ends what is no hardware with the namespace
        world.wait_as_before()
        return
    world.host.until(lambda: "d0" in world.links(), "the device that comes back")
    world.ask(delete="d0")


def test_keeper_has_nothing_that_was_inherited(world: World) -> None:
    inherited = ("sh", "-c", 'exec 7</etc/passwd; exec "$@"', "sh")
    assert world.run(*inherited, "readlink", "/proc/self/fd/7")[1] == "/etc/passwd\n"
    words = world.words(("--net", VETH), ("stay",))
    pid, _ = world.ask(start=[*inherited, *words])
    # of both that ujail has left: what holds the network, and the jail's first process
    for child in world.host.children_of(pid):
        folder = f"/proc/{child}/fd"
        assert "/etc/passwd" not in [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
    assert world.end(pid) == 0


@pytest.mark.parametrize("number", [0, signal.SIGTERM, signal.SIGKILL])
def test_veth_goes_with_the_jail(world: World, number: int) -> None:
    pid = world.start(("--net", f"{VETH},peer=outer"))
    assert "outer" in world.links()
    world.end(pid, number)
    world.wait_as_before()


def test_next_start_may_come_at_once(world: World) -> None:
    """The names of the last one may not be free yet."""
    for _ in range(3):
        seen = world.jail(("--net", f"{VETH},peer=outer"), "connect", *HERE)
        assert seen["connect:10.9.0.1"] == "ok", seen


# ---- namespaces that are there ----


def test_existing_namespace_by_name_and_by_path(world: World) -> None:
    for where in ("netns:there", "netns:/run/netns/there", f"netns:/proc/{world.process.pid}/ns/net"):
        seen = world.jail(("--net", where, "-p"), "connect", *HERE, "link", "/proc/self/ns/net")
        assert seen["connect:10.9.0.1"] == "ok", seen
    own = world.jail(("-N",), "connect", *HERE)
    assert own["connect:10.9.0.1"] == "ENETUNREACH"


# ---- refusals ----


REFUSED = {
    ("veth:eth0,bridge=nosuch",): "there is no device nosuch",
    ("veth:eth0,peer=br0",): "veth br0: File exists",
    ("dev:nosuch",): "there is no device nosuch",
    ("dev:br0",): "move br0: Invalid argument",
    ("macvlan:nosuch",): "there is no device nosuch",
    ("veth:eth0,peer=outer,addr=10.9.0.2/24,route=10.66.0.0/16@10.55.0.1",): "route 10.66.0.0/16: ",
    ("netns:nosuch",): "open the network /run/netns/nosuch: No such file",
    ("netns:/dev/null",): "enter the network /dev/null: Invalid argument",
    ("dev:d0", "dev:nosuch"): "there is no device nosuch",  # the first is moved by then
}


def test_what_cannot_be_made_is_one_line_and_no_start(world: World) -> None:
    """At the same time: some wait for a device that may yet come back from a jail that has ended."""
    world.ask(pair=["d0", "d1"])
    nets = [tuple(word for net in each for word in ("--net", net)) for each in REFUSED]
    for message, seen in zip(REFUSED.values(), world.jails(nets, "exit", 0), strict=True):
        assert (seen.status, seen.out, seen.err.count("\n")) == (125, "", 1), seen
        assert message in seen.err
    assert {"d0", "d1"} <= world.links().keys()  # it has come back
    world.ask(delete="d0")
    world.wait_as_before()


def test_trace_in_a_network_of_its_own(world: World, host: "Host") -> None:
    seen = world.jail(("--net", VETH, "-m", "trace"), "connect", *HERE)
    assert seen["connect:10.9.0.1"] == "ok", seen
    [path] = re.findall(r"the trace is in (\S+)", seen.err)
    # i386's C library makes it in another way
    assert {"connect", "socketcall"} & set(re.findall(r'"(\w+)"', Path(path).read_text()))
    os.unlink(path)
    refused = world.jail(("--net", "dev:d0", "-m", "trace"), "exit", 0)
    assert refused.status == 125 and "cannot be moved into a jail that is traced here" in refused.err
