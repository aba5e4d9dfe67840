# SPDX-License-Identifier: MIT
"""The kernel's records of denied calls, as they come: audit's netlink group and the kernel log, both in the loop.

Either may be closed to us; both may tell the same, and each record is passed on once. A flood of them costs a
bounded part of the time: what comes too fast is left unread, and that is told.
"""

import os
from _struct import Struct
from errno import ENOBUFS, EPIPE

from initd.loop import READ
from initd.slim import deque, socket
from jail import auditrecord
from jail._native import lib
from jail.errors import ConfigError
from jail.silence import is_silent, needs_supervisor, no_records
from jail.why import KERNEL_LOG, RECORD_BYTES, of_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.loop import Loop
    from jail.auditrecord import Record

HEADER = Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
ROUND_MAX = 32  # read in a row, before the other callbacks of the loop have their turn
PER_PAUSE = 200  # read before a pause, if that took less than a pause
PAUSE_S = 1.0
SILENCE_S = 60.0  # after a line about that
MARKS_MAX = 64  # of records that the other source may tell again
ACTIONS_LOGGED = "/proc/sys/kernel/seccomp/actions_logged"
WANTED = ("kill_process", "kill_thread", "trap", "errno", "log")


class Records:
    """`take` gets each record; `tell` a line for what is closed, once, and for what was lost."""

    def __init__(self, loop: "Loop", take: "Callable[[Record], None]", tell: "Callable[[str], None]") -> None:
        self._loop = loop
        self._take = take
        self._tell = tell
        self._audit: socket.socket | None = None
        self._log_fd = -1
        self._marks: deque[str] = deque(maxlen=MARKS_MAX)
        self._count = 0
        self._since_s = 0.0
        self._silent_until_s = 0.0
        self._is_watching = False
        self.is_open = False

    def open(self) -> None:
        """Begin to listen, where it is possible; what came before is not read."""
        if self.is_open:
            return
        self.is_open = True
        if reason := no_records():
            rest = ", and seccomp_notify names the calls" if not is_silent() and needs_supervisor() else ""
            self._tell(
                f"the kernel has no records of denied calls for us: {reason}; deaths by them are seen{rest}"
            )
            return
        closed = [text for text in (self._open_audit(), self._open_log()) if text]
        if len(closed) == 2:
            closed.append("so only deaths by denied calls are seen")
        for text in closed:
            self._tell(text)
        if unlogged := missing_actions():
            self._tell(f"the kernel logs no denials by {', '.join(unlogged)}: see {ACTIONS_LOGGED}")
        self._watch()

    def _open_audit(self) -> str:
        """Returns what is to be said if it is closed."""
        try:
            made = socket.socket(
                socket.AF_NETLINK,
                socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
                lib.NETLINK_AUDIT,
            )
        except OSError as error:
            return f"records of denied calls: audit: {error.strerror}"
        try:
            made.bind((0, 1 << lib.AUDIT_NLGRP_READLOG - 1))
        except OSError as error:
            made.close()
            return f"records of denied calls: audit: {error.strerror}"
        self._audit = made
        return ""

    def _open_log(self) -> str:
        try:
            self._log_fd = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._log_fd, 0, os.SEEK_END)
        except OSError as error:
            if self._log_fd >= 0:
                os.close(self._log_fd)
                self._log_fd = -1
            return f"records of denied calls: {KERNEL_LOG}: {error.strerror}"
        return ""

    def _watch(self) -> None:
        self._since_s, self._count, self._is_watching = self._loop.now(), 0, True
        try:
            if self._audit is not None:
                self._loop.watch(self._audit.fileno(), READ, self._read_audit)
            if self._log_fd >= 0:
                self._loop.watch(self._log_fd, READ, self._read_log)
        except OSError as error:  # no memory for it; services run without this
            self._tell(f"records of denied calls: {error.strerror}")

    def _unwatch(self) -> None:
        self._is_watching = False
        for fd in self._fds():
            self._loop.unwatch(fd)

    def _fds(self) -> list[int]:
        return [fd for fd in (self._audit.fileno() if self._audit else -1, self._log_fd) if fd >= 0]

    def _is_too_fast(self) -> bool:
        """Count one more that was read. True if reading pauses now."""
        self._count += 1
        if self._count < PER_PAUSE:
            return False
        if self._loop.now() - self._since_s > PAUSE_S:
            self._since_s, self._count = self._loop.now(), 0
            return False
        self._unwatch()
        if self._loop.now() >= self._silent_until_s:
            self._silent_until_s = self._loop.now() + SILENCE_S
            self._tell("records of denied calls come too fast: some are not read")
        self._loop.after(PAUSE_S, self._go_on)
        return True

    def _go_on(self) -> None:
        if not self.is_open:
            return
        if self._log_fd >= 0:
            os.lseek(self._log_fd, 0, os.SEEK_END)
        self._watch()

    def _read_audit(self, events: int) -> None:
        assert self._audit is not None
        for _ in range(ROUND_MAX):
            try:
                data, sender = self._audit.recvfrom(RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == ENOBUFS:  # the kernel had more than the socket holds
                    continue
                raise
            # what another process sends bears its port
            if sender[0] or len(data) < HEADER.size or HEADER.unpack_from(data)[1] != lib.AUDIT_SECCOMP:
                continue
            text = data[HEADER.size :].decode("utf-8", "replace").rstrip("\0\n")
            try:
                self._pass_on(auditrecord.parse(text))
            except ConfigError:
                continue  # none that we know the form of
            if self._is_too_fast():
                return

    def _read_log(self, events: int) -> None:
        for _ in range(ROUND_MAX):
            try:
                line = os.read(self._log_fd, RECORD_BYTES).decode("utf-8", "replace")
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == EPIPE:  # overwritten while we read
                    continue
                raise
            found = of_kernel(line)
            if found is not None:
                self._pass_on(found)
                if self._is_too_fast():
                    return

    def _pass_on(self, found: "Record") -> None:
        if found.mark in self._marks:
            return
        self._marks.append(found.mark)
        self._take(found)

    def close(self) -> None:
        """Give back both."""
        if self.is_open:
            self.is_open = False
            if self._is_watching:
                self._unwatch()
            if self._audit is not None:
                self._audit.close()
            if self._log_fd >= 0:
                os.close(self._log_fd)
            self._audit, self._log_fd = None, -1


def missing_actions() -> list[str]:
    """Which denials the administrator has switched off."""
    try:
        with open(ACTIONS_LOGGED, encoding="ascii") as file:
            logged = file.read().split()
    except OSError:
        return []
    return [name for name in WANTED if name not in logged]
