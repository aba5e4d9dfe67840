# SPDX-License-Identifier: MIT
"""The kernel's records of seccomp's denials, from anywhere: dmesg, syslog, auditd; any architecture. Pure."""

import re
from collections import Counter
from contextlib import suppress

from jail import calls
from jail._native import lib
from jail.bpf import verdict_text
from jail.errors import ConfigError
from jail.near import near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

IS_RECORD = re.compile(r"\btype=(?:1326|SECCOMP)\b")
FIELD = re.compile(r'(\w+)=("[^"]*"|[^\s"]+)')
NEEDED = {"pid": 10, "arch": 16, "syscall": 10, "code": 16}
KNOWN = (*NEEDED, "auid", "uid", "gid", "ses", "subj", "comm", "exe", "sig", "compat", "ip", "type", "msg")
MOST = 1 << 32
SEEN = 20  # characters of a value in a message


class Record:
    """One denial. `arch` and `call` are "" where they are not known."""

    __slots__ = ("arch", "audit", "call", "code", "exe", "number", "pid", "program")

    def __init__(self, fields: dict[str, str], numbers: dict[str, int]) -> None:
        self.audit = numbers["arch"]
        self.number = numbers["syscall"]
        self.code = numbers["code"]
        self.pid = numbers["pid"]
        self.arch = calls.text_of(lib.audit_arch_name(self.audit))
        self.call = calls.name_of(self.arch, self.number) if self.arch else ""
        self.program = _plain(fields.get("comm", "?"))
        self.exe = _plain(fields.get("exe", ""))

    def __str__(self) -> str:
        where = f"{self.arch or f'unknown architecture {self.audit:#x}'} system call {self.number}"
        call = f"{self.call} ({where})" if self.call else where
        exe = f" {self.exe}" if self.exe else ""
        return f"{self.program}[{self.pid}]{exe}: {call}: {verdict_text(self.code, self.arch)}"


def read(text: bytes, path: str) -> "Iterator[Record | ConfigError]":
    """Each record, in order; for one that is damaged the error that says how. Other lines are left out."""
    for at, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        found = IS_RECORD.search(line)
        if not found:
            continue
        try:
            yield parse(line, found.start())
        except ConfigError as error:
            yield ConfigError(f"{path}:{at}: {error}")


def parse(line: str, start: int = 0) -> Record:
    """One record. Raises ConfigError without a place."""
    fields = dict(FIELD.findall(line, start))
    numbers = {}
    for name, base in NEEDED.items():
        if name not in fields:
            meant = next((each for each in fields if each not in KNOWN and near(each, [name])), "")
            hint = f', but "{meant}" is' if meant else ""
            raise ConfigError(f'damaged record: "{name}" is not there{hint}')
        try:
            numbers[name] = int(fields[name], base)
        except ValueError:
            numbers[name] = -1
        if not 0 <= numbers[name] < MOST:
            raise ConfigError(
                f"damaged record: {name}={fields[name][:SEEN]} is no number that could be there"
            )
    return Record(fields, numbers)


def _plain(value: str) -> str:
    """audit quotes names, and writes those with odd characters in hexadecimal.

    Any process gives itself a name: nothing in it may command the terminal.
    """
    name = value[1:-1] if value.startswith('"') else value
    if name == value:
        with suppress(ValueError):
            name = bytes.fromhex(value).rstrip(b"\0").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in name)


def count_denied(text: bytes, path: str, program: str = "") -> tuple[Counter[str], list[str]]:
    """What was denied, by name, and what cannot be in the policy. Raises ConfigError for a damaged record."""
    counts: Counter[str] = Counter()
    strangers: Counter[str] = Counter()
    first = ""
    for record in read(text, path):
        if isinstance(record, ConfigError):
            raise record
        if program and record.program != program:
            continue
        first = first or record.arch
        if record.call and record.arch == first:
            counts[record.call] += 1
        else:
            strangers[f"{record.arch or hex(record.audit)} {record.call or record.number}"] += 1
    if not counts:
        raise ConfigError(f"{path}: no record of a denied call{f' of {program}' if program else ''}")
    return counts, [f"not in the policy, which is for {first}: {each}" for each in strangers]
