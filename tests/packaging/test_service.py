# SPDX-License-Identifier: MIT
"""S15stockade, by which another init starts initd: with a stand-in for initd that tells what it was asked."""

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "buildroot/package/stockade/S15stockade"
FAKE = """\
#!/bin/sh
echo "$@" >>{place}/asked
trap 'echo ended >>{place}/asked; exit' TERM
while :; do sleep 0.1; done
"""
LIMIT_S = 10

pytestmark = pytest.mark.skipif(not shutil.which("start-stop-daemon"), reason="no start-stop-daemon")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    os.mkfifo(tmp_path / "asked")
    fifo = os.open(tmp_path / "asked", os.O_RDWR)  # what is written stays until it is read
    fake = tmp_path / "initd"
    fake.write_text(FAKE.format(place=tmp_path))
    fake.chmod(0o755)
    text = SCRIPT.read_text().replace("/usr/bin/initd", str(fake)).replace("/var/run/", f"{tmp_path}/")
    # a script's executable is its shell, by which Debian's start-stop-daemon would know it
    (tmp_path / "S15").write_text(text.replace(" -x ", " -a "))
    yield tmp_path
    call(tmp_path, "stop")
    os.close(fifo)


def call(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", place / "S15", *words], capture_output=True, text=True, timeout=LIMIT_S)


def told(place: Path, limit_s: float = LIMIT_S) -> str:
    """The next line of the stand-in: what it was asked, or that it has ended. "" if there is none."""
    fifo = os.open(place / "asked", os.O_RDWR)
    ready = select.select([fifo], [], [], limit_s)[0]
    line = os.read(fifo, 100).decode() if ready else ""
    os.close(fifo)
    return line


def test_start_boots_and_stop_waits_for_the_end(place: Path) -> None:
    assert call(place, "start").stdout == "Starting initd: OK\n"
    assert told(place) == "--boot\n"
    pid = int((place / "initd.pid").read_text())
    os.kill(pid, 0)
    assert call(place, "stop").stdout == "Stopping initd: OK\n"
    assert told(place) == "ended\n"
    assert not Path(f"/proc/{pid}").exists() and not (place / "initd.pid").exists()


def test_word_that_is_none_starts_nothing(place: Path) -> None:
    assert call(place, "perhaps").returncode == 1
    assert told(place, 0) == ""
