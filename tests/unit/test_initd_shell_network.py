# SPDX-License-Identifier: MIT
"""network_*: what scripts ask about interfaces, from an answer as netifd gives it."""

from pathlib import Path

import pytest
from initd_shell import AVAILABLE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


DUMP = {
    "interface": [
        {
            "interface": "lan",
            "up": True,
            "uptime": 5,
            "l3_device": "br-lan",
            "device": "br-lan",
            "proto": "static",
            "metric": 0,
            "ipv4-address": [{"address": "192.168.1.1", "mask": 24}, {"address": "10.0.0.1", "mask": 8}],
            "ipv6-address": [],
            "ipv6-prefix-assignment": [
                {"address": "fd00::", "mask": 60, "local-address": {"address": "fd00::1", "mask": 60}}
            ],
            "route": [],
        },
        {"interface": "down", "up": False, "proto": "dhcp"},
        {
            "interface": "wan",
            "up": True,
            "l3_device": "pppoe-wan",
            "device": "eth1",
            "ipv4-address": [{"address": "203.0.113.5", "mask": 32}],
            "ipv6-prefix": [{"address": "2001:db8::", "mask": 56}],
            "route": [
                {"target": "10.0.0.0", "mask": 8, "nexthop": "192.0.2.9"},
                {"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.1"},
                {"target": "::", "mask": 0, "nexthop": "fe80::1"},
            ],
            "dns-server": ["1.1.1.1", "8.8.8.8"],
        },
    ]
}
NETWORK = {
    "network_get_ipaddr x lan": "192.168.1.1",
    "network_get_ipaddrs x lan": "192.168.1.1 10.0.0.1",
    "network_get_subnet x lan": "192.168.1.1/24",
    "network_get_subnets x lan": "192.168.1.1/24 10.0.0.1/8",
    "network_get_ipaddr6 x lan": "fd00::1",
    "network_get_prefix6 x wan": "2001:db8::/56",
    "network_get_device x wan": "pppoe-wan",
    "network_get_physdev x wan": "eth1",
    "network_get_protocol x down": "dhcp",
    "network_get_metric x lan": "0",
    "network_get_dnsserver x wan": "1.1.1.1 8.8.8.8",
    "network_get_gateway x wan": "192.0.2.1",
    "network_get_gateway6 x wan": "fe80::1",
    "network_find_wan x": "wan",
    "network_find_wan6 x": "wan",
    "network_is_up lan && x=up": "up",
    "network_is_up down || x=down": "down",
    "network_get_ipaddr x down || x=none$x": "none",
    "network_get_ipaddr x missing || x=none$x": "none",
    "network_get_gateway x lan || x=none$x": "none",
}


@pytest.mark.parametrize("shell", AVAILABLE)
def test_interfaces_as_netifd_tells(world: World, shell: str) -> None:
    world.answer(DUMP)
    # what the script itself has loaded must stay
    text = '. "$STOCKADE_ROOT/lib/functions/network.sh"\njson_load \'{"own": 1}\'\n'
    text += "".join(f'x=before\n{line}\necho "$x"\n' for line in NETWORK)
    ran = world.source(shell, text + 'json_get_var own own\necho "$own"')
    assert dict(zip(NETWORK, ran.out.splitlines()[:-1], strict=True)) == NETWORK
    assert ran.out.splitlines()[-1] == "1"
    assert ran.calls == [["network.interface", "dump"]]


@pytest.mark.parametrize("shell", AVAILABLE)
def test_interfaces_without_netifd(world: World, shell: str) -> None:
    text = '. "$STOCKADE_ROOT/lib/functions/network.sh"\nnetwork_get_ipaddr x lan || echo "none$x"'
    assert world.source(shell, text, UBUS_STATUS="4").out == "none\n"
