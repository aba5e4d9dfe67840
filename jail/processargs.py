# SPDX-License-Identifier: MIT
"""What a process has beside its ids: words of --umask, --oom-score-adj, --ioprio and --proc. Words only."""

from jail._native import lib
from jail.errors import UsageError
from jail.spec import TRACE, JailSpec

OOM_MAX = 1000
CLASSES = {"rt": lib.IO_REALTIME, "be": lib.IO_BEST_EFFORT, "idle": lib.IO_IDLE}
LEVELS = 8  # of the first two classes, 0 is the best
# numbers, because names are known to Linux 5.8 and later only
HIDEPID = {"noaccess": "1", "invisible": "2", "ptraceable": "4"}


class ProcOptions:
    """mount options of the jail's /proc, and whether it has nothing but processes."""

    __slots__ = ("only_pids", "text")

    def __init__(self, text: str, only_pids: bool) -> None:
        self.text = text
        self.only_pids = only_pids


def parse_umask(text: str) -> int:
    """Octal, as for umask(1)."""
    if not 1 <= len(text) <= 4 or not set(text) <= set("01234567") or int(text, 8) > 0o777:
        raise UsageError(f"umask: {text[:40]!r} is not an octal number up to 0777")
    return int(text, 8)


def parse_oom_score_adj(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 4 or int(digits) > OOM_MAX:
        raise UsageError(f"oom_score_adj: {text[:40]!r} is not a number from -{OOM_MAX} to {OOM_MAX}")
    return int(text)


def parse_ioprio(text: str) -> tuple[int, int]:
    """`rt:LEVEL`, `be:LEVEL` or `idle` → class and level."""
    name, colon, level = text.partition(":")
    if name == "idle" and not colon:
        return int(CLASSES[name]), 0
    if name not in ("rt", "be") or level not in map(str, range(LEVELS)):
        raise UsageError(f"ioprio: {text[:40]!r} is not rt:0 to rt:7, be:0 to be:7, or idle")
    return int(CLASSES[name]), int(level)


def show_ioprio(number: int, level: int) -> str:
    """The words for a class and level, "" for a class without a word."""
    name = next((name for name, value in CLASSES.items() if value == number), "")
    return f"{name}:{level % LEVELS}" if name in ("rt", "be") else name


def parse_proc(text: str) -> ProcOptions:
    """`hidepid=MODE` and `subset=pid`, with a comma."""
    options = []
    only_pids = False
    for word in text.split(",") if text else ():
        key, _, value = word.partition("=")
        if key == "hidepid" and value in HIDEPID:
            options.append(f"hidepid={HIDEPID[value]}")
        elif word == "subset=pid":
            options.append(word)
            only_pids = True
        else:
            raise UsageError(
                f"proc: {word[:40]!r} is not hidepid=noaccess, hidepid=invisible, hidepid=ptraceable or subset=pid"
            )
    return ProcOptions(",".join(options), only_pids)


def check_process(spec: JailSpec) -> None:
    """What a process can be given. Raises UsageError."""
    for text, parse in (
        (spec.umask, parse_umask),
        (spec.oom_score_adj, parse_oom_score_adj),
        (spec.ioprio, parse_ioprio),
        (spec.proc, parse_proc),
    ):
        if text:
            parse(text)
    if spec.oom_score_adj and spec.mode == TRACE and not spec.stub:
        raise UsageError("oom_score_adj: a trace of a service without namespaces would get it too")
