# SPDX-License-Identifier: MIT
"""Each shipped policy holds the real daemon while it is used, in the scenario that the policy was watched in.

The twin: the same scenario with one needed call taken out of the policy fails, and the reason is told.
"""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Host, Result

ROOT = Path(__file__).resolve().parents[2]
# daemon → what the scenario needs on this machine, and a call, by its names, that it cannot do without once it
# serves. Not one of sockets: on i386 all of these are socketcall
FORKS = ("clone", "clone3", "fork", "vfork")
DAEMONS = {
    "dnsmasq": (("dnsmasq", "busybox", "dig", "ip"), ("poll", "ppoll", "ppoll_time64")),
    "dropbear": (("dropbear", "dbclient", "busybox", "ip"), FORKS),
    "httpd": (("busybox", "ip"), FORKS),
}
KERNEL_LIMIT = "the kernel wrote no record"  # it writes at most 10 in 5 seconds
ATTEMPTS = 5
IS_MIPS = os.uname().machine.startswith("mips")  # its kernel never writes one


def play(host: "Host", daemon: str, policy: Path) -> "Result":
    """Run the daemon's scenario in jails with a policy."""
    for program in DAEMONS[daemon][0]:
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{program} is not installed")
    scenario = ROOT / "tests/scenarios" / daemon
    environment = {**os.environ, "TMPDIR": str(host.folder)}
    return host.run(scenario, host.ujail, "-d", "1", "-S", policy, env=environment)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_daemon_serves_under_its_policy(host: "Host", daemon: str) -> None:
    result = play(host, daemon, ROOT / f"json-filters/{daemon}.json")
    assert result.status == 0, result


@pytest.mark.parametrize("daemon", DAEMONS)
def test_daemon_without_a_needed_call_is_killed_and_it_is_said_why(host: "Host", daemon: str) -> None:
    policy = json.loads((ROOT / f"json-filters/{daemon}.json").read_text())
    calls = DAEMONS[daemon][1]
    for rule in policy["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in calls]
    lacking = host.folder / f"{daemon}-lacking.json"
    lacking.write_text(json.dumps(policy))
    for _ in range(ATTEMPTS):
        result = play(host, daemon, lacking)
        assert result.status, result
        assert f"killed by signal {int(signal.SIGSYS)}" in result.err, result
        if KERNEL_LIMIT not in result.err or IS_MIPS:
            break
    said = [KERNEL_LIMIT] if IS_MIPS else [f"was killed for {call} " for call in calls]
    assert any(text in result.err for text in said), result
