# SPDX-License-Identifier: MIT
"""initd as a service of another init: what S15stockade starts and stops, with the real one."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from initds import SLEEP, script

Host: TypeAlias = Any
S15 = Path(__file__).resolve().parents[2] / "buildroot/package/stockade/S15stockade"

pytestmark = pytest.mark.skipif(not shutil.which("start-stop-daemon"), reason="no start-stop-daemon")


@pytest.fixture
def root(host: Host) -> Iterator[Path]:
    """A prefix whose S15stockade starts the initd that is installed here."""
    made = Path(host.folder) / "other"
    initd = Path(host.ujail).with_name("initd")
    (made / "var/run").mkdir(parents=True)
    text = S15.read_text().replace("/usr/bin/initd -- --boot", f"{initd} -- --boot --root {made}")
    (made / "S15").write_text(text.replace("/var/run/", f"{made}/var/run/"))
    yield made
    host.run("sh", made / "S15", "stop")
    shutil.rmtree(made)


def test_start_boots_services_and_stop_ends_them_all(host: Host, root: Path) -> None:
    ubus = Path(host.ujail).parents[1] / "libexec/stockade/ubus"
    service = {"name": "x", "instances": {"a": {"command": SLEEP, "jail": {"name": "x", "procfs": True}}}}
    call = f"{ubus} -s $UBUS_SOCKET call service set '{json.dumps(service)}'"
    text = f'case $1 in running) exit ;; boot) {call} ;; esac; echo "$1" >>{root}/asked'
    for link in ("S10x", "K10x"):
        script(root, link, text)
    assert host.run("sh", root / "S15", "start").out == "Starting initd: OK\n"
    asked = root / "asked"
    host.until(lambda: asked.exists() and asked.read_text() == "boot\n", "the script of the boot")
    listed = host.run(ubus, "-s", root / "var/run/ubus/ubus.sock", "call", "service", "list")
    instance = json.loads(listed.out)["x"]["instances"]["a"]
    pids = [int((root / "var/run/initd.pid").read_text()), instance["pid"], instance["service_pid"]]
    for pid in pids:
        os.kill(pid, 0)
    assert host.run("sh", root / "S15", "stop").out == "Stopping initd: OK\n"
    assert all(host.is_gone(pid) for pid in pids)
    assert asked.read_text() == "boot\nshutdown\n"
