# SPDX-License-Identifier: MIT
"""S15stockade, by which another init starts initd: with a stand-in for initd that tells what it was asked."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "buildroot/package/stockade/S15stockade"
FAKE = """\
#!/bin/sh
echo "$@" >{place}/asked
trap 'echo ended >>{place}/asked; exit' TERM
while :; do sleep 0.1; done
"""
LIMIT_S = 10

pytestmark = pytest.mark.skipif(not shutil.which("start-stop-daemon"), reason="no start-stop-daemon")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    fake = tmp_path / "initd"
    fake.write_text(FAKE.format(place=tmp_path))
    fake.chmod(0o755)
    text = SCRIPT.read_text().replace("/usr/bin/initd", str(fake)).replace("/var/run/", f"{tmp_path}/")
    # a script's executable is its shell, by which Debian's start-stop-daemon would know it
    (tmp_path / "S15").write_text(text.replace(" -x ", " -a "))
    yield tmp_path
    call(tmp_path, "stop")


def call(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", place / "S15", *words], capture_output=True, text=True, timeout=LIMIT_S)


def told(place: Path, lines: int) -> list[str]:
    """What the stand-in was asked, once it is so many lines."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        found = (place / "asked").read_text().splitlines() if (place / "asked").exists() else []
        if len(found) >= lines:
            return found
        time.sleep(0.01)
    raise AssertionError("it was not started")


def test_start_boots_and_stop_waits_for_the_end(place: Path) -> None:
    assert call(place, "start").stdout == "Starting initd: OK\n"
    assert told(place, 1) == ["--boot"]
    pid = int((place / "initd.pid").read_text())
    os.kill(pid, 0)
    assert call(place, "stop").stdout == "Stopping initd: OK\n"
    assert told(place, 2) == ["--boot", "ended"]
    assert not Path(f"/proc/{pid}").exists() and not (place / "initd.pid").exists()


def test_word_that_is_none_starts_nothing(place: Path) -> None:
    assert call(place, "perhaps").returncode == 1
    assert not (place / "asked").exists()
