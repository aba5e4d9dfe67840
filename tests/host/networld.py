# SPDX-License-Identifier: MIT
"""A network to try jails in: a namespace of its own with a bridge, and nothing of this machine's.

    unshare --mount --propagation private python -I networld.py

Reads a request a line, answers each with a line, both JSON. {"run": [WORD, ...]} runs a program to its end;
{"start": [WORD, ...]} waits for a line "ready"; {"end": PID, "signal": N} sends a signal, if one is given, closes
its input and waits; {"links": 1} tells the devices; {"link": {...}} is pyroute2's, {"address": [NAME, ADDRESS,
LENGTH]} nearly so; {"serve": PORT} listens on all addresses, {"dial": [ADDRESS, PORT]} connects. The bridge br0 is
10.9.0.1 and fd09::1; /run/netns/there is this namespace too, and 10.77.0.1 is an address that only a gateway
leads to.
"""

import errno
import json
import os
import socket
import subprocess
import sys
from typing import Any

from pyroute2 import IPRoute

from jail._native import lib

TIMEOUT_S = 3


def prepare(ip: Any) -> None:
    ip.link("set", index=1, state="up")
    ip.link("add", ifname="br0", kind="bridge")
    bridge = ip.link_lookup(ifname="br0")[0]
    ip.addr("add", index=bridge, address="10.9.0.1", prefixlen=24)
    ip.addr("add", index=bridge, address="fd09::1", prefixlen=64, flags=2)  # no wait for other owners
    ip.addr("add", index=1, address="10.77.0.1", prefixlen=32)
    ip.link("set", index=bridge, state="up")
    for words in (["-t", "tmpfs", "none", "/run"], ["--bind", "/proc/self/ns/net", "/run/netns/there"]):
        if words[-1] != "/run":
            os.mkdir("/run/netns")
            os.close(os.open(words[-1], os.O_CREAT | os.O_WRONLY))
        subprocess.run(["mount", *words], check=True)


class World:
    def __init__(self) -> None:
        if lib.make_network():
            raise OSError("no network namespace")
        self.ip = IPRoute()
        prepare(self.ip)
        self.processes: dict[int, subprocess.Popen[str]] = {}
        self.servers: list[socket.socket] = []

    def do_run(self, words: list[str]) -> object:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return [done.returncode, done.stdout, done.stderr]

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
        for link in self.ip.get_links():
            parts = {name: link.get_attr(f"IFLA_{name}") for name in ("IFALIAS", "MTU", "MASTER", "ADDRESS")}
            links[link.get_attr("IFLA_IFNAME")] = parts
        return links

    def do_link(self, settings: dict[str, Any]) -> object:
        how = settings.pop("how", "add")
        if how != "add":
            settings["index"] = self.ip.link_lookup(ifname=settings.pop("name"))[0]
        return len(self.ip.link(how, **settings))

    def do_address(self, words: list[Any]) -> object:
        index = self.ip.link_lookup(ifname=words[0])[0]
        return len(self.ip.addr("add", index=index, address=words[1], prefixlen=words[2]))

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
