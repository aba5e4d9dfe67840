# SPDX-License-Identifier: MIT
"""A network to try jails in: a namespace of its own with a bridge, and nothing of this machine's.

    unshare --mount --propagation private python -I networld.py

Reads a request a line, answers each with a line, both JSON. {"run": [[WORD, ...], ...]} runs programs to their ends;
{"start": [WORD, ...]} waits for a line "ready"; {"end": PID, "signal": N} sends a signal, if one is given, closes
its input and waits; {"links": 1} tells the devices and their aliases, as sysfs has them; {"pair": [NAME, NAME]} makes
a veth pair, {"up": NAME} and {"delete": NAME} a device so; {"address": [NAME, ADDRESS/LENGTH]} gives it one;
{"serve": PORT} listens on all addresses, {"dial": [ADDRESS, PORT]} connects. The bridge br0 is 10.9.0.1 and fd09::1;
/run/netns/there is this namespace too, and 10.77.0.1 is an address that only a gateway leads to.
"""

import errno
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from jail import pyroute
from jail._native import lib
from jail.netlink import Netlink
from jail.rtnetlink import Routing, attributes, link

TIMEOUT_S = 3
DEVICES = Path("/run/sys/class/net")


def prepare(routing: Routing) -> None:
    routing.set_link(1, up=True)
    routing.add_link("bridge", {}, ifname="br0")
    bridge = routing.index("br0")
    for index, address in ((bridge, "10.9.0.1/24"), (bridge, "fd09::1/64"), (1, "10.77.0.1/32")):
        routing.add_address(index, address)
    routing.set_link(bridge, up=True)
    for words in (["-t", "tmpfs", "none", "/run"], ["-t", "sysfs", "none", "/run/sys"]):
        Path(words[-1]).mkdir(exist_ok=True)
        subprocess.run(["mount", *words], check=True)
    there = Path("/run/netns/there")
    there.parent.mkdir()
    there.touch()
    subprocess.run(["mount", "--bind", "/proc/self/ns/net", str(there)], check=True)


class World:
    def __init__(self) -> None:
        if lib.make_network():
            raise OSError("no network namespace")
        pyroute.load(*pyroute.LINKS)
        self.routing = Routing()
        prepare(self.routing)
        self.processes: dict[int, subprocess.Popen[str]] = {}
        self.servers: list[socket.socket] = []

    def do_run(self, programs: list[list[str]]) -> object:
        """At the same time."""
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        running = [
            subprocess.Popen(each, stdin=nothing, stdout=pipe, stderr=pipe, text=True) for each in programs
        ]
        said = [process.communicate(timeout=60) for process in running]
        return [[process.returncode, *each] for process, each in zip(running, said, strict=True)]

    def do_start(self, words: list[str]) -> object:
        pipe = subprocess.PIPE
        process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        self.processes[process.pid] = process
        assert process.stdout
        lines: list[str] = []
        for line in process.stdout:
            if line == "ready\n":
                return [process.pid, lines]
            lines.append(line)
        return [0, lines]

    def do_end(self, pid: int, signal: int = 0) -> object:
        process = self.processes.pop(pid)
        if signal:
            process.send_signal(signal)
        out, _ = process.communicate(timeout=60)
        return [process.returncode, out]

    def do_links(self, _: object) -> object:
        links = {}
        for device in DEVICES.iterdir():
            try:
                links[device.name] = (device / "ifalias").read_text().strip()
            except OSError:
                continue  # it has just gone
        return links

    def do_pair(self, names: list[str]) -> object:
        one, other = names
        peer = {"VETH_INFO_PEER": {"attrs": attributes({"ifname": other})}}
        self.routing.add_link("veth", peer, ifname=one)
        return names

    def do_up(self, name: str) -> object:
        self.routing.set_link(self.routing.index(name), up=True)
        return name

    def do_delete(self, name: str) -> object:
        netlink = Netlink(lib.NETLINK_ROUTE)
        netlink.ask(link({"ifname": name}), lib.RTM_DELLINK, lib.NLM_F_ACK)
        netlink.close()
        return name

    def do_address(self, words: list[str]) -> object:
        self.routing.add_address(self.routing.index(words[0]), words[1])
        return words

    def do_serve(self, port: int) -> object:
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        self.servers.append(server)
        return port

    def do_dial(self, target: list[Any]) -> object:
        try:
            with socket.create_connection((target[0], target[1]), timeout=TIMEOUT_S):
                return "ok"
        except TimeoutError:
            return "timeout"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


def main() -> None:
    world = World()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        [name, value] = next(iter(request.items()))
        more = {key: request[key] for key in request if key != name}
        print(json.dumps(getattr(world, f"do_{name}")(value, **more)), flush=True)


if __name__ == "__main__":
    main()
