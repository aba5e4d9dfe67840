# SPDX-License-Identifier: MIT
"""initd's log and a real log daemon: a flood, a daemon that stands still, one that is started again, forged lines."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("syslog_driver.py")
LINES = 200_000
LINE = re.compile(r"[A-Z][a-z]{2} [ 1-3][0-9] [0-9:]{8} \S+ (\S+) (.*)")


def has_syslogd() -> bool:
    busybox = shutil.which("busybox")
    if not busybox:
        return False
    return "syslogd" in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not has_syslogd():
        pytest.skip("no BusyBox with syslogd")
    folder = tmp_path_factory.mktemp("syslog")
    apart = ["unshare", "--mount", "--propagation", "private"]
    done = subprocess.run(
        [*apart, sys.executable, str(DRIVER), str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def texts(lines: list[str], level: str) -> list[str]:
    """What is behind the head that syslogd made of ours."""
    matches = [LINE.fullmatch(line) for line in lines]
    assert all(match and match[1] == level for match in matches), lines[:3]
    return [match[2].partition(": ")[2] for match in matches if match]


def test_a_flood_is_cut_and_every_line_is_accounted_for(seen: dict[str, Any]) -> None:
    said = texts(seen["flood"], "local0.info")
    notes = [re.fullmatch(r"\((\d+) lines dropped: more than 100 a second\)", text) for text in said]
    numbers = [int(text) for text, note in zip(said, notes, strict=True) if not note]
    assert numbers[:1000] == list(range(1, 1001)) and numbers == sorted(set(numbers))
    assert len(numbers) + sum(int(note[1]) for note in notes if note) == LINES
    assert len(numbers) < 1200 + 100 * seen["took_s"]
    assert seen["status"] == 0


def test_a_flood_leaves_turns_to_others(seen: dict[str, Any]) -> None:
    assert seen["gap_s"] < (2.5 if "STOCKADE_GUEST" in os.environ else 0.5)


def test_nobody_waits_for_a_daemon_that_stands_still_and_nothing_is_lost(seen: dict[str, Any]) -> None:
    assert seen["waited"] > 100
    assert texts(seen["still"], "daemon.info") == [f"still {number}" for number in range(400)]


def test_a_daemon_that_is_started_again_misses_nothing(seen: dict[str, Any]) -> None:
    assert texts(seen["restart"], "daemon.info") == [f"restart {number}" for number in range(4)]


def test_a_line_cannot_be_forged(seen: dict[str, Any]) -> None:
    assert seen["forged"].endswith("svc_x[7]: a\\x0a<0>Jan  1 00:00:00 forged: b\\x00c")
