# SPDX-License-Identifier: MIT
"""The kernel log looked back at: the records of one process since it began, and the line for a death."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jail import why
from jail.aftermath import finish
from jail.auditrecord import parse
from jail.why import explain_death, find_denial, of_kernel

RECORD = (
    "{priority},1234,{stamp_us},-;audit: type=1326 audit(1795301809.321:11): auid=4294967295 uid=0 gid=0 ses=1"
    ' pid={pid} comm="hello" exe="/tmp/hello" sig=31 arch={arch} syscall={number} compat=0 ip=0x7f4e code={code}'
)
BEGAN_US = 1_000_000_000


def record(
    number: int = 318, arch: str = "c000003e", pid: int = 77, at_s: float = 5.0, code: str = "0x80000000",
    priority: int = 5,
) -> str:  # fmt: skip
    stamp_us = BEGAN_US + int(at_s * 1_000_000)
    return RECORD.format(priority=priority, stamp_us=stamp_us, pid=pid, arch=arch, number=number, code=code)


@pytest.fixture
def kernel_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The write end of a FIFO that is read instead of /dev/kmsg; one write is one record."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    monkeypatch.setattr(why, "KERNEL_LOG", str(path))
    monkeypatch.setattr(why, "PATIENCE_S", 0.01)
    monkeypatch.setattr(why, "is_first_pid_namespace", lambda: True)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("arch", "number", "name", "call"),
    [
        ("c000003e", 318, "x86_64", "getrandom"),
        ("40000003", 355, "i386", "getrandom"),
        ("40000028", 384, "arm", "getrandom"),
        ("c00000b7", 278, "aarch64", "getrandom"),
        ("c00000f3", 278, "riscv64", "getrandom"),
        ("8", 4353, "mips", "getrandom"),
        ("40000008", 4353, "mipsel", "getrandom"),
        ("c000003e", 0x40000001, "x86_64", ""),  # x32
        ("dead", 1, "", ""),
    ],
)
def test_record_names_the_call_of_its_own_architecture(arch: str, number: int, name: str, call: str) -> None:
    found = of_kernel(record(number, arch))
    assert found is not None
    assert (found.arch, found.call, found.pid, found.program) == (name, call, 77, "hello")
    assert (found.uid, found.mark, found.time_s) == (0, "1795301809.321:11", 1795301809.321)
    denial = found.denial()
    assert (denial.abi, denial.call, denial.pid, denial.kind) == (name, call, 77, "kill_process")


def test_program_names_with_odd_characters_are_decoded() -> None:
    found = of_kernel(record().replace('"hello"', "612062"))
    assert found is not None and found.program == "a b"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "6,1,2,-;usb 1-1: new device",
        "5,1,2,-;audit: type=1300 syscall=1",
        "5,1,2,-;type=1326 syscall=x pid=1 arch=1",
        "5,1,2,-;type=13260 syscall=1 pid=1 arch=8 code=0x0",
        record(priority=12),  # a program's, through /dev/kmsg
        record().partition(";")[2],
        # lines of the kernel about others, with names that those have given themselves
        record().replace(";", ";x[9]: segfault at 10 ip 0 sp 0 error 6 in x; ") + " z[1132,5c09c40000+1000]",
        record().replace(";audit: ", ";"),
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert of_kernel(line) is None


def test_a_name_in_quotes_hides_nothing() -> None:
    line = record().partition(";")[2].replace('"hello"', '"a pid=1 b"')
    assert parse(line, line.index("type=")).pid == 77


def test_the_record_of_this_process(kernel_log: int) -> None:
    os.write(kernel_log, record().encode())
    found = find_denial(77, BEGAN_US)
    assert found is not None and found.call == "getrandom"


def test_a_pid_of_the_log_is_nobodys_in_a_container(
    kernel_log: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(why, "is_first_pid_namespace", lambda: False)
    os.write(kernel_log, record().encode())
    assert find_denial(77, BEGAN_US) is None
    policy = tmp_path / "p.json"
    policy.write_text('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}')
    found = of_kernel(record(code="0x50000"))
    monkeypatch.setattr(why, "read_log", lambda since_us, patience_s: iter([found]))
    [line] = why.explain_others("web", str(policy), 77)
    assert line.startswith("web: perhaps one of its processes: hello[77] was refused getrandom")


@pytest.mark.parametrize("changed", [{"at_s": -5.0}, {"pid": 78}, {"code": "0x50000"}])
def test_the_record_of_another_process_or_of_no_death(kernel_log: int, changed: dict[str, object]) -> None:
    os.write(kernel_log, record(**changed).encode())  # type: ignore[arg-type]
    assert find_denial(77, BEGAN_US, 0.01) is None


def test_no_kernel_log_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "KERNEL_LOG", "/no/such/file")
    start_s = time.monotonic()
    assert find_denial(77, BEGAN_US, 5.0) is None
    assert time.monotonic() - start_s < 1


def test_the_line_of_a_death_and_its_status(kernel_log: int) -> None:
    own_s = (why.start_us() - BEGAN_US) / 1_000_000
    os.write(kernel_log, record(at_s=own_s).encode())
    said: list[str] = []
    status = 128 + signal.SIGSYS  # 12 on mips
    assert finish(["web", str(status), "/no/web.json", "77", ""], said.append) == status
    assert said == [
        "ujail: web: hello[77] was killed for getrandom (x86_64 system call 318), which /no/web.json does not"
        " allow; the policy cannot be read any more: No such file or directory"
    ]


def test_a_death_without_a_record(kernel_log: int) -> None:
    line = explain_death("web", "/etc/web.json", 78)
    assert line.startswith("web: a process[78] was killed for a system call that /etc/web.json does")
    assert "strace" in line


def test_others_are_those_that_began_after_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the jail before it was denied is in the log too, and its clock is not exact."""
    policy = tmp_path / "p.json"
    policy.write_text('{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": []}')
    records = [of_kernel(record(pid=pid, number=number)) for pid, number in ((76, 1), (77, 2), (78, 3))]
    monkeypatch.setattr(why, "read_log", lambda since_us, patience_s: iter(records))
    assert [denial.pid for denial in why.denied_besides(77, str(policy))] == [78]


@pytest.mark.parametrize(
    ("first", "others", "later"), [(311, [32752, 312], [312]), (32750, [32740, 305], [305])]
)
def test_others_are_those_even_where_pids_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, others: list[int], later: list[int]
) -> None:
    policy, limit = tmp_path / "p.json", tmp_path / "pid_max"
    policy.write_text('{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": []}')
    limit.write_text("32768\n")
    monkeypatch.setattr(why, "PID_MAX", str(limit))
    records = [of_kernel(record(pid=pid, number=number)) for number, pid in enumerate(others, 1)]
    monkeypatch.setattr(why, "read_log", lambda since_us, patience_s: iter(records))
    assert [denial.pid for denial in why.denied_besides(first, str(policy))] == later
