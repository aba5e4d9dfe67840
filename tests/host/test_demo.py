# SPDX-License-Identifier: MIT
"""The demo works, and leaves nothing behind wherever it is interrupted."""

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail.cgroup import hierarchy
from jail.silence import no_records

if TYPE_CHECKING:
    from jails import Host

DEMO = Path(__file__).resolve().parents[2] / "demo/run"
# a line that is printed shortly before each kind of work
MOMENTS = (
    "1. dnsmasq",
    "-C /tmp",
    "dig @",
    "The kernel's word",
    "2. dropbear",
    "dropbear -F -E",
    "3. A forbidden",
    "4. The same",
    "dropbear start",
    "A crash",
    "The end of both",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# each moment with each signal; in the guests, which are slow, with one of them in turn
CASES = [
    (moment, number)
    for index, moment in enumerate(MOMENTS)
    for number in (SIGNALS[index % 3 :][:1] if "STOCKADE_GUEST" in os.environ else SIGNALS)
]


@pytest.fixture
def bin_folder(host: "Host") -> Path:
    for program in ("dnsmasq", "dropbear", "dbclient", "dig"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{program} is not installed")
    return Path(host.ujail).parent


def processes_naming(text: str) -> list[str]:
    """The processes whose command line holds a text."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in line:
            found.append(line)
    return found


def groups_of_services() -> list[Path]:
    """Control groups: where version 2 has what it takes, the demo's dnsmasq is in one."""
    return list(Path(hierarchy(), "services").glob("*")) if hierarchy() else []


def test_demo_passes_and_explains_the_refused_call(host: "Host", bin_folder: Path) -> None:
    result = host.run(DEMO, bin_folder)
    assert result.status == 0, result
    # a kernel of mips does not say for which, nor one to a container, and a static program asks no supervisor
    assert "killed for execve" in result.out or (no_records() and "killed for a system call" in result.out)
    assert result.err == ""
    assert not groups_of_services()


def test_demo_with_a_daemon_that_fails_says_so(host: "Host", bin_folder: Path, tmp_path: Path) -> None:
    ujail = tmp_path / "ujail"
    ujail.write_text("#!/bin/sh\necho broken >&2\nexit 125\n")
    ujail.chmod(0o755)
    (tmp_path / "initd").symlink_to(bin_folder / "initd")
    result = host.run(DEMO, tmp_path)
    assert result.status == 1
    assert "broken" in result.err


def heed_signals() -> None:
    """A shell that finds a signal ignored cannot trap it, and what runs in the background has them ignored."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(("moment", "number"), CASES)
def test_demo_interrupted_leaves_nothing(host: "Host", bin_folder: Path, moment: str, number: int) -> None:
    process = host.spawn(DEMO, bin_folder, start_new_session=True, preexec_fn=heed_signals)
    assert process.stdout is not None
    while moment not in (line := process.stdout.readline()):
        assert line, host.finish(process)
    # ^C and a closed terminal reach the whole group, a kill the shell alone
    if number == signal.SIGTERM:
        process.send_signal(number)
    else:
        os.killpg(process.pid, number)
    result = host.finish(process)
    # the last step may have been over before the signal came
    assert result.status == 128 + number or (moment == MOMENTS[-1] and result.status == 0), result
    folder = f"/tmp/stockade.{process.pid}"
    assert not os.path.exists(folder)
    host.until(lambda: not processes_naming(folder), "processes of the demo")
    assert not groups_of_services()
