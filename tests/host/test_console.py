# SPDX-License-Identifier: MIT
"""Consoles of jails: what the service has, who holds the other side, and what an operator gets of it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from supervised import LIMIT_S, Supervised, wait_until

from initd.ubus import wire
from initd.ubus.wire import UbusError

if TYPE_CHECKING:
    from jails import Host

SHELL = "/bin/sh"
CONSOLE = {"name": "desk", "console": True, "procfs": True}
ASK = 'echo ready; while read line; do eval "$line"; done'


@pytest.fixture
def initd(host: "Host", run_folder: Path) -> Iterator[Supervised]:
    folder = run_folder / "initd"
    folder.mkdir()
    made = Supervised(Path(host.ujail).with_name("initd"), folder)
    yield made
    made.close()
    said = made.log()
    folder.rename(run_folder / f"initd-{time.monotonic_ns()}")
    assert "Traceback" not in said


class Operator:
    """One end of a pair of sockets; the other one was given to the console."""

    def __init__(self, initd: Supervised, name: str, instance: str = "") -> None:
        self.line, theirs = socket.socketpair()
        self.line.settimeout(LIMIT_S)
        self.heard = ""
        names = {"name": name, **({"instance": instance} if instance else {})}
        try:
            initd.session.call("container", "console_attach", names, theirs.fileno())
        except UbusError:
            self.line.close()
            raise
        finally:
            theirs.close()

    def until(self, text: str) -> str:
        """What is said up to and with this text."""
        while text not in self.heard:
            part = self.line.recv(4096).decode()
            assert part, self.heard
            self.heard += part
        said, _, self.heard = self.heard.partition(text)
        return said

    def ask(self, command: str) -> str:
        self.line.sendall(f"{command}; echo =$((40 + 2))=\n".encode())
        said = self.until("=42=\r\n")
        return said.partition("\r\n")[2]  # without the echo

    def at_end(self) -> bool:
        while part := self.line.recv(4096):
            self.heard += part.decode()
        self.line.close()
        return True


def start(initd: Supervised, **more: Any) -> dict[str, Any]:
    initd.set("s", one={"command": [SHELL, "-c", ASK], "jail": CONSOLE, **more})
    return initd.wait_running("s")


@pytest.mark.parametrize("user", [None, "nobody"])
@pytest.mark.parametrize("userns", [False, True])
def test_the_service_has_a_terminal_of_its_own(
    host: "Host", initd: Supervised, user: str, userns: bool
) -> None:
    jail = {**CONSOLE, "userns": userns}
    start(initd, jail=jail, **({"user": user} if user else {}))
    operator = Operator(initd, "s", "one")
    operator.until("ready\r\n")
    assert operator.ask("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all") == "all\r\n"
    for name in ("console", "tty", "pts/0", "stdout"):
        assert operator.ask(f"echo to {name} >/dev/{name}") == f"to {name}\r\n"
    operator.line.sendall(b"\x03")  # the service is in the foreground of its own session
    assert operator.at_end()
    assert initd.wait("s", state="stopped")["exit_code"] == 128 + signal.SIGINT


def test_the_output_goes_on_without_an_operator_and_the_last_is_kept(host: "Host", initd: Supervised) -> None:
    command = [
        SHELL,
        "-c",
        "i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); echo line $i; done; read x; echo '<'$x'>'",
    ]
    initd.set("s", one={"command": command, "jail": CONSOLE})
    initd.wait_running("s")
    operator = Operator(initd, "s")
    assert operator.until("line 3000\r\n").count("line") > 100
    second = Operator(initd, "s")
    assert operator.at_end()
    second.line.sendall(b"hello\n")
    second.until("hello\r\n<hello>\r\n")  # the terminal's echo, and the service
    assert second.at_end()
    with pytest.raises(UbusError) as error:
        Operator(initd, "s")
    assert error.value.code == wire.NOT_FOUND


def test_consoles_leave_nothing_open(host: "Host", initd: Supervised) -> None:
    def round_of() -> list[str]:
        start(initd)
        operator = Operator(initd, "s")
        operator.until("ready\r\n")
        initd.call("delete", name="s")
        assert operator.at_end()
        wait_until(lambda: not initd.instance("s"), initd.log)
        folder = f"/proc/{initd.process.pid}/fd"
        return sorted(os.readlink(f"{folder}/{fd}").partition(":")[0] for fd in os.listdir(folder))

    first = round_of()  # what is opened once, and stays
    assert [round_of() for _ in range(3)] == [first] * 3


def test_a_jail_without_has_none(host: "Host", initd: Supervised) -> None:
    jail = {"name": "x", "procfs": True}
    command = [str(host.probes["glibc"]), "read", "/dev/console", "hold"]
    initd.set("s", one={"command": command, "jail": jail, "stdout": True})
    initd.wait_running("s")
    initd.wait_log("read:/dev/console errno 2")
    with pytest.raises(UbusError):
        Operator(initd, "s")


def test_nothing_is_typed_into_the_operators_terminal(host: "Host", initd: Supervised) -> None:
    """Its terminal is not the operator's, and the default filter has typing denied."""
    command = [str(host.probes["glibc"]), "tiocsti", "hold"]
    initd.set("s", one={"command": command, "jail": CONSOLE})
    initd.wait_running("s")
    operator = Operator(initd, "s")
    said = operator.until("ready")
    assert "tiocsti errno" in said and "#" not in said
    operator.line.close()


class Terminal:
    """A program on a terminal that we hold."""

    def __init__(self, *argv: object, env: dict[str, str]) -> None:
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(
            [str(word) for word in argv], stdin=slave, stdout=slave, stderr=slave, env={**os.environ, **env}
        )
        os.close(slave)

    def until(self, text: bytes) -> bytes:
        said = b""
        while text not in said:
            said += os.read(self.master, 4096)
        return said

    def close(self) -> int:
        status = self.process.wait(LIMIT_S)
        os.close(self.master)
        return status


def test_jailctl_console(host: "Host", initd: Supervised) -> None:
    start(initd)
    desk = Terminal(Path(host.ujail).with_name("jailctl"), "console", "s", env={"UBUS_SOCKET": initd.socket})
    desk.until(b"ready\r\n")
    os.write(desk.master, b"echo $((40 + 2))\n")
    desk.until(b"\r\n42\r\n")
    os.write(desk.master, b"\x1d")
    assert b"left" in desk.until(b"s: left")
    assert desk.close() == 0
    assert initd.instance("s")["running"]
    done = host.run(
        Path(host.ujail).with_name("jailctl"),
        "console",
        "none",
        env={**os.environ, "UBUS_SOCKET": initd.socket},
    )
    assert (done.status, done.err) == (
        125,
        "jailctl: none: no instance of that name runs and has a console\n",
    )


def test_ujail_gives_its_console_to_initd(host: "Host", initd: Supervised) -> None:
    env = {**os.environ, "UBUS_SOCKET": initd.socket}
    options = ["-n", "desk", "-y", "-p", "--", SHELL, "-c", ASK]
    process = subprocess.Popen([host.ujail, *options], env=env)
    try:
        while True:
            try:
                operator = Operator(initd, "desk")
                break
            except UbusError:
                assert process.poll() is None
                time.sleep(0.01)
        operator.until("ready\r\n")
        assert operator.ask("echo $$") == "2\r\n"
        operator.line.sendall(b"exit 7\n")
        assert operator.at_end()
        assert process.wait(LIMIT_S) == 7
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
    with pytest.raises(UbusError):
        Operator(initd, "desk")


def test_ujail_without_an_initd_starts_nothing(host: "Host", tmp_path: Path) -> None:
    marked = tmp_path / "made"
    env = {**os.environ, "UBUS_SOCKET": str(tmp_path / "none")}
    result = host.jail("-n", "x", "-y", "-w", tmp_path, "--", SHELL, "-c", f"echo >{marked}", env=env)
    assert result.status == 125 and "console: there is no initd on" in result.err
    assert not marked.exists()
