# SPDX-License-Identifier: MIT
"""The kernel's records of seccomp's denials, from anywhere: dmesg, syslog, auditd; any architecture. Pure."""

from collections import Counter

from jail import auditrecord, recordplace
from jail.auditrecord import Record
from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def read(text: bytes, path: str) -> "Iterator[Record | ConfigError]":
    """Each record, in order; for one that is damaged the error that says how. Other lines are left out."""
    for at, line in enumerate(recordplace.lines(text), 1):
        start = recordplace.find(line)
        if start < 0:
            continue
        try:
            yield auditrecord.parse(line, start)
        except ConfigError as error:
            yield ConfigError(f"{path}:{at}: {error}")


def count_denied(text: bytes, path: str, program: str = "") -> tuple[Counter[str], list[str]]:
    """What was denied, by name, and what cannot be in the policy. Raises ConfigError for a damaged record."""
    counts: Counter[str] = Counter()
    strangers: Counter[str] = Counter()
    first = ""
    for each in read(text, path):
        if isinstance(each, ConfigError):
            raise each
        if program and each.program != program:
            continue
        first = first or each.arch
        if each.call and each.arch == first:
            counts[each.call] += 1
        else:
            strangers[f"{each.arch or hex(each.audit)} {each.call or each.number}"] += 1
    if not counts:
        raise ConfigError(f"{path}: no record of a denied call{f' of {program}' if program else ''}")
    return counts, [f"not in the policy, which is for {first}: {each}" for each in strangers]
