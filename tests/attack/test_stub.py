# SPDX-License-Identifier: MIT
"""PID 1 of a jail is a program of the host: root inside must not reach the file through /proc/1/exe."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from processes import Process
    from result import Result


# not CHLD, which the stub has of its own children, and not TERM, which it takes from anybody
SIGNALS = sorted(
    set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTERM}
)
TIMEOUT_S = 60
DRIVER = Path(__file__).parents[1] / "host" / "driver.py"


def once_stub_runs(host: "Host", jail: "Process") -> "Result":
    """Let the probe go on when PID 1 is the stub; before that it has privileges that keep /proc/1 closed."""
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    host.until(lambda: host.status_of(stub)["Seccomp"] == "2", "the stub's filter")
    return host.finish(jail)


@pytest.mark.parametrize("caps", [(), ("-C", "all")])
def test_program_of_pid_1_cannot_be_changed(host: "Host", caps: tuple[str, ...]) -> None:
    tries = ("stay", "chmod", "/proc/1/exe", "write", "/proc/1/exe")
    inside = once_stub_runs(host, host.start(*tries, options=("-p", *caps)))
    assert inside["chmod:/proc/1/exe"] in ("EROFS", "EACCES")  # without SYS_PTRACE it is not even reached
    assert inside["write:/proc/1/exe"] in ("EROFS", "ETXTBSY", "EACCES")


def test_running_program_can_be_changed_outside(host: "Host") -> None:
    copy = host.folder / "copied-probe"
    shutil.copy(host.probes["glibc"], copy)
    os.chmod(copy, 0o755)
    outside = host.run(copy, "chmod", "/proc/self/exe")
    assert outside["chmod:/proc/self/exe"] == "ok"
    assert os.stat(copy).st_mode & 0o777 != 0o755


def test_program_of_pid_1_cannot_be_changed_on_an_old_kernel(host: "Host") -> None:
    words = ["-n", "t", "-p", "--", str(host.probes["glibc"]), "stay", "chmod", "/proc/1/exe"]
    request = json.dumps({"argv": words, "flags": ["LAUNCH_OLD_KERNEL"]})
    inside = once_stub_runs(host, host.spawn(sys.executable, "-I", DRIVER, request))
    assert inside["chmod:/proc/1/exe"] in ("EROFS", "EACCES")  # without SYS_PTRACE it is not even reached


@pytest.mark.parametrize("caps", [(), ("-C", "all")])
def test_service_does_not_run_before_pid_1_is_the_stub(host: "Host", caps: tuple[str, ...]) -> None:
    """Until its exec PID 1 is privileged and runs in the launcher's own memory; here that exec is slow."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    slow = ["strace", "-f", "-o", "/dev/null", "--inject=execveat:delay_enter=400000"]
    words = ["-n", "t", "-p", *caps, "--", host.probes["glibc"], "cat", "/proc/1/comm"]
    inside = host.run(*slow, host.ujail, *words)
    assert inside.all("line") == ["ujail-init"]


@pytest.mark.parametrize("options", [(), ("-f",)], ids=["root", "-f"])
def test_service_does_not_run_before_pid_1_is_closed(host: "Host", options: tuple[str, ...]) -> None:
    """From its exec on it can be opened by who has its ids, until it says otherwise; here that takes its time.

    With a writable root no rules of Landlock stand in the way, as on a kernel that has none.
    """
    if not shutil.which("strace"):
        pytest.skip("no strace")
    slow = ["strace", "-f", "-o", "/dev/null", "--inject=execveat:delay_exit=400000"]
    words = ["-n", "t", "-p", "-T", "1m", *options, "--", host.probes["glibc"], "write", "/proc/1/mem"]
    inside = host.run(*slow, host.ujail, *words)
    assert inside["write:/proc/1/mem"] == "EACCES"


def test_memory_of_an_equal_can_be_opened_outside(host: "Host") -> None:
    sleeper = host.spawn("sleep", 600)
    try:
        assert host.run(host.probes["glibc"], "write", f"/proc/{sleeper.pid}/mem").tries() == {
            f"write:/proc/{sleeper.pid}/mem": "ok"
        }
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("verb", ["kill", "forge"])
def test_signals_from_inside_are_not_forwarded(host: "Host", verb: str) -> None:
    """PID 1 has every signal blocked, so that the kernel does not keep those of the jail from it."""
    jail = host.start(*[word for number in SIGNALS for word in (verb, "1", int(number))], "stay")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    host.until(lambda: int(host.status_of(stub)["ShdPnd"], 16) == 0, "the stub has read all of them")
    assert host.finish(jail).status == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMAX])
def test_signals_from_outside_are_forwarded(host: "Host", number: int) -> None:
    jail = host.start("stay")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    os.kill(stub, number)
    assert jail.wait(TIMEOUT_S) == 128 + number


def test_flow_of_orphans_does_not_hide_the_end_that_is_asked_for(host: "Host") -> None:
    """A jail can make them faster than PID 1 reaps them; here that takes its time."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    jail = host.start("make-orphans", "stay")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    tracer = host.spawn("strace", "-o", "/dev/null", "--inject=wait4:delay_enter=5000", "-p", stub)
    host.until(lambda: len(host.children_of(stub)) > 100, "orphans that are not reaped in time")
    os.kill(stub, signal.SIGTERM)
    assert jail.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    tracer.wait(TIMEOUT_S)


def test_signal_to_end_is_taken_from_inside_as_well(host: "Host") -> None:
    """Two signals of one number that wait are one: else a service could hide the end that was asked for."""
    jail = host.start("kill", "1", int(signal.SIGTERM), "stay")
    assert jail.wait(TIMEOUT_S) == 128 + signal.SIGTERM
