# SPDX-License-Identifier: MIT
"""Denied calls of services: from the kernel's records, from notifiers, from deaths; one line each, and not too many.

Each instance may have LINES_MAX lines in WINDOW_S; what comes beyond, or again, is counted, and the count is told
when the window ends. The line goes to the log and with its fields to ubus, as `jail.denied`.
"""

import os

from initd.isolation import policy_of
from initd.records import Records
from initd.slim import deque
from initd.whose import Owner, Owners
from jail.denial import Denial
from jail.why import unexplained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.definition import Definition
    from initd.host import Words
    from initd.instance import Instance
    from initd.loop import Loop
    from initd.process import Process
    from initd.ubus.blob import Table
    from jail.auditrecord import Record

LINES_MAX = 5
WINDOW_S = 30.0
RECORD_DELAY_S = 0.3  # a record goes through a kernel thread, and may come a moment after the death
PIDS_KEPT_S = 2.0  # after the end of a process, for records that come late
ECHO_S = 1.0  # in which two sources tell of the same
RECENT_MAX = 8
POINTERS = 1 << 20  # arguments from there on
DENIED = "jail.denied"


class History:
    """What was denied to one instance, whichever of its processes it was."""

    __slots__ = (
        "_lines", "_recent", "_shown", "_suppressed", "count", "deadly_s", "has_log_failed", "is_counting", "line",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.line = ""  # the last one that was told
        self.deadly_s = -1.0  # when the last call was denied that a process dies of
        self.is_counting = False  # in a window
        self.has_log_failed = False
        self._lines = self._suppressed = 0
        self._shown: set[tuple[object, ...]] = set()
        self._recent: deque[tuple[int, int, str, float]] = deque(maxlen=RECENT_MAX)

    def is_echo(self, denial: Denial, now_s: float) -> bool:
        """Whether another source has told of it already."""
        for pid, number, source, when_s in self._recent:
            is_same = (pid, number) == (denial.pid, denial.number) and source != denial.source
            if is_same and now_s - when_s < ECHO_S:
                return True
        self._recent.append((denial.pid, denial.number, denial.source, now_s))
        return False

    def may_tell(self, denial: Denial) -> bool:
        """Count it, and whether it is to have a line of its own."""
        # of arguments words count, pointers do not: they differ each time
        words = tuple([value for value in denial.args if value < POINTERS])
        key = (denial.program, denial.abi, denial.number, denial.kind, words)
        self.count += 1
        if key in self._shown or self._lines >= LINES_MAX:
            self._suppressed += 1
            return False
        self._shown.add(key)
        self._lines += 1
        return True

    def begin_window(self) -> int:
        """Begin anew; how many were not told in the window before."""
        count, self._suppressed, self._lines, self.is_counting = self._suppressed, 0, 0, False
        self._shown.clear()
        return count


class Denials:
    """`publish(fields)` sends what is told to ubus."""

    def __init__(self, loop: "Loop", log: "Words", publish: "Callable[[Table], None]") -> None:
        self._loop = loop
        self._log = log
        self._publish = publish
        self._owners = Owners()
        self._guesses = 0
        self._guesses_end_s = 0.0
        self.records = Records(loop, self._take_record, log.info)

    # what instances say

    def prepare(self, definition: "Definition") -> None:
        """Before it is started: its first call may be denied."""
        if policy_of(definition):
            self.records.open()

    def follow(self, instance: "Instance", process: "Process") -> Owner:
        """From its start to its end() what a process and all it starts are denied is the instance's."""
        owner = Owner(instance, process)
        self._owners.add(owner)
        return owner

    def end(self, owner: Owner | None, is_denial: bool) -> None:
        """The process has ended; `is_denial`: as if by a denied call."""
        if owner is None:
            return
        self._loop.after(PIDS_KEPT_S, lambda: self._owners.remove(owner))
        if is_denial:
            since_s = self._loop.now() - ECHO_S
            self._loop.after(RECORD_DELAY_S, lambda: self._explain(owner, since_s))

    # what sources say

    def note(self, denial: Denial) -> None:
        """One denial of a source that knows the service and the instance, or else the host's pid."""
        owner = self._owners.named(denial.service, denial.instance) if denial.service else None
        owner = owner or self._owners.of_pid(denial.pid)
        if owner is not None:
            self._note(denial, owner)

    def _take_record(self, found: "Record") -> None:
        owners, is_sure = self._owners.of_record(found)
        if owners and is_sure:
            self._note(found.denial(), owners[0])
        elif owners and self._may_guess():
            names = " or ".join([owner.definition.full_name for owner in owners])
            self._log.warning(f"denied to a process that is gone, perhaps of {names}: {found}")

    def _may_guess(self) -> bool:
        """Not too many of those either."""
        now_s = self._loop.now()
        if now_s > self._guesses_end_s:
            self._guesses, self._guesses_end_s = 0, now_s + WINDOW_S
        self._guesses += 1
        return self._guesses <= LINES_MAX

    def _explain(self, owner: Owner, since_s: float) -> None:
        """A death by SIGSYS: unless a record has told of it, that is all there is to say."""
        denied = owner.instance.denied
        if not owner.is_explained and (denied is None or denied.deadly_s < since_s):
            denial = unexplained(owner.service_pid)
            denial.program = os.path.basename(owner.definition.command[0])
            self._note(denial, owner)

    def _note(self, denial: Denial, owner: Owner) -> None:
        definition, now_s = owner.definition, self._loop.now()
        denial.service, denial.instance = definition.service, definition.instance
        denial.policy = denial.policy or owner.policy
        denied = owner.instance.denied = owner.instance.denied or History()
        if denial.is_deadly:
            denied.deadly_s = now_s
            owner.is_explained = owner.is_explained or denial.pid == owner.service_pid
        if denied.is_echo(denial, now_s):
            return
        if definition.seccomp_log:
            self._write(denial, denied, os.path.abspath(definition.seccomp_log))
        if not denied.is_counting:
            denied.is_counting = True
            self._loop.after(WINDOW_S, lambda: self._close_window(definition, denied))
        if denied.may_tell(denial):
            denied.line = denial.words()
            (self._log.error if denial.is_deadly else self._log.warning)(denied.line)
            self._publish({**table(denial), "message": denied.line})

    def _write(self, denial: Denial, denied: History, path: str) -> None:
        """Each of them as a line of JSON in the file that the service names; what hinders is told once."""
        from jail.eventlog import EventLog

        try:
            events = EventLog(path)
            try:
                events.write(denial)
            finally:
                events.close()
            problem = f"{path}: full, or no room: not all denied calls are in it" if events.lost else ""
        except OSError as error:
            problem = f"{path}: {error.strerror}"
        if problem and not denied.has_log_failed:
            self._log.warning(f"{denial.name}: {problem}")
        denied.has_log_failed = bool(problem)

    def _close_window(self, definition: "Definition", denied: History) -> None:
        """Tell what was not told, and begin anew."""
        count = denied.begin_window()
        if count:
            self._log.warning(
                f"{definition.full_name}: {count} more denied calls in {WINDOW_S:.0f} s, not told one by one"
            )
            self._publish(
                {"service": definition.service, "instance": definition.instance, "suppressed": count}
            )

    def close(self) -> None:
        """Give back what was opened."""
        self.records.close()


def table(denial: Denial) -> "Table":
    """Its fields as ubus has numbers: 64 bits with a sign."""
    fields = denial.fields()
    if "args" in fields:
        fields["args"] = [value - (1 << 64) if value >> 63 else value for value in denial.args]
    return fields
