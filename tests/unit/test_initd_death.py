# SPDX-License-Identifier: MIT
"""Which call a policy killed a service for: the kernel's record of this process, and not of an older one."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from initd.death import explain
from jail import why

RECORD = (
    "5,1,{stamp_us},-;audit: type=1326 audit(1.0:2): auid=0 uid=0 gid=0 ses=1 subj=? pid=77"
    ' comm="d" exe="/bin/d" sig=31 arch=c000003e syscall=39 compat=0 ip=0x0 code=0x80000000'
)
BEGAN_S = 1000.0


@pytest.fixture
def kernel_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The write end of a FIFO that is read instead of /dev/kmsg; one write is one record."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    monkeypatch.setattr(why, "KERNEL_LOG", str(path))
    yield fd
    os.close(fd)


def put(fd: int, at_s: float) -> None:
    os.write(fd, RECORD.format(stamp_us=int(at_s * 1_000_000)).encode())


def test_the_record_of_this_process(kernel_log: int) -> None:
    put(kernel_log, BEGAN_S + 5)
    line = explain(77, "s::one", "/etc/p.json", BEGAN_S)
    assert line.startswith("s::one: d[77] was killed for getpid (x86_64 system call 39)")


@pytest.mark.parametrize(("pid", "at_s"), [(77, BEGAN_S - 5), (78, BEGAN_S + 5)])
def test_the_record_of_another_process(kernel_log: int, pid: int, at_s: float) -> None:
    put(kernel_log, at_s)
    line = explain(pid, "s::one", "/etc/p.json", BEGAN_S)
    assert line.startswith("s::one: killed for a system call that /etc/p.json does not allow;")


def test_no_record_is_not_waited_for(kernel_log: int) -> None:
    start_s = time.monotonic()
    assert "wrote no record" in explain(77, "s::one", "/etc/p.json", BEGAN_S)
    assert time.monotonic() - start_s < why.PATIENCE_S


def test_no_kernel_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "KERNEL_LOG", "/no/such/file")
    assert explain(77, "s::one", "", BEGAN_S) == (
        "s::one: killed by SIGSYS, and not by a policy of its jail: it has none"
    )
