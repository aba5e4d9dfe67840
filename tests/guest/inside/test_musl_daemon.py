# SPDX-License-Identifier: MIT
"""A daemon that is linked with musl, as a router's are, is held by the shipped policy through both doors.

host/test_daemons.py has those of the C library that this machine is made of.
"""

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jails import Host
    from result import Result

ROOT = Path(__file__).resolve().parents[3]
FORKS = ("clone", "clone3", "fork", "vfork")  # for each connection
HTTPD = "/usr/bin/busybox-musl"


def play(host: "Host", policy: Path) -> "Result":
    environment = {**os.environ, "TMPDIR": str(host.folder), "SCENARIO_BUSYBOX": HTTPD}
    return host.run(ROOT / "tests/scenarios/httpd", host.ujail, "-d", "1", "-S", policy, env=environment)


def test_musl_daemon_serves_under_its_policy(host: "Host") -> None:
    result = play(host, ROOT / "json-filters/httpd.json")
    assert result.status == 0, result
    assert "door 1 only" not in result.err


def test_musl_daemon_without_a_needed_call_is_killed(host: "Host") -> None:
    policy = json.loads((ROOT / "json-filters/httpd.json").read_text())
    for rule in policy["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in FORKS]
    lacking = host.folder / "httpd-lacking.json"
    lacking.write_text(json.dumps(policy))
    result = play(host, lacking)
    assert result.status, result
    assert f"killed by signal {int(signal.SIGSYS)}" in result.err, result
