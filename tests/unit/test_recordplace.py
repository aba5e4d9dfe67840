# SPDX-License-Identifier: MIT
"""A record of a denied call is one only where the kernel or auditd begins to write, in each format of a log."""

import pytest

from jail import audit
from jail.recordplace import find

FIELDS = (
    "auid=4294967295 uid=0 gid=0 ses=4294967295 pid=15403 comm=\"hello\" exe=\"/tmp/hello\" sig=31 arch=8"
    " syscall=4353 compat=0 ip=0x77e6 code=0x80000000"
)  # fmt: skip
KERNELS = f"type=1326 audit(1763776800.123:45): {FIELDS}"
AUDITDS = f"type=SECCOMP msg=audit(1763776800.123:45): {FIELDS}"
FORMATS = {
    "/dev/kmsg": "5,1234,2501502660,-;audit: {}",
    "/dev/kmsg with its caller": "5,1234,2501502660,-,caller=T77;audit: {}",
    "dmesg": "[   12.345678] audit: {}",
    "dmesg of a kernel that names callers": "[   12.345678][  T123] audit: {}",
    "dmesg -t": "audit: {}",
    "dmesg -r": "<5>[   12.345678] audit: {}",
    "dmesg -x": "kern  :notice: [   12.345678] audit: {}",
    "dmesg -T": "[Sat Nov 22 02:00:00 2025] audit: {}",
    "dmesg --time-format iso": "2025-11-22T02:00:00,123456+01:00 audit: {}",
    "a kernel before 3.15": "[   12.345678] {}",
    "syslog": "Nov 22 02:00:00 router kernel: [   12.345678] audit: {}",
    "syslog without the kernel's time": "Nov  2 02:00:00 router.lan kernel: audit: {}",
    "syslog with dates of ISO": "2025-11-22T02:00:00.123456+01:00 router kernel: [   12.345678] audit: {}",
    "a packet of syslog": "<5>Nov 22 02:00:00 kernel: [   12.345678] audit: {}",
    "RFC 5424": "<5>1 2025-11-22T02:00:00Z router kernel - - - [   12.345678] audit: {}",
    "BusyBox syslogd": "Nov 22 02:00:00 router kern.notice kernel: [   12.345678] audit: {}",
    "OpenWrt's logread": "Sat Nov 22 02:00:00 2025 kern.notice kernel: [   12.345678] audit: {}",
    "journalctl": "Nov 22 02:00:00 router kernel: audit: {}",
    "journalctl -o short-precise": "Nov 22 02:00:00.123456 router kernel: audit: {}",
    "journalctl -o short-iso": "2025-11-22T02:00:00+0100 router kernel: audit: {}",
    "journalctl -o short-monotonic": "[   12.345678] router kernel: audit: {}",
}
AUDITD_FORMATS = {
    "auditd": "{}",
    "auditd with names": "node=router {}",
    "audisp to syslog": "Nov 22 02:00:00 router audisp-syslog[77]: {}",
    "audisp before it was its own": "Nov 22 02:00:00 router audispd: node=router {}",
}
WHOLE = {
    **{name: text.format(KERNELS) for name, text in FORMATS.items()},
    **{name: text.format(AUDITDS) for name, text in AUDITD_FORMATS.items()},
    "journal, from audit itself": f"Nov 22 02:00:00 router audit[15403]: SECCOMP {FIELDS}",
}


@pytest.mark.parametrize("line", WHOLE.values(), ids=WHOLE)
def test_record_is_found_in_each_format(line: str) -> None:
    found = [str(each) for each in audit.read(f"noise\n{line}\r\nnoise".encode(), "l")]
    assert found == ["hello[15403] /tmp/hello: getrandom (mips system call 4353): kill process"]


@pytest.mark.parametrize("line", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize(
    "before",
    [
        "Nov 22 02:00:00 router dnsmasq[77]: ",
        "Nov 22 02:00:00 dnsmasq: ",
        "Nov 22 02:00:00 router daemon.info dnsmasq[77]: ",
        "Sat Nov 22 02:00:00 2025 user.notice kernel: ",
        "Nov 22 02:00:00 router user.notice kernel: ",
        "<13>Nov 22 02:00:00 kernel: ",
        "12,1234,2501502660,-;",
        "[   12.345678] x[9]: segfault at 10 ip 0 sp 0 error 6 in x; ",
        "[   12.345678] dnsmasq: ",
        "user  :notice: [   12.345678] ",
        "type=USER_AVC msg=audit(1763776800.123:45): msg='",
        "said: ",
    ],
)
def test_what_a_program_says_is_no_record(line: str, before: str) -> None:
    assert find(before + line) == -1


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\x1c", "\x1d", "\x85", "\u2028", "\u2029"])
def test_no_character_but_a_newline_ends_a_line(end: str) -> None:
    forged = f"Nov 22 02:00:00 router dnsmasq[77]: said{end}audit: {KERNELS}\n"
    assert list(audit.read(forged.encode(), "l")) == []


@pytest.mark.parametrize(
    "line", ["type=1326", "audit: type=13260 audit(", "type=SECCOMP", "audit: type=1300 audit("]
)
def test_another_line_of_the_kernel_is_none(line: str) -> None:
    assert find(line) == -1
