# SPDX-License-Identifier: MIT
"""--net, --bind and --connect: what the words mean, and which are refused."""

import pytest

from jail.errors import UsageError
from jail.networds import Network, from_words, parse, peer_name
from jail.spec import JailSpec


def read(*nets: str, bind: tuple[str, ...] = (), connect: tuple[str, ...] = ()) -> Network:
    return parse([*nets], [*bind], [*connect], "j")


def test_device_has_what_was_said() -> None:
    network = read("veth:eth0,addr=10.9.0.2/24,addr=fd00::2/64,gw=10.9.0.1,mtu=1400,bridge=br0,dns=::1")
    [device] = network.devices
    assert (device.kind, device.name, device.parent) == ("veth", "eth0", "")
    assert device.lists["addr"] == ["10.9.0.2/24", "fd00::2/64"]
    assert device.single == {"mtu": "1400", "bridge": "br0", "peer": peer_name("j", "eth0")}
    assert network.dns == ["::1"]


def test_names_inside() -> None:
    names = [read(word).devices[0].name for word in ("macvlan:eth1", "macvlan:eth1,name=wan", "dev:eth1")]
    assert names == ["mv-eth1", "wan", "eth1"]
    assert read("dev:eth1,name=wan").devices[0].parent == "eth1"


def test_derived_name_is_the_same_each_time_short_and_of_its_jail() -> None:
    assert peer_name("a", "eth0") == peer_name("a", "eth0") != peer_name("b", "eth0")
    assert len(peer_name("a" * 255, "eth0")) < 16


def test_existing_namespace_is_a_name_or_a_path() -> None:
    assert read("netns:blue").path == "/run/netns/blue"
    network = read("netns:/proc/1/ns/net,dns=::1")
    assert (network.path, network.dns) == ("/proc/1/ns/net", ["::1"])


def test_words_say_the_same_once_more() -> None:
    network = read("veth:eth0,addr=10.0.0.1/8", bind=("tcp:53",), connect=("udp:[::1]:1-2",))
    again = from_words(network.words, "j")
    assert again.words == network.words
    assert again.describe() == network.describe() == "the network that was made: veth eth0, port rules"


def test_rules() -> None:
    network = read(bind=("udp:67-68",), connect=("tcp:443", "tcp:10.0.0.0/8:80", "tcp:[fd00::/8]:80"))
    assert [(rule.protocol, rule.low, rule.high) for rule in network.binds] == [("udp", 67, 68)]
    assert [rule.address for rule in network.connects] == ["", "10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("", "is none of veth:"),
        ("eth0", "is none of veth:"),
        ("vteh:eth0", "is none of veth:"),
        ("veth:", "is none of veth:"),
        ("veth:lo", "cannot be the name of a device"),
        ("veth:a b", "cannot be the name of a device"),
        ("veth:jail%d", "cannot be the name of a device"),
        ("veth:../x", "cannot be the name of a device"),
        ("veth:abcdefghijklmnop", "cannot be the name of a device"),
        ("veth:e,brigde=br0", 'no veth setting: did you mean "bridge"'),
        ("veth:e,mtu", "no veth setting"),
        ("veth:e,mtu=", "no veth setting"),
        ("veth:e,mtu=1,mtu=2", "mtu is there twice"),
        ("veth:e,mtu=20", "mtu: '20' is not a number from 68"),
        ("veth:e,mac=01:00:00:00:00:00", "no address of one device"),
        ("veth:e,mac=00:00:00:00:00", "no address of one device"),
        ("veth:e,addr=10.0.0.1", "needs the length of its network"),
        ("veth:e,addr=10.0.0.1/33", "no such length"),
        ("veth:e,addr=10.0.0/8", "is no address"),
        ("veth:e,addr=fd00::1/129", "no such length"),
        ("veth:e,gw=10.0.0.1", "needs an address of its kind"),
        ("veth:e,addr=10.0.0.2/8,gw=fd00::1", "needs an address of its kind"),
        ("veth:e,addr=10.0.0.2/8,gw=10.0.0.1,gw=10.0.0.3", "two of one kind"),
        ("veth:e,addr=10.0.0.2/8,route=fd00::/8@10.0.0.1", "mixes IPv4 and IPv6"),
        ("veth:e,host=10.0.0.1/8,bridge=br0", "host and bridge do not go together"),
        ("veth:e,dns=one", "is no address"),
        ("veth:e,mode=bridge", "mode is for macvlan alone"),
        ("macvlan:e,bridge=br0", "bridge is for veth alone"),
        ("macvlan:e,mode=passthru", "is none of private"),
        ("netns:a/b", "neither a name nor an absolute path"),
        ("netns:..", "neither a name nor an absolute path"),
        ("netns:a,addr=10.0.0.1/8", "is nothing to say of an existing namespace"),
        ("netns:a,dns=b", "is no address"),
    ],
)
def test_what_is_wrong_is_said(net: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(net)


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        (("veth:a", "dev:a"), "a is there twice"),
        (("veth:a,peer=b", "veth:c,peer=b"), "b is there twice"),
        (("netns:a", "netns:b"), "two existing"),
        (("netns:a", "veth:b"), "has its own devices"),
    ],
)
def test_what_does_not_go_together_is_said(nets: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(*nets)


@pytest.mark.parametrize(
    "rule",
    ["", "53", "tcp", "tcp:", "icmp:1", "tcp:0", "tcp:65536", "tcp:2-1", "tcp:http", "tcp:x:1", "tcp:-"],
)
def test_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="connect: "):
        read(connect=(rule,))


def test_bind_has_no_address_and_another_network_no_rules() -> None:
    with pytest.raises(UsageError, match="an address is for connect alone"):
        read(bind=("tcp:10.0.0.1:53",))
    with pytest.raises(UsageError, match="need a network of the jail's own"):
        read("netns:a", connect=("tcp:1",))


def test_spec_refuses_what_contradicts_itself() -> None:
    def check(**attributes: object) -> None:
        spec = JailSpec("j", ["/bin/true"])
        for name, value in attributes.items():
            setattr(spec, name, value)
        spec.validate()

    check(net=["veth:eth0"], netns=True)
    for message, attributes in {
        "not both": {"netns": True, "net": ["netns:a"]},
        "needs a jail with namespaces": {"isolate": False, "net": ["veth:a"]},
        "is held by no rules": {"isolate": False, "stub": False, "plain": True, "net_connect": ["tcp:1"]},
        "and the jail's own": {"net": ["veth:a"], "joins": [(1, ["net"])]},
    }.items():
        with pytest.raises(UsageError, match=message):
            check(**attributes)
