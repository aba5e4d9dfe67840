# SPDX-License-Identifier: MIT
"""What host and attack tests share: the installed `ujail`, the probe in all its kinds, and the leak check.

Everything here starts processes and looks at them from outside; nothing imports the jailer into pytest's own
process, so what is tested is what was installed. What it is made of lies in lib/.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jails import Host
from leftovers import own_children, stray_entries, survivors
from looks import fds, mounts
from probes import Probes
from processes import SETTLE_S, SLOWER, started, until

if TYPE_CHECKING:
    from initd_world import World

HERE = Path(__file__).resolve().parent
STANDSTILL_S = 300 * (1 if SLOWER == 1 else 2)  # of a whole test


def is_on_host(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE / "host") or item.path.is_relative_to(HERE / "attack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_on_host(item):
            item.add_marker(pytest.mark.root)


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Properties have no deadline, and the same examples each time: a busy machine and bad luck are no faults.

    In a guest that is guest_profile.py's.
    """
    if "STOCKADE_GUEST" in os.environ or b"hypothesis" not in module_path.read_bytes():
        return
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "host", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("host")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that waits for what never comes, at the line where it waits; the others go on."""

    def give_up(number: int, frame: object) -> None:
        pytest.fail(f"{item.name} stands still: it has not ended within {STANDSTILL_S} s")

    is_ours = signal.getsignal(signal.SIGALRM) == signal.SIG_DFL  # initd's broker uses the alarm itself
    if is_ours:
        signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, STANDSTILL_S)
    try:
        yield
    finally:
        if is_ours:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.fixture(scope="session")
def run_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stockade-tests-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def host(run_folder: Path) -> Host:
    """An installed `ujail` and the probes."""
    beside = Path(sys.executable).parent / "ujail"
    ujail = os.environ.get("STOCKADE_UJAIL") or (str(beside) if beside.exists() else shutil.which("ujail"))
    if not ujail:
        pytest.skip("no ujail beside this interpreter, in STOCKADE_UJAIL or on the PATH")
    return Host(ujail, Probes(run_folder), run_folder)


@pytest.fixture(scope="session")
def busy(host: Host) -> Probes:
    """The program that tracers are tried on, in all its kinds."""
    return Probes(host.folder, HERE / "host" / "busy.c")


@pytest.fixture
def world() -> Iterator["World"]:
    """A model of services; a file that wants a world of another kind makes its own."""
    from initd_world import World

    made = World()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a host test did, afterwards this process and the host are as they were."""
    if not is_on_host(request.node):
        yield
        return
    run_folder: Path = request.getfixturevalue("run_folder")
    before = (mounts(), own_children(), fds(), stray_entries())
    yield
    for process in started:
        if process.poll() is None:
            process.kill()  # its test failed half-way
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
    started.clear()
    until(
        lambda: not survivors(run_folder),
        "processes that outlived their test",
        SETTLE_S,
        lambda: survivors(run_folder),
    )
    assert mounts() == before[0]
    assert own_children() == before[1]
    assert fds() == before[2]
    assert stray_entries() <= before[3]
