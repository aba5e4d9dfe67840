# SPDX-License-Identifier: MIT
"""Where a line of a log has the kernel's record of a denied call: where the kernel's or auditd's words begin. Pure.

What a program says is in the same log, and it may say what a record says: so each format that logs come in is
known here up to the place where the message begins, and anything between that and the record makes it somebody
else's words. Not for initd, which listens to the kernel itself: imports `re`.
"""

import re

UPTIME = r"\[ *\d+\.\d+\](?:\[ *[TC]\d+\])?"  # with the thread or processor that newer kernels name
CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
DATE = rf"(?:[A-Z][a-z]{{2}} )?[A-Z][a-z]{{2}} [ \d]\d {CLOCK}(?: \d{{4}})?"
ISO_DATE = rf"\d{{4}}-\d\d-\d\d[T ]{CLOCK}(?:Z|[+-]\d\d:?\d\d)?"
TIME = rf"(?:{UPTIME}|{DATE}|{ISO_DATE})"
# a facility that is not the kernel's, or a word with a colon, is where a program's line begins
OTHERS = r"(?:user|mail|daemon|auth|authpriv|syslog|lpr|news|uucp|cron|ftp|local\d)\.[a-z]+ "
WHERE = rf"(?:(?!\S*: |{OTHERS})\S+ )?(?:kern\.[a-z]+ )?"
SYSLOG = rf"(?:<[0-7]>)?{TIME} {WHERE}"
MESSAGE_BEGINS = (
    r"[0-7],\d+,\d+,[^;]*;",  # /dev/kmsg
    # dmesg, with levels in words or numbers, and any kind of time or none
    rf"(?:kern *:[a-z]+ *: )?(?:<[0-7]>)?(?:(?:{UPTIME}|\[{DATE}\]|{ISO_DATE}) )?",
    rf"{SYSLOG}kernel: (?:{UPTIME} )?",  # syslog's file, BusyBox's and OpenWrt's, and the journal
    rf"<[0-7]>1 {ISO_DATE} \S+ kernel - - - (?:{UPTIME} )?",  # syslog's newer form
)
AUDITD_BEGINS = rf"(?:{SYSLOG}audi(?:t|spd|sp-syslog)(?:\[\d+\])?: )?(?:node=\S+ )?"
RECORD = re.compile(
    rf"(?:{'|'.join(MESSAGE_BEGINS)})(?:audit: )?(?=(type=1326 audit\())"
    rf"|{AUDITD_BEGINS}(?=(type=(?:SECCOMP|1326) msg=audit\())"
    rf"|{SYSLOG}audit\[\d+\]: (?=(SECCOMP [a-z]+=))"  # the journal, of what it heard from audit itself
)


def find(line: str) -> int:
    """Where the record begins in a line; -1 for a line without one."""
    found = RECORD.match(line)
    return found.end() if found else -1


def lines(text: bytes) -> list[str]:
    """A log's lines. Only a newline ends one: what else ends lines of text may be in what a program says."""
    return text.decode("utf-8", "replace").split("\n")
