# SPDX-License-Identifier: MIT
"""strace's output → how often each call was made: full logs, with -f or without, and tables of -c. Pure.

A log that begins with the execve of a dynamic program is cut where its main begins, as door 1 has what is before.
"""

import json
import re
from collections import Counter
from functools import cache
from itertools import takewhile

from jail import calls
from jail.doors import FILTERS
from jail.errors import ConfigError
from jail.near import did_you_mean

# pid or [pid n], then time of day, seconds or difference, then what -i and -n put in brackets
PREFIX = re.compile(
    r"(?:(\d+)(?:<[^>]*>)? +|\[pid +(\d+)(?:<[^>]*>)?\] +)?"
    r"(?: *(?:\d\d:\d\d:\d\d(?:\.\d+)?|\d+\.\d+) +)?(?:\(\+ +[\d.]+\) +)?(?:\[[ 0-9a-f?]+\] +)*"
)
CALL = re.compile(r"(\w+)\((.*)")
# what is no call: the end of one, signals, ends of processes, strace's own words, stacks of -k
ELSE = re.compile(r"<\.\.\. |--- |\+\+\+ |strace: |\?\?\?| > |$")
OTHER_ABI = re.compile(
    # not ".*", which a hostile line makes a search of hours
    r"\[ Process PID=\d+ runs in ([\w ]*) mode\. \]|strace: \[ Process PID=\d+ runs in ([\w ]*) mode"
)
WITHOUT_NAME = re.compile(r"syscall_0x[0-9a-f]+")
TABLE_HEAD = "% time"
CALLS_COLUMN = 3
SEEN = 40  # characters of a line in a message


class Call:
    """One call of a log; `rest` is what follows its name."""

    __slots__ = ("name", "pid", "rest")

    def __init__(self, pid: str, name: str, rest: str) -> None:
        self.pid = pid
        self.name = name
        self.rest = rest


class Log:
    """One file, read."""

    __slots__ = ("calls", "notes", "table")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.table: Counter[str] = Counter()
        self.notes: list[str] = []


def count(text: bytes, path: str, *, whole: bool = False) -> tuple[Counter[str], list[str]]:
    """Calls by name, and what is to be said; `whole` leaves in what came before main. Raises ConfigError."""
    log = _read(text.decode("utf-8", "replace"), path)
    if log.calls and not whole:
        _cut(log, path)
    # -C writes both, and the log has more
    counts = Counter(each.name for each in log.calls) or log.table
    if not counts:
        raise ConfigError(f"{path}: no system call in it: is it strace's output?")
    if not log.calls:
        log.notes.append(f"{path}: a table does not say which calls were before main: they are in")
    return counts, log.notes


def _read(text: str, path: str) -> Log:
    log = Log()
    lines = text.split("\n")
    in_table = False
    for at, line in enumerate(lines, 1):
        if line.startswith(TABLE_HEAD):
            in_table = True
        elif in_table:
            in_table = _read_row(log, line, f"{path}:{at}")
        else:
            try:
                _read_line(log, line, f"{path}:{at}")
            except ConfigError:
                if at < len(lines):
                    raise
                log.notes.append(f"{path}:{at}: the last line is cut off and left out")
    return log


def _read_line(log: Log, line: str, place: str) -> None:
    other = OTHER_ABI.search(line)
    if other:
        log.notes.append(f"{place}: calls of another ABI ({other[1] or other[2]}) are taken by their names")
        return
    prefix = PREFIX.match(line)
    assert prefix  # all of it is optional
    body = line[prefix.end() :]
    call = CALL.match(body)
    if call:
        if WITHOUT_NAME.fullmatch(call[1]):
            log.notes.append(f"{place}: {call[1]}, a call without a name, is left out")
            return
        _check_name(call[1], place)
        log.calls.append(Call(prefix[1] or prefix[2] or "", call[1], call[2]))
    elif not ELSE.match(body) and not ELSE.match(line):
        raise ConfigError(f"{place}: not a line of strace's: {line[:SEEN]!r}")


def _check_name(name: str, place: str) -> None:
    if name not in calls.all_names():
        raise ConfigError(f'{place}: unknown system call "{name}"{did_you_mean(name, calls.all_names())}')


def _read_row(log: Log, line: str, place: str) -> bool:
    """A row of a table; False after its last one."""
    words = line.split()
    if not words or set(line) <= {"-", " "}:
        return True
    if words[-1] == "total":
        return False
    if len(words) not in (CALLS_COLUMN + 2, CALLS_COLUMN + 3) or not re.fullmatch(
        r"[0-9]{1,18}", words[CALLS_COLUMN]
    ):
        raise ConfigError(f"{place}: not a row of a table of strace -c: {line.strip()[:SEEN]!r}")
    if WITHOUT_NAME.fullmatch(words[-1]):
        log.notes.append(f"{place}: {words[-1]}, a call without a name, is left out")
        return True
    _check_name(words[-1], place)
    log.table[words[-1]] += int(words[CALLS_COLUMN])
    return True


def _cut(log: Log, path: str) -> None:
    """Leave out what the first process called before main."""
    first = log.calls[0]
    if first.name != "execve":
        log.notes.append(f"{path}: does not begin with an execve, so nothing is left out")
        return
    own = [call for call in log.calls[1:] if call.pid == first.pid]
    early, libc = _before_main(own)
    dropped = {id(call) for call in [first, *own[:early]]}
    log.calls = [call for call in log.calls if id(call) not in dropped]
    if libc:
        log.notes.append(f"{path}: left out {early} calls before main, by the ways of {libc}")
    else:
        # linkers for mips leave nothing to be made read-only
        kinds = "a static program, or one of musl for mips"
        log.notes.append(f"{path}: no loader is seen: {kinds}, whose start-up calls are in")


def _before_main(own: list[Call]) -> tuple[int, str]:
    """How many calls the loader and the libc made, and which libc it is.

    glibc's loader ends by unmapping ld.so.cache, musl's by making what it relocated read-only. Both are found only
    among calls that start-up sets hold.
    """
    start = list(takewhile(lambda call: call.name in _startup_names(), own))
    names = [call.name for call in start]
    if "set_tid_address" not in names:
        return 0, ""
    at = names.index("set_tid_address")
    loaded = any(call.name in ("open", "openat") and ".so" in call.rest for call in start[:at])
    if "set_robust_list" in names[at : at + 3]:
        if not loaded:
            return 0, ""
        last = names.index("munmap", at) if "munmap" in names[at:] else _end_of_block(names, at)
        return last + 1, "glibc"
    if "mprotect" not in names[at:]:
        return 0, ""
    return _end_of_block(names, at) + 1, "musl"


def _end_of_block(names: list[str], at: int) -> int:
    """The last of the first mprotects in a row."""
    if "mprotect" not in names[at:]:
        return at
    at = names.index("mprotect", at)
    while names[at + 1 : at + 2] == ["mprotect"]:
        at += 1
    return at


@cache
def _startup_names() -> set[str]:
    names: set[str] = set()
    for libc in ("glibc", "musl"):
        path = f"{FILTERS}/startup-{libc}.json"
        try:
            with open(path, "rb") as file:
                rules = json.load(file)["syscalls"]
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        names.update(name for rule in rules for name in rule["names"])
    return names
