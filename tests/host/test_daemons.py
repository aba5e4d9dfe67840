# SPDX-License-Identifier: MIT
"""Each daemon with a policy, in the scenario that the policy was watched in: watched anew, held by what was seen then,
and held by the policy that is shipped. Both doors, namespaces and ids are looked at by the scenarios themselves.

The twin: the same scenario with one needed call taken out of the policy fails, and the reason is told.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemons import DAEMONS, SCENARIOS, Daemon

if TYPE_CHECKING:
    from jails import Host
    from result import Result

ROOT = Path(__file__).resolve().parents[2]
NO_RECORD = "the kernel wrote no record"
IN_GUEST = "STOCKADE_GUEST" in os.environ
LIMIT_S = 250 if IN_GUEST else 110  # less than that of a process
IS_MIPS = os.uname().machine.startswith("mips")  # its kernel never writes one

BUILDS = [(daemon, build) for daemon in DAEMONS.values() for build in daemon.builds()]
each_build = pytest.mark.parametrize(
    ("daemon", "build"), BUILDS, ids=[f"{daemon.name}-{build}" for daemon, build in BUILDS]
)
each_daemon = pytest.mark.parametrize("daemon", DAEMONS.values(), ids=lambda daemon: daemon.name)
# the smallest one is enough where all is ten times as slow
each_traced = pytest.mark.parametrize(
    ("daemon", "build"),
    [pair for pair in BUILDS if not IN_GUEST or pair[0].name == "httpd"],
    ids=lambda value: value.name if isinstance(value, Daemon) else value,
)

Play = Callable[..., "Result"]


@pytest.fixture
def play(host: "Host") -> Play:
    """Run a daemon's scenario with the words that start a jail."""

    def run(daemon: Daemon, build: str, *words: object, doors: int = 0) -> "Result":
        environment = daemon.environment(build)
        if isinstance(environment, str):
            pytest.skip(environment)
        if doors:
            environment = {**environment, "SCENARIO_DOORS": str(doors)}
        all_of_it = {**os.environ, "TMPDIR": str(host.folder), **environment}
        # it ends by TERM before it is killed: then it takes its daemons along
        return host.run("timeout", LIMIT_S, SCENARIOS / daemon.name, *words, env=all_of_it)

    return run


def shipped(daemon: Daemon) -> Path:
    return ROOT / f"json-filters/{daemon.name}.json"


def jail(host: "Host", policy: Path) -> list[object]:
    return [host.ujail, "-d", "1", "-S", policy]


@each_build
def test_daemon_serves_under_its_policy(host: "Host", play: Play, daemon: Daemon, build: str) -> None:
    result = play(daemon, build, *jail(host, shipped(daemon)), doors=2)
    assert result.status == 0, result


@each_traced
def test_daemon_serves_under_what_was_watched_just_now(
    host: "Host", play: Play, daemon: Daemon, build: str
) -> None:
    policy = host.folder / f"{daemon.name}-{build}.json"
    policy.unlink(missing_ok=True)
    seen = play(daemon, build, host.utrace, "--jail", "--add", "-f", policy, "--", host.ujail)
    assert seen.status == 0, seen
    result = play(daemon, build, *jail(host, policy), doors=2)
    assert result.status == 0, result


@each_daemon
@pytest.mark.usefixtures("room_for_records")
def test_daemon_without_a_needed_call_is_killed_and_it_is_said_why(
    host: "Host", play: Play, daemon: Daemon
) -> None:
    policy = json.loads(shipped(daemon).read_text())
    for rule in policy["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in daemon.needed]
    lacking = host.folder / f"{daemon.name}-lacking.json"
    lacking.write_text(json.dumps(policy))
    result = play(daemon, daemon.builds()[0], *jail(host, lacking))
    assert result.status, result
    assert f"killed by signal {int(signal.SIGSYS)}" in result.err, result
    if IS_MIPS:
        assert NO_RECORD in result.err, result
        return
    (line,) = [line for line in result.err.splitlines() if f"which {lacking} does not allow" in line]
    assert any(
        f"was killed for {call} (" in line
        and f'; to allow it, add "{call}" to the "names" of its rule ' in line
        for call in daemon.needed
    ), line
