# SPDX-License-Identifier: MIT
"""`jailctl why NAME`: how a service last ended, and what it was denied, in two lines with the change that would help;
and what it was not shown.

initd is asked over ubus. What it does not know may be a jail of `ujail`, whose denials are looked up in the kernel
log, or else the name of a program.
"""

import os

from jail import why
from jail.auditrecord import Record
from jail.errors import JailError
from jail.running import find_jail
from jail.silence import is_first_pid_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Table = dict[str, Any]

MOST = 3  # denials of a jail without initd: the last ones; warnings: the first


def lines_about(name: str) -> list[str]:
    """What there is to say. Raises JailError where nothing is known of the name."""
    service, _, instance = name.partition("::")
    for listed in ask(service):
        return [
            line
            for key in listed
            if instance in ("", key)
            for line in about(f"{service}::{key}", listed[key])
        ]
    if jail := find_jail(name):
        # what holds it: a word, and for a policy its path
        return about_jail(name, jail.service_pid, jail.door.partition(" ")[2])
    records = [found for found in why.read_log(0, 0.0) if found.program == name]
    if not records:
        raise JailError(
            f"no service and no jail is called {name}, and the kernel log has no denial of such a program"
        )
    return [
        f"{name}: neither a service of initd nor a jail that runs; programs of that name were denied:",
        *(f"{name}: {found}" for found in records[-MOST:]),
    ]


def ask(service: str) -> "list[Table]":
    """The instances of a service, by name; empty where there is no initd, or no such service."""
    from initd.ubus.blocking import Session
    from initd.ubus.client import SOCKET_PATH
    from initd.ubus.wire import UbusError

    found = []
    try:
        with Session(os.environ.get("UBUS_SOCKET") or SOCKET_PATH) as session:
            for tree in ("service", "container"):
                for answer in session.call(tree, "list", {"name": service}):
                    listed = answer.get(service)
                    if isinstance(listed, dict):
                        found.append(listed.get("instances") or {})
    except UbusError:
        pass
    return [each for each in found if isinstance(each, dict)]


def about(name: str, entry: "Table") -> list[str]:
    """Two lines for an instance, as `service list` shows it, and what of it was not as asked for."""
    first = str(entry.get("state", "unknown"))
    if "pid" in entry:
        first += f", pid {entry.get('service_pid', entry['pid'])}"
    if errors := entry.get("errors"):
        first = f"not started: {errors[0]}"
    elif entry.get("failed"):
        first += f": {entry['failed']}"
    elif entry.get("last_exit"):
        first += f"; its last process ended with {entry['last_exit']}"
    missing = [f"{name}: {warning}" for warning in entry.get("warnings", [])[:MOST]]
    return [f"{name}: {first}", f"{name}: {_denied(entry)}", *missing]


def _denied(entry: "Table") -> str:
    if not entry.get("last_denial"):
        return "no call was denied" if "seccomp" in entry or "jail" in entry else "no policy holds it"
    more = int(entry.get("denials", 1)) - 1
    others = "" if more <= 0 else " (1 other denial)" if more == 1 else f" ({more} other denials)"
    return f"{entry['last_denial']}{others}"


def about_jail(name: str, pid: int, policy: str) -> list[str]:
    """The same for a jail that `ujail` started and that runs, from the kernel log."""
    lines = [f"{name}: running, pid {pid}" + (f", held by {policy}" if policy else "")]
    try:
        since_us = why.start_us(pid)
        if not is_first_pid_namespace():
            return [*lines, f"{name}: the kernel log has other pids than we; --notify tells what is denied"]
        denials = [found.denial() for found in why.read_log(since_us, 0.0) if is_of_jail(found, pid)]
        if not denials:
            why.start_us(pid)  # of a jail that has ended meanwhile nobody knows which were its own
    except OSError as error:
        raise JailError(f"{name}: has just ended") from error
    for denial in denials[-MOST:]:
        denial.service, denial.policy = name, policy
        lines.append(denial.words())
    return lines if denials else [*lines, f"{name}: the kernel log has no call that was denied to it"]


def is_of_jail(found: Record, pid: int) -> bool:
    """Whether a record is of a jail: of its service, or of a process in the same PID namespace."""
    if found.pid == pid:
        return True
    try:
        return os.stat(f"/proc/{found.pid}/ns/pid").st_ino == os.stat(f"/proc/{pid}/ns/pid").st_ino != _own()
    except OSError:  # gone: a program that only this root has was of this jail
        return (
            bool(found.exe)
            and not os.path.exists(found.exe)
            and os.path.exists(f"/proc/{pid}/root{found.exe}")
        )


def _own() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
