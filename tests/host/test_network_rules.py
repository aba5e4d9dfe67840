# SPDX-License-Identifier: MIT
"""--bind and --connect: what is named works, what is not does not, and without the rules it would."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from networks import PORT, World

if TYPE_CHECKING:
    from jails import Host

pytest.importorskip("pyroute2")
VETH = ("--net", "veth:eth0,addr=10.9.0.2/24,addr=fd09::2/64,bridge=br0")
OTHER = PORT + 1
DENIED = f"errno {errno.EACCES}"
NET_CAPABILITIES = 1 << 12 | 1 << 13


@pytest.fixture(scope="module")
def shared_world(host: "Host") -> Iterator[World]:
    world = World(host)
    world.ask(serve=OTHER)
    yield world
    world.close()


def tried(world: World, *rules: str, target: str = "10.9.0.1") -> tuple[str, str]:
    """What became of connects to PORT and to OTHER."""
    seen = world.jail((*VETH, *rules), "connect", target, PORT, "connect", target, OTHER)
    first, second = seen.each(f"connect:{target}")
    return first, second


# ---- a network of the jail's own: nf_tables ----


def test_connects_to_what_is_named_alone(world: World) -> None:
    assert tried(world) == ("ok", "ok")
    assert tried(world, "--connect", f"tcp:{PORT}") == ("ok", "ECONNREFUSED")
    assert tried(world, "--connect", f"tcp:{OTHER}-{OTHER + 9}") == ("ECONNREFUSED", "ok")
    assert tried(world, "--connect", f"udp:{PORT}") == ("ECONNREFUSED", "ECONNREFUSED")
    assert tried(world, "--bind", f"tcp:{PORT}") == ("ECONNREFUSED", "ECONNREFUSED")


@pytest.mark.parametrize(
    ("target", "fits", "does_not"),
    [("10.9.0.1", "10.9.0.0/28", "10.9.0.16/28"), ("fd09::1", "[fd09::/64]", "[fd09:1::/64]")],
)
def test_addresses_count(world: World, target: str, fits: str, does_not: str) -> None:
    assert tried(world, "--connect", f"tcp:{fits}:{PORT}", target=target)[0] == "ok"
    denied = tried(world, "--connect", f"tcp:{does_not}:{PORT}", target=target)
    assert denied == ("ECONNREFUSED", "ECONNREFUSED")


def test_datagrams_leave_to_what_is_named_alone(world: World) -> None:
    for rules, result in (((), "ok"), (("--connect", "udp:53"), "ok"), (("--connect", "udp:54"), "EPERM")):
        seen = world.jail((*VETH, *rules), "send", "10.9.0.1", 53)
        assert seen["send:10.9.0.1"] == result, (rules, seen)


def test_only_ports_that_are_named_can_be_reached(world: World) -> None:
    words = ("listen", "0.0.0.0", 5000, "listen", "0.0.0.0", 5001)
    for rules, other in (((), "ok"), (("--bind", "tcp:5000"), "EHOSTUNREACH")):
        pid = world.start((*VETH, *rules), *words)
        assert world.ask(dial=["10.9.0.2", 5000]) == "ok"
        assert world.ask(dial=["10.9.0.2", 5001]) == other
        assert world.end(pid) == 0


def test_loopback_of_the_jail_is_free(world: World) -> None:
    words = ("listen", "127.0.0.1", 5002, "connect", "127.0.0.1", 5002)
    for options in (VETH, ("-N",)):
        seen = world.jail((*options, "--connect", "tcp:1"), *words)
        assert set(seen.tries().values()) == {"ok"}, seen


def test_service_can_neither_change_the_rules_nor_pass_by(world: World) -> None:
    held = world.jail((*VETH, "--connect", "tcp:1"), "caps")
    free = world.jail(VETH, "caps")
    for name in ("effective", "permitted", "bounding"):
        assert int(held[name], 16) & NET_CAPABILITIES == 0
        assert int(free[name], 16) & NET_CAPABILITIES == NET_CAPABILITIES
    # what such a socket sends no rule sees
    assert world.jail((*VETH, "--connect", "tcp:1"), "packet")["packet"] == "EPERM"
    assert world.jail(VETH, "packet")["packet"] == "ok"
    for asked in ("cap_net_admin", "cap_net_raw", "all"):
        seen = world.jail((*VETH, "--connect", "tcp:1", "-C", asked), "exit", 0)
        assert seen.status == 125 and "with bind or connect rules there cannot be cap_net_" in seen.err
    assert world.jail((*VETH, "--connect", "tcp:1", "-C", "cap_chown"), "exit", 0).status == 0


# ---- the host's network: Landlock ----


def landlock_ports(world: World) -> None:
    """Skip where the kernel is older than Linux 6.7, which is then said."""
    seen = world.jail(("--connect", "tcp:1"), "exit", 0)
    if seen.status:
        assert (seen.status, seen.err.count("\n")) == (125, 1) and "Landlock" in seen.err, seen
        pytest.skip("no Landlock with ports in this kernel")


def test_tcp_ports_of_a_shared_network(world: World) -> None:
    landlock_ports(world)
    words = ("connect", "127.0.0.1", PORT, "listen", "127.0.0.1", 5010)
    for options in ((), ("-c",)):
        free = world.jail(options, *words)
        assert set(free.tries().values()) == {"ok"}, free
        held = world.jail((*options, "--connect", f"tcp:{OTHER}", "--bind", "tcp:5011"), *words)
        assert set(held.tries().values()) == {"EACCES"}, held
        rules = ("--connect", f"tcp:{PORT}", "--bind", "tcp:5000-5020")
        assert set(world.jail((*options, *rules), *words).tries().values()) == {"ok"}
        assert "of it only the TCP ports are closed" in held.err


WAYS = ("fast-sendto", "fast-sendmsg", "fast-sendmmsg", "fast-connect", "protocol")


@pytest.mark.parametrize("options", [(), ("-c",), ("-S", "POLICY"), ("--no-default-filter",)], ids=str)
def test_no_other_way_to_a_tcp_connection(world: World, options: tuple[str, ...]) -> None:
    """Of TCP Landlock sees connect(2) alone, on sockets that are of TCP by their name."""
    landlock_ports(world)
    policy = world.host.policy(default="SCMP_ACT_ALLOW")
    options = tuple(str(policy) if word == "POLICY" else word for word in options)
    for way in WAYS:
        number = (262,) if way == "protocol" else ()
        name = f"{way}:262" if number else f"{way}:127.0.0.1"
        free = world.jail(options, way, *number, "127.0.0.1", PORT)
        if number and free[name] == "EPROTONOSUPPORT":
            continue  # no MPTCP in this kernel
        assert free[name] == "ok", free
        held = world.jail((*options, "--connect", f"tcp:{OTHER}"), way, *number, "127.0.0.1", PORT)
        assert held[name] == "EACCES", held


def test_program_of_another_architecture_is_held_by_landlock(world: World) -> None:
    """The filter lets the launcher pass; of what the program does by socketcall it sees nothing."""
    landlock_ports(world)
    probe = world.host.probes["i386"]
    for rules, expected in (((), "ok"), (("--connect", f"tcp:{OTHER}"), DENIED)):
        words = (world.host.ujail, "-n", "t", *rules, "--", probe, "connect", "127.0.0.1", PORT)
        status, out, err = world.run(*words)
        assert (status, out) == (0, f"connect:127.0.0.1 {expected}\n"), err


def test_port_that_the_kernel_chooses_is_not_held(world: World) -> None:
    """As SECURITY.md says: without bind nobody is asked."""
    landlock_ports(world)
    assert world.jail(("--bind", "tcp:5011"), "listen-anywhere")["listen-anywhere"] == "ok"


def test_program_that_enters_is_under_the_rules_of_the_service(world: World) -> None:
    landlock_ports(world)
    words = ("connect", "127.0.0.1", PORT, "connect", "127.0.0.1", OTHER, "listen", "127.0.0.1", 5010)
    jailctl, probe = Path(world.host.ujail).with_name("jailctl"), world.host.probes["glibc"]
    for rules, expected in (
        (("--connect", f"tcp:{PORT}"), ["ok", DENIED, DENIED]),
        (("--bind", "tcp:5000-5020"), [DENIED, DENIED, "ok"]),
        ((), ["ok", "ok", "ok"]),
    ):
        pid = world.start(("-p", *rules))
        [stub] = world.host.children_of(pid)
        _, out, err = world.run(jailctl, "exec", stub, "--", probe, *words)
        _, listed, _ = world.run(jailctl, "list")
        assert world.end(pid) == 0
        held = f"default; {' '.join(rules).removeprefix('--')}" if rules else "default"
        assert [line.split("\t")[3] for line in listed.splitlines() if f"\t{stub}\t" in line] == [held]
        assert [line.partition(" ")[2] for line in out.splitlines()] == expected, (out, err)


def test_rules_that_landlock_has_no_words_for_are_refused(world: World) -> None:
    for rule, message in {
        "udp:53": "udp ports cannot be held in the host's network",
        "tcp:10.0.0.0/8:53": "addresses cannot be held in the host's network",
        "tcp:1-65535": "more than 1024 ports",
    }.items():
        seen = world.jail(("--connect", rule), "exit", 0)
        assert (seen.status, seen.err.count("\n")) == (125, 1) and message in seen.err, seen
