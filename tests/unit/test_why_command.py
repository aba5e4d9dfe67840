# SPDX-License-Identifier: MIT
"""`jailctl why`: two lines of what initd lists, and what the kernel log has of jails and programs."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from jail import why, why_command
from jail.errors import JailError
from jail.jailctl import main
from jail.why_command import about, lines_about

LINE = (
    "5,1,99999999999999,-;audit: type=1326 audit(1795301809.321:{mark}): auid=0 uid=0 gid=0 ses=1 pid={pid}"
    ' comm="hello" exe="/tmp/hello" sig=31 arch=c000003e syscall=318 compat=0 ip=0x7f4e code=0x80000000'
)


@pytest.fixture
def no_initd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why_command, "find_jail", lambda name: None)
    monkeypatch.setenv("UBUS_SOCKET", "/no/such/socket")


@pytest.fixture
def kernel_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is in this list is in the log."""
    lines: list[str] = []
    read = (found for line in lines if (found := why.of_kernel(line)))
    monkeypatch.setattr(why, "read_log", lambda since_us, wait_s: read)
    return lines


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        (
            {
                "state": "failed", "failed": "crash loop: 5 crashes", "last_exit": "signal 31 (SIGSYS)",
                "denials": 6, "last_denial": "d[7] was killed for ptrace",
            },
            ["failed: crash loop: 5 crashes", "d[7] was killed for ptrace (5 other denials)"],
        ),
        (
            {"state": "waiting", "failed": "cannot start: no /d", "denials": 2, "last_denial": "d[7]"},
            ["waiting: cannot start: no /d", "d[7] (1 other denial)"],
        ),
        (
            {"state": "waiting", "last_exit": "exit status 1", "warnings": ["no /c", *"2345"]},
            ["waiting; its last process ended with exit status 1", "no policy holds it", "no /c", "2", "3"],
        ),
        (
            {"state": "running", "pid": 7, "service_pid": 8, "last_exit": "exit status 3", "seccomp": "/p"},
            ["running, pid 8; its last process ended with exit status 3", "no call was denied"],
        ),
        ({"state": "running", "pid": 7}, ["running, pid 7", "no policy holds it"]),
        (
            {"state": "stopped", "errors": ["no such user"], "jail": {}},
            ["not started: no such user", "no call was denied"],
        ),
    ],
)  # fmt: skip
def test_two_lines_and_what_is_missing(entry: dict[str, object], lines: list[str]) -> None:
    assert about("s::one", entry) == [f"s::one: {line}" for line in lines]


def test_one_instance_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {"one": {"state": "running", "pid": 1}, "two": {"state": "stopped"}}
    monkeypatch.setattr(why_command, "ask", lambda service: [listed] if service == "s" else [])
    assert lines_about("s::two") == ["s::two: stopped", "s::two: no policy holds it"]
    assert len(lines_about("s")) == 4


def test_a_running_jail_of_ujail(
    no_initd: None, kernel_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.getpid()
    jail = SimpleNamespace(service_pid=own, door="policy /no/p.json")
    monkeypatch.setattr(why_command, "find_jail", lambda name: jail if name == "web" else None)
    kernel_log += [LINE.format(mark=1, pid=own), LINE.format(mark=2, pid=own + 100000)]
    lines = lines_about("web")
    assert lines[0] == f"web: running, pid {own}, held by /no/p.json"
    assert len(lines) == 2
    assert lines[1].startswith(
        f"web: hello[{own}] was killed for getrandom (x86_64 system call 318), which /no"
    )


def test_jail_that_ends_while_it_is_looked_at_is_not_said_to_be_without_denials(
    no_initd: None, kernel_log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.getpid()
    jail = SimpleNamespace(service_pid=own, door="default")
    monkeypatch.setattr(why_command, "find_jail", lambda name: jail)
    monkeypatch.setattr(why_command, "is_first_pid_namespace", lambda: False)
    assert (
        lines_about("web")[1] == "web: the kernel log has other pids than we; --notify tells what is denied"
    )
    monkeypatch.setattr(why_command, "is_first_pid_namespace", lambda: True)
    assert lines_about("web")[1] == "web: the kernel log has no call that was denied to it"
    looks = iter([0])  # it is there once
    monkeypatch.setattr(why, "start_us", lambda pid: look(looks))
    with pytest.raises(JailError, match="web: has just ended"):
        lines_about("web")


def look(looks: Iterator[int]) -> int:
    for found in looks:
        return found
    raise FileNotFoundError


def test_programs_of_that_name(no_initd: None, kernel_log: list[str]) -> None:
    kernel_log += [LINE.format(mark=number, pid=number) for number in range(9)]
    lines = lines_about("hello")
    assert lines[0].startswith("hello: neither a service of initd nor a jail that runs;")
    assert lines[-1] == "hello: hello[8] /tmp/hello: getrandom (x86_64 system call 318): kill process"
    assert len(lines) == 4


def test_nothing_is_known(no_initd: None, kernel_log: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(JailError, match="no service and no jail is called web"):
        lines_about("web")
    assert main(["jailctl", "why", "web"]) == 125
    assert capfd.readouterr().err.startswith("jailctl: ")
