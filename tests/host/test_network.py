# SPDX-License-Identifier: MIT
"""-N: a network of the jail's own, with loopback alone, and nothing of the host's."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jails import Host

OWN = ("-N", "-p")
LOOP = ("listen", "127.0.0.1", 40001, "connect", "127.0.0.1", 40001)


def devices(lines: list[str]) -> list[str]:
    """Names in /proc/net/dev, below its two lines of headings."""
    return [line.partition(":")[0].strip() for line in lines[2:]]


def test_own_network_has_loopback_alone_and_it_is_up(host: "Host") -> None:
    seen = host.probe(*LOOP, "link", "/proc/self/ns/net", "cat", "/proc/net/dev", options=OWN)
    assert set(seen.tries().values()) == {"ok"}, seen
    assert seen["link"].split()[1] != os.readlink("/proc/self/ns/net")
    assert devices(seen.all("line")) == ["lo"]


def test_new_namespace_by_itself_has_loopback_down(host: "Host") -> None:
    """What the step is for: without it the same connect fails."""
    seen = host.outside(*LOOP, prefix=["unshare", "--net"])
    assert seen.tries()["connect:127.0.0.1"] == "ENETUNREACH"


def test_without_the_option_the_network_is_the_hosts(host: "Host") -> None:
    seen = host.probe("link", "/proc/self/ns/net", options=["-p"])
    assert seen["link"].split()[1] == os.readlink("/proc/self/ns/net")


def test_service_cannot_enter_the_hosts_network(host: "Host") -> None:
    """No descriptor and no path of the jail leads to another network namespace."""
    seen = host.probe("setns", "/proc/1/ns/net", "setns", "/proc/2/ns/net", options=OWN)
    assert set(seen.tries().values()) <= {"EPERM", "EACCES"}, seen
    assert host.outside("setns", f"/proc/{os.getpid()}/ns/net").tries() == {
        f"setns:/proc/{os.getpid()}/ns/net": "ok"
    }


def test_own_network_and_a_joined_one_are_refused_together(host: "Host") -> None:
    seen = host.probe("exit", 0, options=["-N", "-j", f"{os.getpid()}:net"])
    assert (seen.status, seen.err.count("\n")) == (125, 1), seen
    assert "and the jail's own" in seen.err


def test_explain_names_the_namespace_and_the_step(host: "Host") -> None:
    seen = host.jail("--explain", "-N", "--", "/bin/true")
    assert "clone into new namespaces: mount, pid, ipc, uts, net" in seen.out
    assert "bring the loopback device up" in seen.out
    assert "loopback" not in host.jail("--explain", "--", "/bin/true").out
