# SPDX-License-Identifier: MIT
"""A death by SIGSYS → the line that says which call it was and what would allow it.

The source is the kernel's own record (type=1326), which x86 and arm kernels write to the kernel log; where
there is none the line says how to find out. Only run when something has gone wrong: imports what it likes.
"""

import os
import re
import select
import time

from jail._native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail._native import FFI

KERNEL_LOG = "/dev/kmsg"
RECORD_BYTES = 8192  # of one /dev/kmsg read, CONSOLE_EXT_LOG_MAX
# the record goes through a kernel thread of its own and may come a moment after the death
PATIENCE_S = 0.3
# between the kernel's clocks for its log and for processes
CLOCK_SLACK_US = 1_000_000


class Denial:
    """One record: what was called, by whom."""

    __slots__ = ("arch", "call", "number", "pid", "program")

    def __init__(self, arch: str, number: int, call: str, pid: int, program: str) -> None:
        self.arch = arch
        self.number = number
        self.call = call
        self.pid = pid
        self.program = program


def parse_record(line: str) -> Denial | None:
    """Read one type=1326 line of the kernel log; None for any other line."""
    if "type=1326" not in line:
        return None
    fields = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))
    try:
        number, pid, audit = int(fields["syscall"]), int(fields["pid"]), int(fields["arch"], 16)
    except (KeyError, ValueError):
        return None
    arch = _text(lib.audit_arch_name(audit))
    call = _text(lib.call_name(arch.encode(), number)) if arch else ""
    program = fields.get("comm", "")
    # audit writes names with odd characters in hexadecimal, and quotes all others
    program = program[1:-1] if program.startswith('"') else _unhex(program)
    return Denial(arch, number, call, pid, program)


def _own_start_us() -> int:
    """When this process began, in microseconds of the boot's clock; exec does not change it."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) * 1_000_000 // os.sysconf("SC_CLK_TCK")


def _stamp_us(line: str) -> int:
    """The time of a record: "priority,number,microseconds,…;text"."""
    return int(line.split(",", 3)[2])


def find_denial(pid: int, since_us: int | None = None, patience_s: float = PATIENCE_S) -> Denial | None:
    """The last denial of a process, by its pid as the host sees it; waits for it up to `patience_s`.

    Pids come again: what was logged before `since_us`, when this process or its jailer began, was about
    another one.
    """
    since_us = (_own_start_us() if since_us is None else since_us) - CLOCK_SLACK_US
    try:
        fd = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # no kernel log here, or not for us
    found = None
    deadline = time.monotonic() + patience_s
    try:
        while found is None or select.select([fd], [], [], 0)[0]:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                break
            try:
                line = os.read(fd, RECORD_BYTES).decode("utf-8", "replace")
            except BlockingIOError:
                continue
            except BrokenPipeError:
                continue  # records were overwritten while we read; the next read is at the oldest left
            denial = parse_record(line)
            if denial and denial.pid == pid and _stamp_us(line) >= since_us:
                found = denial
    except OSError:
        return found
    finally:
        os.close(fd)
    return found


def describe(name: str, policy: str, denial: Denial | None) -> str:
    """The line, without a newline."""
    if not policy:
        return f"ujail: {name}: killed by SIGSYS, and not by a policy of its jail: it has none"
    if denial is None:
        return (
            f"ujail: {name}: killed for a system call that {policy} does not allow; the kernel wrote no"
            " record of which: run it under utrace or strace to see"
        )
    call = denial.call or f"system call {denial.number}"
    where = f"{denial.arch or 'foreign'} system call {denial.number}"
    if not denial.call:
        return (
            f"ujail: {name}: {denial.program}[{denial.pid}] was killed for {call} of a foreign ABI ({where})"
        )
    who = f"{denial.program}[{denial.pid}]"
    return (
        f"ujail: {name}: {who} was killed for {call} ({where}), which {policy} does not allow;"
        f' to allow it, add "{call}" to the names of its SCMP_ACT_ALLOW rule'
    )


def explain_death(args: list[str]) -> int:
    """`ujail --why NAME STATUS POLICY PID`, which ujail-init runs: print the line, pass the status on."""
    name, status, policy, pid = args[:4]
    line = describe(name, policy, find_denial(int(pid)))
    from jail.ujail import say

    say(line)
    return int(status)


def _text(pointer: "FFI.CData") -> str:
    return ffi.string(pointer).decode() if pointer else ""


def _unhex(text: str) -> str:
    try:
        return bytes.fromhex(text).rstrip(b"\0").decode("utf-8", "replace")
    except ValueError:
        return text
