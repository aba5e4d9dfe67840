# SPDX-License-Identifier: MIT
"""One line with the kernel's record of a denied call → its fields: the one parser of them, for every command. Pure.

The line may come from anywhere: the kernel log, syslog, auditd's file; where in it the record begins is the caller's
to know (recordplace.py, for logs). initd reads it while it runs: must not import `re`.
"""

from jail.denial import Denial
from jail.errors import ConfigError
from jail.policy import arch_of_audit, call_name

NEEDED = {"pid": 10, "arch": 16, "syscall": 10, "code": 16}
KNOWN = (*NEEDED, "auid", "uid", "gid", "ses", "subj", "comm", "exe", "sig", "compat", "ip", "type", "msg")
MOST = 1 << 32
SEEN = 20  # characters of a value in a message
NO_ID = -1


class Record:
    """One denial as the kernel has it. `arch` and `call` are "" where they are not known, `uid` is NO_ID then.

    `mark` is what the kernel calls the record, "seconds.milliseconds:number"; no two have the same.
    """

    __slots__ = ("arch", "audit", "call", "code", "exe", "mark", "number", "pid", "program", "uid")

    def __init__(self, fields: dict[str, str], numbers: dict[str, int], mark: str) -> None:
        self.audit = numbers["arch"]
        self.number = numbers["syscall"]
        self.code = numbers["code"]
        self.pid = numbers["pid"]
        self.arch = arch_of_audit(self.audit)
        self.call = call_name(self.arch, self.number)
        self.program = _plain(fields.get("comm", "?"))
        self.exe = _plain(fields.get("exe", ""))
        uid = fields.get("uid", "")
        self.uid = int(uid) if uid.isascii() and uid.isdigit() and len(uid) <= 10 else NO_ID
        self.mark = mark

    def __str__(self) -> str:
        from jail.bpf import verdict_text

        where = f"{self.arch or f'unknown architecture {self.audit:#x}'} system call {self.number}"
        call = f"{self.call} ({where})" if self.call else where
        exe = f" {self.exe}" if self.exe else ""
        return f"{self.program}[{self.pid}]{exe}: {call}: {verdict_text(self.code, self.arch)}"

    @property
    def time_s(self) -> float:
        """When it was, on the wall's clock; 0 if the record does not tell."""
        try:
            return float(self.mark.partition(":")[0])
        except ValueError:
            return 0.0

    def denial(self) -> Denial:
        """The same as a value that is nobody's yet."""
        return Denial(
            self.number, self.arch, self.pid, program=self.program, action=self.code, time_s=self.time_s
        )


def parse(line: str, start: int = 0) -> Record:
    """One record. Raises ConfigError without a place."""
    fields = _fields(line[start:])
    numbers = {}
    for name, base in NEEDED.items():
        if name not in fields:
            raise ConfigError(f'damaged record: "{name}" is not there{_hint(name, fields)}')
        try:
            numbers[name] = int(fields[name], base)
        except ValueError:
            numbers[name] = -1
        if not 0 <= numbers[name] < MOST:
            raise ConfigError(
                f"damaged record: {name}={fields[name][:SEEN]} is no number that could be there"
            )
    mark = line[start:].partition("audit(")[2].partition(")")[0]
    return Record(fields, numbers, mark)


def _fields(text: str) -> dict[str, str]:
    """name=value and name="value": the kernel writes a value with a blank or a quote in it in hexadecimal."""
    fields: dict[str, str] = {}
    name = ""
    for at, part in enumerate(text.split('"')):
        if at % 2:
            if name:
                fields[name] = f'"{part}"'
            continue
        name = ""
        for word in part.split():
            name, _, value = word.partition("=")
            if value:
                fields[name] = value
    return fields


def _hint(name: str, fields: dict[str, str]) -> str:
    from jail.near import near

    meant = next((each for each in fields if each not in KNOWN and near(each, [name])), "")
    return f', but "{meant}" is' if meant else ""


def _plain(value: str) -> str:
    """audit quotes names, and writes those with odd characters in hexadecimal.

    Any process gives itself a name: nothing in it may command the terminal.
    """
    name = value[1:-1] if value.startswith('"') else _unhex(value)
    return "".join([char if char.isprintable() else "?" for char in name])


def _unhex(text: str) -> str:
    try:
        return bytes.fromhex(text).rstrip(b"\0").decode("utf-8", "replace")
    except ValueError:
        return text  # not one of those
