# SPDX-License-Identifier: MIT
"""The `initd` command below a prefix of its own, as process 1 of a PID namespace if a test wants it so."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from asks import ask, has_object

Host: TypeAlias = Any
Make: TypeAlias = "Callable[..., Initd]"
APART = ("unshare", "--mount", "--propagation", "private")
# /tmp would be missing, and a new one mounted over what the test needs
OWN_TMP = 'mount --bind /tmp /tmp; exec unshare --pid --fork --uts --net --mount-proc "$@"'
FIRST = (*APART, "sh", "-c", OWN_TMP, "sh")
SLEEP = ["/bin/busybox", "sleep", "1000"]


class Initd:
    """One initd below a prefix of its own; what it logs goes to a file."""

    def __init__(self, host: Host, root: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        bin = Path(host.ujail).parent
        self.host, self.root = host, root
        given = dict(itertools.pairwise(options))
        self.socket = Path(given.get("-s", root / "var/run/ubus/ubus.sock"))
        self.ubus_command = bin.parent / "libexec/stockade/ubus"
        self.log_path = root / "log"
        env = {key: value for key, value in os.environ.items() if key != "UBUS_SOCKET"}
        with open(self.log_path, "a") as log:
            words = (*prefix, bin / "initd", "-S", "--root", root, *options)
            self.process = host.spawn(*words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_for(self, text: str) -> None:
        self.host.until(lambda: text in self.log, f"{text!r} in\n{self.log}")

    def ubus(self, *args: str) -> Any:
        return self.host.run(self.ubus_command, "-s", self.socket, *args)

    def call(self, path: str, method: str, /, **data: Any) -> dict[str, Any]:
        return ask(self.socket, path, method, **data)

    def set(self, name: str, **instance: object) -> int:
        """Have a service with one instance; returns the service's own pid."""
        self.call("service", "set", name=name, instances={"a": instance})
        found = self.call("service", "list", name=name)[name]["instances"]["a"]
        assert found["running"], (found, self.log)
        return int(found.get("service_pid") or found["pid"])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return int(self.process.wait(60))


def kill_tree(host: Host, process: Any) -> None:
    """`unshare` does not take its process 1 along: BusyBox's cannot."""
    if process.poll() is None:
        for pid in host.children_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.kill()


@pytest.fixture
def make(host: Host) -> Iterator[Make]:
    """Makes initds, each in a directory below the one whose processes the leak check looks for."""
    made: list[Initd] = []

    def start(*options: str, prepare: Callable[[Path], None] = lambda root: None, **settings: Any) -> Initd:
        root = host.folder / f"initd-{len(made)}"
        root.mkdir()
        prepare(root)
        initd = Initd(host, root, *options, **settings)
        made.append(initd)
        host.until(lambda: initd.process.poll() is not None or has_object(initd.socket, "service"), "a bus")
        return initd

    yield start
    for initd in made:
        kill_tree(host, initd.process)
        initd.process.wait()
        host.run("rm", "-r", initd.root)


def script(folder: Path, link: str, text: str) -> None:
    """A script in init.d with a link in rc.d."""
    name = link[1:].lstrip("0123456789")
    for path in ("etc/init.d", "etc/rc.d"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / "etc/init.d" / name).write_text(f"#!/bin/busybox sh\n{text}\n")
    (folder / "etc/init.d" / name).chmod(0o755)
    (folder / "etc/rc.d" / link).symlink_to(f"../init.d/{name}")
