# SPDX-License-Identifier: MIT
"""The kernel log's records of denied calls, for those who look back: a death of `ujail`'s service, `jailctl why`.

x86 and arm kernels write them; where there is none the words say how to find out. Only run when something has gone
wrong. What initd hears while it runs is initd/records.py's.
"""

import os
import select
import time

from jail import auditrecord, procfs
from jail._native import lib
from jail.auditrecord import Record
from jail.denial import UNKNOWN_CALL, WAITPID, Denial
from jail.errors import ConfigError
from jail.policy import native_arch
from jail.silence import is_first_pid_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL_LOG = "/dev/kmsg"
PID_MAX = "/proc/sys/kernel/pid_max"
AUDIT = "audit: "  # who writes it in the kernel
RECORD_START = f"{AUDIT}type=1326 audit("
RECORD_BYTES = 8192  # of one /dev/kmsg read, CONSOLE_EXT_LOG_MAX
# the record goes through a kernel thread of its own and may come a moment after the death
PATIENCE_S = 0.3
LINES_MAX = 5  # about others than the service itself
# between the kernel's clocks for its log and for processes
CLOCK_SLACK_US = 1_000_000


def start_us(pid: "int | str" = "self") -> int:
    """When a process began, in microseconds of the boot's clock, a moment early; exec does not change it."""
    return procfs.started(pid) * 1_000_000 // os.sysconf("SC_CLK_TCK") - CLOCK_SLACK_US


def of_kernel(line: str) -> Record | None:
    """The record in one read of /dev/kmsg, "priority,number,microseconds,...;text"; None for any other line.

    Programs may write there too, but not with the priority of the kernel; and the kernel writes names that they have
    given to themselves and their files, as in the line about a segmentation fault, but not at the beginning.
    """
    head, _, text = line.partition(";")
    priority = head.partition(",")[0]
    if not text.startswith(RECORD_START) or not priority.isdigit() or int(priority) > 7:
        return None
    try:
        return auditrecord.parse(text, len(AUDIT))
    except ConfigError:
        return None  # cut off


def read_log(since_us: int, patience_s: float) -> "Iterator[Record]":
    """The records from a time of the boot's clock on; waits `patience_s` in all for more to come.

    Nothing where there is no kernel log, or none for us.
    """
    try:
        fd = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    deadline = time.monotonic() + patience_s
    try:
        while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                line = os.read(fd, RECORD_BYTES).decode("utf-8", "replace")
            except BlockingIOError:
                continue
            except BrokenPipeError:
                continue  # records were overwritten while we read; the next read is at the oldest left
            found = of_kernel(line)
            if found is not None and int(line.split(",", 3)[2]) >= since_us:
                yield found
    except OSError:
        return
    finally:
        os.close(fd)


def find_denial(pid: int, since_us: int | None = None, patience_s: float = 0.0) -> Denial | None:
    """The last denial of a process that was killed for it, by its pid as the host sees it.

    Pids come again: what was logged before `since_us`, when this process or its jailer began, was about
    another one. None in a container, whose pids are not those of the log.
    """
    if not is_first_pid_namespace():
        return None
    since_us = start_us() if since_us is None else since_us
    for wait_s in (0.0, patience_s):
        last = None
        for found in read_log(since_us, wait_s):
            if found.pid == pid and found.denial().is_deadly:
                last = found.denial()
                if wait_s:
                    break  # nothing comes after it
        if last is not None:
            return last
    return None


def denied_besides(pid: int, policy: str) -> list[Denial]:
    """What a policy's filter denied since this process began, but for the death of that one.

    Each program and call once, LINES_MAX at most. The pids of others say little any more: they are of this jail
    if no other that began later has such a policy. One that began before the service is none of its children.
    """
    from jail.advice import filter_of, says

    filters = {}
    limit = _pid_limit()
    found: dict[tuple[str, str, int, int], Denial] = {}
    for record in read_log(start_us(), 0.0):
        key = (record.program, record.arch, record.number, record.code)
        denial = record.denial()
        if not _is_later(record.pid, pid, limit) or (record.pid == pid and denial.is_deadly):
            continue
        if key in found or len(found) == LINES_MAX:
            continue
        if record.arch not in filters:
            filters[record.arch] = filter_of(policy, record.arch)
        program = filters[record.arch]
        # in what mode that jail was is not known here: what was only logged may be a complaint
        if program is not None and says(program, record, record.code == lib.SECCOMP_RET_LOG):
            found[key] = denial
    return list(found.values())


def _pid_limit() -> int:
    """Where pids begin anew."""
    try:
        with open(PID_MAX, encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 1 << 22  # the most that a kernel has


def _is_later(pid: int, first: int, limit: int) -> bool:
    """Whether a process is `first` or began after it, as far as pids tell: they count up, and then anew.

    Of a jail that has seen half of all pids some of the later ones count as earlier.
    """
    return (pid - first) % limit < limit // 2


def explain_others(name: str, policy: str, pid: int) -> "Iterator[str]":
    """A line for each denial in a jail that has ended which killed somebody else than its service, or nobody."""
    for denial in denied_besides(pid, policy):
        denial.policy = policy
        is_sure = denial.pid == pid and is_first_pid_namespace()
        guess = "" if is_sure else "perhaps one of its processes: "
        yield f"{name}: {guess}{denial.words()}"


def explain_death(name: str, policy: str, pid: int) -> str:
    """The line for a service that died by SIGSYS, `pid` as the host saw it."""
    denial = find_denial(pid, patience_s=PATIENCE_S) or unexplained(pid)
    denial.service, denial.policy = name, policy
    return denial.words()


def unexplained(pid: int) -> Denial:
    """What is known where there is no record."""
    return Denial(UNKNOWN_CALL, native_arch(), pid, source=WAITPID)
