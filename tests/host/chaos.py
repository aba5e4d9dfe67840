# SPDX-License-Identifier: MIT
"""Process 1 of a PID namespace with an initd in it, to which everything happens; see test_initd_chaos.py.

    unshare --mount --pid --fork --mount-proc python chaos.py '{"seconds": …, "seed": …, …}'

Keys: seconds, seed, folder, and the programs probe and initd. Being process 1 it sees every process there is, so
that what is left over in the end cannot hide. Prints one JSON line: how often each thing was done.
"""

import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from supervised import Supervised, wait_until

from initd.ubus.blocking import Session
from initd.ubus.wire import UbusError

SERVICES = ("a", "b", "c", "d")
INSTANCES = ("one", "two", "three")
FOR_EVER = ["3600", "0", "0"]
CLIENTS_MAX = 20
ENOUGH = 10


class Chaos:
    """`wanted` is what the last `set` of each service asked for."""

    def __init__(self, initd: str, folder: Path, probe: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.probe = probe
        self.done: Counter[str] = Counter()
        self.version = 0
        self.wanted: dict[str, dict[str, dict[str, Any]]] = {}
        self.clients: list[Session] = []
        self.initd = Supervised(Path(initd), folder)
        self.initd.call("list")
        self.fds = self._fds()
        self.mounts = mounts()

    def _fds(self) -> int:
        return len(os.listdir(f"/proc/{self.initd.process.pid}/fd"))

    # what is done to it

    def table(self, is_last: bool) -> dict[str, Any]:
        """A random instance; in the last ones of a run nothing that ends by itself."""
        self.version += 1
        table: dict[str, Any] = {"env": {"V": str(self.version)}, "respawn": FOR_EVER, "term_timeout": 1}
        verbs = ["hold", "hold", "name-signals", "ignore 15 hold", "daemon hold"]
        if not is_last:
            verbs += ["exit 1", "die 11"]
        table["command"] = [self.probe, *self.random.choice(verbs).split()]
        if self.random.random() < 0.5:
            table["jail"] = {"procfs": True}
        elif "daemon" in table["command"]:
            table["command"] = [self.probe, "hold"]  # its daemon would outlive it, as nothing holds it
        for key, value in (
            ("stdout", True),
            ("stderr", True),
            ("nice", 5),
            ("no_new_privs", True),
            ("pidfile", f"{self.folder}/{self.version % 5}.pid"),
            ("reload_signal", signal.SIGUSR1),
            ("data", {"x": self.version}),
        ):
            if self.random.random() < 0.3:
                table[key] = value
        if self.random.random() < 0.1:
            table["user"] = "no-such-user"
        if self.random.random() < 0.05:
            table["command"] = ["/no/such/program"]
        return table

    def set(self, is_last: bool = False) -> None:
        name = self.random.choice(SERVICES)
        self.set_one(name, is_last)

    def set_one(self, name: str, is_last: bool) -> None:
        names = [one for one in INSTANCES if self.random.random() < 0.7]
        old = self.wanted.get(name, {})
        # now and then what is there already
        keep = [one for one in names if one in old and self.random.random() < 0.3 and not is_last]
        tables = {one: old[one] if one in keep else self.table(is_last) for one in names}
        self.initd.call("set", name=name, instances=tables, autostart=True)
        self.wanted[name] = tables

    def delete(self) -> None:
        name = self.random.choice(SERVICES)
        self.wanted.pop(name, None)
        self.call("delete", name=name)

    def call(self, method: str, **data: Any) -> None:
        with contextlib.suppress(UbusError):  # not found, perhaps: it is random
            self.initd.call(method, **data)

    def state(self) -> None:
        self.call("state", name=self.random.choice(SERVICES), spawn=self.random.random() < 0.6)

    def signal(self) -> None:
        self.call("signal", name=self.random.choice(SERVICES), signal=self.random.choice([1, 10, 12, 15]))

    def event(self) -> None:
        self.call("event", type="config.change", data={"package": "p"})

    def kill(self) -> None:
        """A service, or the stub of its jail."""
        pids = self.pids()
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(pids), self.random.choice([9, 9, 11, 15, 19, 18]))

    def pids(self) -> list[int]:
        listed = self.initd.call("list")
        instances = [one for service in listed.values() for one in service.get("instances", {}).values()]
        return [one[key] for one in instances for key in ("pid", "service_pid") if one.get(key)]

    def connect(self) -> None:
        """One more client that subscribes, calls and does not read."""
        session = Session(self.initd.socket, 20)
        session.subscribe(["service"], lambda name, data: None)
        session.start_invoke(self.initd.service, "list", {"verbose": True})
        session.work()
        self.clients.append(session)
        if len(self.clients) > CLIENTS_MAX:
            self.disconnect()

    def disconnect(self) -> None:
        if self.clients:
            self.clients.pop(self.random.randrange(len(self.clients))).close()

    def babble(self) -> None:
        """A peer that sends bytes without sense and goes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(self.initd.socket)
            with contextlib.suppress(OSError):
                peer.send(self.random.randbytes(self.random.randrange(200)))

    def run(self, seconds: float) -> None:
        things = [self.set, self.kill, self.kill, self.state, self.delete, self.signal, self.event]
        things += [self.connect, self.disconnect, self.babble]
        end_s = time.monotonic() + seconds
        # a slow machine goes on until enough has happened
        while time.monotonic() < end_s or min(self.done["set"], self.done["kill"]) < ENOUGH:
            thing = self.random.choice(things)
            thing()
            self.done[thing.__name__] += 1
            reap(self.initd.process.pid)

    # how it ends

    def settle(self) -> None:
        """The last wish for each service, and the state it asks for."""
        while self.clients:
            self.disconnect()
        for name in SERVICES:
            if self.random.random() < 0.2:
                self.wanted.pop(name, None)
                self.call("delete", name=name)
            else:
                self.set_one(name, is_last=True)
        wait_until(
            lambda: not self.differences(), lambda: f"{self.differences()}\n{self.initd.log()[-5000:]}"
        )

    def differences(self) -> list[str]:
        """Where the list, or the processes, are not what was asked for."""
        reap(self.initd.process.pid)
        listed = self.initd.call("list")
        out = [f"{name} listed" for name in listed if name not in self.wanted]
        expected: set[int] = {1, self.initd.process.pid}
        for name, tables in self.wanted.items():
            instances = listed.get(name, {}).get("instances", {})
            if set(instances) != set(tables):
                out.append(f"{name}: {sorted(instances)} instead of {sorted(tables)}")
            for one in set(instances) & set(tables):
                out += self.difference(f"{name}::{one}", instances[one], tables[one])
                expected |= {instances[one][key] for key in ("pid", "service_pid") if key in instances[one]}
        in_jails = {pid for pid in everybody() if root_of(pid) != root_of(1)}
        strays = everybody() - expected - in_jails
        return out + [f"stray process {pid}: {command(pid)}" for pid in sorted(strays)]

    def difference(self, name: str, listed: dict[str, Any], table: dict[str, Any]) -> list[str]:
        if "user" in table or table["command"] == ["/no/such/program"]:
            return [f"{name} runs"] if listed["running"] else []
        if listed["state"] != "running":
            return [f"{name} is {listed['state']}"]
        try:
            env = Path(f"/proc/{listed.get('service_pid') or listed['pid']}/environ").read_bytes()
        except OSError:
            return [f"{name} has no process"]
        if f"V={table['env']['V']}".encode() not in env.split(b"\0") and "reload_signal" not in table:
            return [f"{name} runs with {env!r}, not {table['env']}"]
        return []

    def end(self) -> None:
        """Delete all, and nothing is left but what was there before the first service."""
        for name in self.initd.call("list"):
            self.call("delete", name=name)
        pid = self.initd.process.pid

        def rest() -> list[object]:
            reap(pid)
            left: list[object] = [self.initd.call("list")] if self.initd.call("list") else []
            left += [f"{one}: {command(one)}" for one in everybody() - {1, pid}]
            left += [line for line in mounts() if line not in self.mounts]
            left += [path.name for path in self.folder.glob("*.pid")]
            return left + ([f"{self._fds()} descriptors, not {self.fds}"] if self._fds() != self.fds else [])

        wait_until(lambda: not rest(), lambda: f"left: {rest()}\n{self.initd.log()[-5000:]}")
        self.initd.stop()
        assert "Traceback" not in self.initd.log(), self.initd.log()


def everybody() -> set[int]:
    """All processes, zombies too."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def root_of(pid: int) -> object:
    try:
        status = os.stat(f"/proc/{pid}/root/.")
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()[:200]
    except OSError:
        return "gone"


def mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def reap(initd_pid: int) -> None:
    """The orphans that are ours as process 1; not initd, whose end is waited for elsewhere."""
    for name in Path("/proc/1/task/1/children").read_text().split():
        if int(name) != initd_pid:
            os.waitpid(int(name), os.WNOHANG)


def main(request: dict[str, Any]) -> None:
    chaos = Chaos(request["initd"], Path(request["folder"]), request["probe"], request["seed"])
    chaos.run(request["seconds"])
    chaos.settle()
    chaos.end()
    print(json.dumps(chaos.done))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
