# SPDX-License-Identifier: MIT
"""Networks of services: made before each start while initd goes on, gone or back after each end, also initd's own."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from networks import PORT, World
from supervised import CALL_S, Supervised, supervised

from initd.ubus.blob import INT8, STRING
from initd.ubus.blocking import Session
from initd.ubus.object import Call, Method, Object

if TYPE_CHECKING:
    from jails import Host

pytest.importorskip("pyroute2")
VETH = "veth:eth0,addr=10.9.0.2/24,bridge=br0,peer=outer"


@pytest.fixture
def initd(host: "Host", world: World, folder: Path) -> Iterator[Supervised]:
    inside = ("nsenter", f"-n/proc/{world.process.pid}/ns/net")
    with supervised(Path(host.ujail).with_name("initd"), folder, prefix=inside) as made:
        yield made


def service(host: "Host", *verbs: object, **jail: Any) -> dict[str, Any]:
    command = [str(word) for word in (host.probes["glibc"], *verbs)]
    return {"command": command, "stdout": True, "stderr": True, "jail": {"name": "n", **jail}}


def set_and_list(host: "Host", initd: Supervised, name: str, table: dict[str, Any]) -> dict[str, Any]:
    """The instance as it is listed at once: both calls are there when initd reads the first one."""
    answers: list[Any] = []
    initd.process.send_signal(signal.SIGSTOP)
    host.until(lambda: host.status_of(initd.process.pid)["State"].startswith("T"), "the stop of initd")
    ask = initd.session.start_invoke
    requests = [
        ask(initd.service, "set", {"name": name, "instances": {"one": table}}),
        ask(initd.service, "list", {"name": name}, answers.append),
    ]
    initd.process.send_signal(signal.SIGCONT)
    for request in requests:
        initd.session.wait(request)
    listed: dict[str, Any] = answers[0][name]["instances"]["one"]
    return listed


def test_service_starts_in_its_network_and_each_time_in_a_new_one(
    host: "Host", world: World, initd: Supervised
) -> None:
    table = service(host, "connect", "10.9.0.1", PORT, "hold", net=[VETH])
    listed = set_and_list(host, initd, "s", {**table, "respawn": ["3600", "0", "5"]})
    assert listed["state"] == "starting"  # and initd answers
    first = initd.wait_running("s")
    initd.wait_log("connect:10.9.0.1 ok")
    assert world.links()["outer"] == "jail n eth0"
    assert initd.instance("s")["jail"]["net"] == [VETH]
    host.run("kill", "-9", first["service_pid"])
    second = initd.wait_running("s", other_than=first["pid"])
    initd.wait_log(f"probe-glibc[{second['service_pid']}]: connect:10.9.0.1 ok")
    initd.call("delete", name="s")
    world.wait_as_before()
    initd.stop()


def test_network_that_cannot_be_made_is_a_reason(host: "Host", initd: Supervised) -> None:
    initd.set("s", one=service(host, "hold", net=["veth:eth0,bridge=nosuch"]))
    listed = initd.wait("s", state="failed")
    assert listed["failed"] == "cannot start: network: there is no device nosuch"
    initd.set("t", one=service(host, "hold", net=["netns:nosuch"]))
    assert "open the network /run/netns/nosuch" in initd.wait("t", state="failed")["failed"]
    initd.set("u", one=service(host, "hold", net=["vteh:eth0"]))
    assert "is none of veth:" in initd.wait("u", state="stopped")["errors"][0]
    initd.stop()


def test_stop_and_change_before_the_start(host: "Host", world: World, initd: Supervised) -> None:
    initd.set("s", one=service(host, "hold", net=[VETH]), two=service(host, "hold", net=["veth:eth0"]))
    initd.set("s", one=service(host, "hold", net=["veth:eth1,bridge=br0,peer=other"]))
    initd.wait_running("s")
    host.until(  # the network of the first one goes on its own
        lambda: {"other"} == world.links().keys() - world.before.keys() - {"outer"}, "one network"
    )
    initd.set("t", one=service(host, "hold", net=["veth:eth0"]))
    initd.stop()  # while that is made


def test_rules_of_a_service_hold(host: "Host", world: World, initd: Supervised) -> None:
    verbs = ("listen", "0.0.0.0", 5000, "listen", "0.0.0.0", 5001, "hold")
    initd.set("s", one=service(host, *verbs, net=[VETH], net_bind=["tcp:5000"]))
    initd.wait_running("s")
    initd.wait_log("]: ready")
    assert [world.ask(dial=["10.9.0.2", port]) for port in (5000, 5001)] == ["ok", "EHOSTUNREACH"]
    initd.stop()


def test_existing_namespace(host: "Host", world: World, initd: Supervised) -> None:
    path = f"/proc/{world.process.pid}/ns/net"
    initd.set("s", one=service(host, "connect", "127.0.0.1", PORT, "hold", net=[f"netns:{path}"]))
    initd.wait_log("connect:127.0.0.1 ok")
    initd.stop()


@pytest.mark.parametrize("how", ["stop", "crash", "initd killed"])
def test_device_comes_back(host: "Host", world: World, initd: Supervised, how: str) -> None:
    world.ask(pair=["d0", "d1"])
    initd.set("s", one=service(host, "hold", net=["dev:d0,name=lan", VETH]))
    running = initd.wait_running("s")
    assert {"d1", "outer"} == world.links().keys() - world.before.keys()
    if how == "initd killed":
        initd.process.send_signal(signal.SIGKILL)
        initd.process.wait()
    elif how == "crash":
        host.run("kill", "-9", running["service_pid"])
    else:
        initd.call("delete", name="s")
    host.until(
        lambda: {"d0", "d1"} == world.links().keys() - world.before.keys(), "the device that comes back"
    )
    world.ask(delete="d0")
    if how != "initd killed":
        initd.stop()


def test_trace_in_a_network_of_its_own(host: "Host", world: World, initd: Supervised) -> None:
    table = service(host, "connect", "10.9.0.1", PORT, "stay", net=[VETH])
    initd.set("s", one={**table, "trace": True})
    initd.wait_log("connect:10.9.0.1 ok")
    initd.call("delete", name="s")
    initd.wait_log("the trace is in ")
    [path] = re.findall(r"the trace is in (\S+)", initd.log())
    # i386's C library makes it in another way
    assert {"connect", "socketcall"} & set(re.findall(r'"(\w+)"', Path(path).read_text()))
    initd.stop()


class Netifd:
    """An object `network` on the bus, as netifd has: it notes the calls and looks at the descriptors."""

    def __init__(self, path: str) -> None:
        self.told: list[tuple[Any, Any, str]] = []
        self.session = Session(path, CALL_S)
        method = Method(self._take, {"jail": STRING, "start": INT8}, ("jail", "start"))
        self.session.add(Object("network", {"netns_updown": method}))

    def _take(self, call: Call) -> None:
        fd = call.take_fd()
        self.told.append((call.data["jail"], call.data["start"], os.readlink(f"/proc/self/fd/{fd}")))
        os.close(fd)

    def wait(self, count: int) -> None:
        self.session.work_until(lambda: len(self.told) >= count)


def test_netifd_is_told_as_procd_does(host: "Host", initd: Supervised) -> None:
    netifd = Netifd(initd.socket)
    initd.set("s", one=service(host, "hold", netns=True), two=service(host, "hold", procfs=True))
    running = initd.wait_running("s")
    namespace = os.readlink(f"/proc/{running['service_pid']}/ns/net")
    netifd.wait(1)
    host.run("kill", "-9", running["service_pid"])  # the namespace waits for netifd
    netifd.wait(2)
    assert netifd.told == [("n", True, namespace), ("n", False, namespace)]
    netifd.session.close()
    initd.stop()
