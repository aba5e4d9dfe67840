# SPDX-License-Identifier: MIT
"""The demo's init scripts with a real initd and the real daemons: start, reload, crash, what is said, stop, boot."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asks import ask, has_object

if TYPE_CHECKING:
    from jails import Host
    from result import Result

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = ("bounding", "permitted", "effective", "inheritable", "ambient")
CAPABILITIES = {kind: ["CAP_NET_ADMIN"] for kind in KINDS}
SETS = ("etc/init.d", "etc/config", "etc/seccomp", "etc/capabilities", "etc/dropbear", "root", "var/run/ubus")


def free_ports(count: int) -> list[int]:
    """Ports that nobody has for TCP, which are as good as free for UDP."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Router:
    """A root prefix with our files, the two scripts and their configuration, and an initd for it."""

    def __init__(self, host: "Host", root: Path) -> None:
        self.host = host
        self.root = root
        bin = Path(host.ujail).parent
        shutil.copytree(REPOSITORY / "initd/files", root, dirs_exist_ok=True)
        for folder in SETS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("dnsmasq", "dropbear"):
            self.script(name, (REPOSITORY / "demo/init.d" / name).read_text())
            shutil.copy(REPOSITORY / f"json-filters/{name}.json", root / "etc/seccomp")
        (root / "etc/capabilities/dnsmasq.json").write_text(json.dumps(CAPABILITIES))
        (root / "etc/passwd").write_text("root:x:0:0::/visitor:/bin/sh\n")
        self.lan, self.guest, self.login = free_ports(3)
        self.config(guest="192.168.2.1")
        self.environment = {
            "PATH": f"{bin}:{bin.parent}/libexec/stockade:/usr/sbin:/usr/bin:/sbin:/bin",
            "STOCKADE_ROOT": str(root),
            "UBUS_SOCKET": str(root / "var/run/ubus/ubus.sock"),
            "PROCD_RELOAD_DELAY": "20",
        }
        self.log = root / "log"
        self.initd: subprocess.Popen[str] | None = None

    def script(self, name: str, text: str) -> None:
        path = self.root / "etc/init.d" / name
        path.write_text(text.replace("/bin/sh /etc/rc.common", f"/bin/sh {self.root}/etc/rc.common", 1))
        path.chmod(0o755)

    def config(self, guest: str) -> None:
        (self.root / "etc/config/dnsmasq").write_text(
            f"config dnsmasq lan\n\toption port '{self.lan}'\n\tlist address '/router.lan/192.168.1.1'\n"
            f"config dnsmasq guest\n\toption port '{self.guest}'\n\tlist address '/router.lan/{guest}'\n"
        )
        (self.root / "etc/config/dropbear").write_text(
            f"config dropbear main\n\toption Address 127.0.0.1\n\toption Port {self.login}\n\toption PasswordAuth 0\n"
        )

    def start(self, *options: str) -> None:
        with open(self.log, "a") as log:
            self.initd = self.host.spawn(
                "initd", "-S", "--root", self.root, *options, env=self.environment, stdout=log, stderr=log
            )
        self.until(lambda: has_object(self.environment["UBUS_SOCKET"], "service"), "the bus")

    def stop(self) -> int:
        assert self.initd is not None
        self.initd.send_signal(signal.SIGTERM)
        return self.host.finish(self.initd).status

    def until(self, is_done: Any, what: str) -> None:
        self.host.until(lambda: is_done(), f"{what} in\n{self.log.read_text()}")

    def run(self, *words: object) -> "Result":
        words = (shutil.which(str(words[0]), path=self.environment["PATH"]) or words[0], *words[1:])
        return self.host.run(*words, env=self.environment)

    def call(self, name: str, *words: str) -> "Result":
        """`/etc/init.d/NAME WORD...`, which says nothing on stderr."""
        ran = self.run(self.root / "etc/init.d" / name, *words)
        assert ran.err == "", ran
        return ran

    def instances(self) -> dict[str, Any]:
        """By service::instance, as `service list` has them."""
        listed = ask(self.environment["UBUS_SOCKET"], "service", "list")
        return {
            f"{name}::{instance}": values
            for name, service in listed.items()
            for instance, values in service.get("instances", {}).items()
        }

    def pids(self) -> dict[str, int]:
        return {
            name: values.get("service_pid", values.get("pid", 0)) for name, values in self.instances().items()
        }

    def address(self, port: int) -> str:
        return self.run(
            "dig", "@127.0.0.1", "-p", port, "+tries=1", "+time=1", "+short", "router.lan"
        ).out.strip()


@pytest.fixture
def router(host: "Host", tmp_path: Path) -> Iterator[Router]:
    for program in ("dnsmasq", "dropbear", "dig"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{program} is not installed")
    root = Path(f"/tmp/stockade-router-{os.getpid()}")
    root.mkdir(mode=0o755)
    try:
        yield Router(host, root)
    finally:
        shutil.rmtree(root)


def test_scripts_of_real_daemons(router: Router) -> None:
    """One life of a router."""
    router.start()
    assert router.call("dnsmasq", "status").status == 3
    for name in ("dnsmasq", "dropbear"):
        assert router.call(name, "start").status == 0
    router.until(lambda: router.address(router.lan) == "192.168.1.1", "an answer")
    router.until(lambda: router.address(router.guest) == "192.168.2.1", "an answer")
    for name in ("dnsmasq", "dropbear"):
        status = router.call(name, "status")
        assert (status.status, status.out) == (0, "running\n")
        assert router.call(name, "running").status == 0
    info = json.loads(router.call("dropbear", "info").out)["dropbear"]
    assert info["validate"][0]["rules"]["Port"] == "port"
    assert info["triggers"][0][0] == "config.change"
    assert info["instances"]["main"]["data"]["mdns"][f"ssh_{router.login}"]["service"] == "_ssh._tcp.local"
    first = router.pids()
    assert sorted(first) == ["dnsmasq::guest", "dnsmasq::lan", "dropbear::main"]
    # in their jails: ids, filters, a root of their own
    seen = router.host.status_of(first["dnsmasq::lan"])
    assert seen["Uid"].split() == ["65534"] * 4 and seen["Seccomp"] == "2"
    assert router.host.status_of(first["dropbear::main"])["Seccomp"] == "2"
    assert os.listdir(f"/proc/{first['dropbear::main']}/root/visitor") == []
    assert not os.path.exists(f"/proc/{first['dnsmasq::lan']}/root/bin")

    # a start and a reload of what is as it was change nothing
    assert router.call("dnsmasq", "start").status == router.call("dropbear", "reload").status == 0
    assert router.pids() == first

    # a changed configuration reaches what it is about, through initd's triggers
    assert router.run(router.root / "sbin/reload_config").status == 0
    router.config(guest="192.168.2.99")
    assert router.run(router.root / "sbin/reload_config").status == 0
    router.until(lambda: router.address(router.guest) == "192.168.2.99", "the new address")
    second = router.pids()
    assert second["dnsmasq::guest"] != first["dnsmasq::guest"]
    assert {**second, "dnsmasq::guest": 0} == {**first, "dnsmasq::guest": 0}

    # a crash
    os.kill(second["dnsmasq::lan"], signal.SIGSEGV)
    router.until(lambda: router.pids()["dnsmasq::lan"] not in (0, second["dnsmasq::lan"]), "a respawn")
    router.until(lambda: router.address(router.lan) == "192.168.1.1", "an answer")
    assert re.search(r"dnsmasq::lan: .*SIGSEGV", router.log.read_text())

    # one instance alone, then all
    assert router.call("dnsmasq", "stop", "guest").status == 0
    router.until(lambda: "dnsmasq::guest" not in router.pids(), "the end of an instance")
    assert router.call("dnsmasq", "status", "guest").status == 4
    assert router.call("dnsmasq", "status", "lan").status == 0
    last = router.pids()
    for name in ("dnsmasq", "dropbear"):
        assert router.call(name, "stop").status == 0
    router.until(lambda: not router.instances(), "the end of all")
    assert router.call("dropbear", "status").out == "inactive\n"
    router.host.until(lambda: all(router.host.is_gone(pid) for pid in last.values()), "the processes")
    assert not list((router.root / "var/run").glob("*.pid"))
    assert router.stop() == 0


def test_boot_and_shutdown_run_the_links(router: Router) -> None:
    router.script(
        "odd",
        "#!/bin/sh /etc/rc.common\nSTART=95\nSTOP=05\nboot() { echo booted; }\nstop() { echo stopped; }\n",
    )
    for name in ("dnsmasq", "dropbear", "odd"):
        assert router.call(name, "enable").status == 0
    router.start("--boot")
    router.until(lambda: "all scripts of the boot were run" in router.log.read_text(), "the boot")
    router.until(lambda: len(router.pids()) == 3 and all(router.pids().values()), "the services")
    pids = router.pids()
    assert router.stop() == 0
    log = router.log.read_text()
    assert log.index("booted") < log.index("stopped")
    assert all(router.host.is_gone(pid) for pid in pids.values())


def test_trace_and_stop_say_where_the_trace_is(router: Router) -> None:
    router.start()
    router.script(
        "two",
        "#!/bin/sh /etc/rc.common\nUSE_PROCD=1\nstart_service() {\n\tlocal one\n\tfor one in a b; do\n"
        "\t\tprocd_open_instance $one\n\t\tprocd_set_param command /bin/sh -c 'read x </none; read x'\n"
        "\t\tprocd_set_param command sleep 1000\n\t\tprocd_add_jail $one procfs\n"
        "\t\tprocd_close_instance\n\tdone\n}\n",
    )
    assert router.call("two", "start").out == ""  # a service that runs is traced as well
    said = router.call("two", "trace")
    files = [Path(line.split()[-1]) for line in said.out.splitlines()]
    assert said.status == 0 and len(files) == 2
    assert said.out.startswith(f"two: once it is stopped, the trace is in {router.root}/tmp/sleep.json.")
    router.until(lambda: all("service_pid" in one for one in router.instances().values()), "the services")
    said = router.call("two", "stop")
    assert said.out == "".join(f"two: the trace is in {file}\n" for file in files)
    assert all(json.loads(file.read_text())["syscalls"] for file in files)
    assert router.call("two", "start").out == router.call("two", "stop").out == ""
    assert router.stop() == 0


def test_a_misspelt_protection_is_no_start(router: Router) -> None:
    """The twin is the same script with the word right."""
    text = (
        "#!/bin/sh /etc/rc.common\nUSE_PROCD=1\nstart_service() {\n\tprocd_open_instance\n"
        '\tprocd_set_param command /bin/sh -c "while :; do sleep 100; done"\n'
        "\tprocd_set_param WORD nobody\n\tprocd_close_instance\n}\n"
    )
    router.start()
    router.script("odd", text.replace("WORD", "user"))
    assert router.call("odd", "start").status == 0
    assert router.pids()["odd::instance1"]
    router.script("odd", text.replace("WORD", "usr"))
    ran = router.run(router.root / "etc/init.d/odd", "start")
    assert "unknown parameter 'usr', did you mean 'user'?; the instance will not start" in ran.err
    router.until(lambda: not router.pids()["odd::instance1"], "the end")
    assert router.instances()["odd::instance1"]["errors"] == ["unknown parameter 'usr', did you mean 'user'?"]
    assert router.call("odd", "status").status == 5
    assert router.stop() == 0
