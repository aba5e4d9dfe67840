# SPDX-License-Identifier: MIT
"""The words for a denial, and its fields. Apart from jail/denial.py, for most of those are never said."""

from jail.advice import advice
from jail.doors import DEFAULT
from jail.policy import native_arch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jail.denial import Denial

# what came of a call, before and after its name
DEEDS = {
    "kill_process": ("was killed for", ""),
    "kill_thread": ("lost a thread, killed for", ""),
    "trap": ("got SIGSYS for", ""),
    "errno": ("was refused", ""),
    "notify": ("was refused", ""),
    "trace": ("was refused", " with ENOSYS"),
    "log": ("called", ", and was let"),
}
NO_DEED = ("was denied", "")


def line(denial: "Denial") -> str:
    """Who, what, by which policy, and what would allow it."""
    start = f"{denial.name}: " if denial.name else ""
    by = f"which {_policy(denial.policy)} does not allow" if denial.policy else "by a filter of its own"
    if denial.number < 0:
        return f"{start}{_only_dead(denial)}"
    deed, how = DEEDS.get(denial.kind, NO_DEED)
    if denial.errno:
        how = f" with {_errno(denial)}"
    hint = advice(denial)
    return f"{start}{_who(denial)} {deed} {_what(denial)}{how}, {by}{f'; {hint}' if hint else ''}"


def _policy(path: str) -> str:
    return "the default filter of jails" if path == DEFAULT else path


def _only_dead(denial: "Denial") -> str:
    """A death by SIGSYS, and nothing else is known."""
    who = _who(denial)
    if not denial.policy:
        return f"{who} was killed by SIGSYS, and not by a policy of its jail: it has none"
    from jail.silence import is_silent, no_records

    hint = "the kernel wrote no record of which: run it under utrace or strace to see"
    if not is_silent() and no_records():
        hint = "no record of which is here, but in the host's log: utrace, --notify (seccomp_notify) name it"
    return f"{who} was killed for a system call that {_policy(denial.policy)} does not allow; {hint}"


def _who(denial: "Denial") -> str:
    place = f"[{denial.pid}]" if denial.pid > 0 else ""
    return f"{denial.program or 'a process'}{place}"


def _what(denial: "Denial") -> str:
    """ptrace (x86_64 system call 101), socket(AF_NETLINK, SOCK_RAW, 0) (…)."""
    where = f"{denial.abi or 'foreign'} system call {denial.number}"
    if not denial.call:
        return f"{where}, of a foreign ABI"
    return f"{denial.call}{_arguments(denial)} ({where})"


def _arguments(denial: "Denial") -> str:
    meant = meanings(denial)
    return f"({', '.join(meant)})" if meant else ""


def meanings(denial: "Denial") -> list[str]:
    """The arguments as a person writes them; none where they are not known."""
    if not denial.args:
        return []
    from jail import meaning

    if denial.abi != native_arch():
        return [meaning.number(value) for value in denial.args]
    return meaning.named(denial.call, denial.args)


def _errno(denial: "Denial") -> str:
    from errno import errorcode

    return errorcode.get(denial.errno, f"errno {denial.errno}")


def fields(denial: "Denial") -> "dict[str, Any]":
    """Numbers and texts; `args` are what was given, `meaning` the same for people."""
    out: dict[str, Any] = {
        "service": denial.service,
        "instance": denial.instance,
        "pid": denial.pid,
        "program": denial.program,
        "syscall": denial.call,
        "number": denial.number,
        "abi": denial.abi,
        "args": list(denial.args),
        "meaning": meanings(denial),
        "action": denial.kind,
        "errno": denial.errno,
        "policy": denial.policy,
        "source": denial.source,
    }
    out = {
        key: value
        for key, value in out.items()
        if value not in ("", []) and not (key == "errno" and not value)
    }
    if denial.number < 0:
        del out["number"]
    if denial.pid <= 0:
        del out["pid"]
    if denial.time_s:
        out["time"] = int(denial.time_s)
    return out
