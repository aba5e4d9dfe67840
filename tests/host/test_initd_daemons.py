# SPDX-License-Identifier: MIT
"""The init scripts of buildroot/files for daemons that only tests have: started by initd, used, reloaded, stopped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemons import DAEMONS
from supervised import Supervised, wait_until

if TYPE_CHECKING:
    from jails import Host

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = REPOSITORY / "buildroot/files/etc"
BIND_ONLY = FILES / "capabilities/httpd.json"  # no daemon of a test sets the clock
NOBODY = 65534
# daemon → its configuration below /etc, what says in /proc/net/tcp or udp that it serves, its user, whether a reload
# is a signal
CASES = {
    "lighttpd": (
        "lighttpd/lighttpd.conf",
        'server.document-root = "/www"\nserver.port = 8080\nserver.errorlog = "/var/log/lighttpd/error.log"\n',
        ("tcp", ":1F90 "),
        NOBODY,
        False,
    ),
    "nginx": (
        "nginx/nginx.conf",
        "events {}\nerror_log /var/log/nginx/error.log;\nhttp { access_log off;"
        + "".join(
            f"{n}_temp_path /var/lib/nginx/{n}; "
            for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + "server { listen 8080; root /www; } }\n",
        ("tcp", ":1F90 "),
        NOBODY,
        True,
    ),
    "mosquitto": (
        "mosquitto/mosquitto.conf",
        "listener 1883 127.0.0.1\nallow_anonymous true\n",
        ("tcp", ":075B "),
        NOBODY,
        True,
    ),
    "chronyd": (
        "chrony/chrony.conf",
        "local stratum 9\nallow 127.0.0.0/8\ncmdport 0\ndriftfile /var/lib/chrony/drift\n"
        "bindcmdaddress /var/run/chrony/chronyd.sock\npidfile /var/run/chrony/pid\n",
        ("udp", ":007B "),
        0,
        False,
    ),
}


class Router:
    """A root prefix with our files and one daemon's, and an initd in a network of its own."""

    def __init__(self, host: "Host", root: Path, name: str, debian: str) -> None:
        self.host, self.root, self.debian = host, root, debian
        shutil.copytree(REPOSITORY / "initd/files", root, dirs_exist_ok=True)
        conf, text = CASES[name][:2]
        for folder in (
            "etc/init.d",
            "etc/seccomp",
            "etc/capabilities",
            "var/run/ubus",
            "www",
            f"etc/{conf}/..",
        ):
            os.makedirs(root / os.path.normpath(folder), exist_ok=True)
        shutil.copy(REPOSITORY / f"json-filters/{name}.json", root / "etc/seccomp")
        shutil.copy(BIND_ONLY, root / f"etc/capabilities/{name}.json")
        self.conf = root / "etc" / conf
        self.conf.write_text(self.here(text))
        self.script = root / f"etc/init.d/{name}"
        script = self.here((FILES / "init.d" / name).read_text()).replace("chronyd -d", "chronyd -x -d")
        script = script.replace(" log ronly", " ronly")  # no log daemon here
        self.script.write_text(script)
        self.script.chmod(0o755)
        program = root / "start"
        program.write_text(
            '#!/bin/sh\nexec unshare -n sh -c \'ip link set lo up && exec "$0" "$@"\' '
            f'{Path(host.ujail).with_name("initd")} "$@"\n'
        )
        program.chmod(0o755)
        self.initd = Supervised(program, root)

    def here(self, text: str) -> str:
        """With the paths of this root, and the daemon where it is unpacked."""
        for folder in ("/etc/", "/var/", "/www"):
            text = text.replace(folder, f"{self.root}{folder}")
        text = text.replace(f"{self.root}/etc/passwd {self.root}/etc/group", "/etc/passwd /etc/group")
        return text.replace("/usr/sbin/", f"{self.debian}/usr/sbin/").replace(
            "/usr/lib/lighttpd", f"{self.debian}/usr/lib/lighttpd"
        )

    def run(self, verb: str) -> None:
        bin = Path(self.host.ujail).parent
        environment = {
            "PATH": f"{bin}:{bin.parent}/libexec/stockade:/usr/sbin:/usr/bin:/sbin:/bin",
            "STOCKADE_ROOT": str(self.root),
            "UBUS_SOCKET": self.initd.socket,
        }
        result = self.host.run(self.script, verb, env=environment)
        assert result.status == 0, result


@pytest.fixture(params=CASES)
def router(request: pytest.FixtureRequest, host: "Host", tmp_path: Path) -> Iterator[tuple[str, Router]]:
    found = DAEMONS[request.param].environment("debian")
    if isinstance(found, str):
        pytest.skip(found)
    # the service's user has to get there
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    made = Router(host, tmp_path, request.param, found["SCENARIO_DEBIAN"])
    yield request.param, made
    made.initd.close()


def test_service_is_started_used_reloaded_and_stopped(host: "Host", router: tuple[str, Router]) -> None:
    name, here = router
    table, port = CASES[name][2]
    here.run("start")
    entry = here.initd.wait_running(name, "instance1")

    def serves() -> bool:
        return port in Path(f"/proc/{entry['pid']}/net/{table}").read_text()

    wait_until(serves, here.initd.log)
    [service] = host.children_of(entry["pid"])
    status = host.status_of(service)
    assert status["Uid"].split() == [str(CASES[name][3])] * 4
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    with open(here.conf, "a") as conf:
        conf.write("\n# changed\n")
    here.run("start")  # what a reload trigger does
    if CASES[name][4]:
        assert here.initd.wait_running(name, "instance1")["pid"] == entry["pid"]
    else:
        entry = here.initd.wait_running(name, "instance1", other_than=entry["pid"])
    wait_until(serves, here.initd.log)
    here.run("stop")
    wait_until(lambda: not here.initd.instance(name, "instance1").get("running"), here.initd.log)
    here.initd.stop()
