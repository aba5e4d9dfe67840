# SPDX-License-Identifier: MIT
"""PID 1 of a jail is a program of the host: root inside must not reach the file through /proc/1/exe."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Host, Process, Result


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
    slow = ["strace", "-f", "-o", "/dev/null", "--inject=execveat:delay_enter=400000"]
    words = ["-n", "t", "-p", *caps, "--", host.probes["glibc"], "cat", "/proc/1/comm"]
    inside = host.run(*slow, host.ujail, *words)
    assert inside.all("line") == ["ujail-init"]
