# SPDX-License-Identifier: MIT
"""The supervisor of one service whose filter asks: it hears each denied call, tells of it, and answers.

The policy is read once more and says what comes of a call, so that the answer is what the filter alone would
give. Who does not answer lets nothing pass: without a supervisor these calls fail with ENOSYS. Used by initd in its
loop and by `ujail` while it waits.
"""

import _signal  # the C half of `signal`, without enum
import os
import select
from errno import EAGAIN, EINTR, EINVAL, ENOENT, ENOSYS, EPERM, ESRCH
from time import time

from jail import procfs
from jail._native import ffi, lib
from jail.bpf import Program
from jail.denial import NOTIFIER, Denial
from jail.doors import read_policy
from jail.policy import arch_of_audit, call_name, compile_filter, is_big_endian

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED_FIELDS = ("SigBlk", "SigIgn", "SigCgt")
CONTINUE = -1


class Notifier:
    """`fd` is the listener; `tell` is called with each denied call, before what comes of it."""

    __slots__ = ("_call", "_closing", "_complains", "_judge", "_poll", "_tell", "fd")

    def __init__(
        self, fd: int, policy: str, abi: str, pid: int, *, complains: bool, tell: "Callable[[Denial], None]"
    ) -> None:
        """`abi` is that of the program, `pid` the service's. Raises ConfigError if the policy is wrong by now."""
        text = read_policy(policy)
        granted = int(status_of(pid).get("CapPrm", "0"), 16)
        code = compile_filter(text, abi, path=policy, capabilities=granted, lenient=True).code
        self.fd = fd
        self._judge = Program(code, big_endian=is_big_endian(abi))
        self._complains = complains
        self._tell = tell
        self._call = ffi.new("struct notify_call *")
        self._closing = -1  # the service's copy of the listener, while its shim may close that
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def is_asked(self) -> bool:
        return any(events & select.POLLIN for _, events in self._poll.poll(0))

    def is_over(self) -> bool:
        """Whether nobody is left who could ask (Linux 5.9: before, this is not told)."""
        return any(events & select.POLLHUP for _, events in self._poll.poll(0))

    def serve(self) -> None:
        """Answer one call; is_asked() must have said that there is one. Raises OSError."""
        call = self._call
        result = lib.notify_receive(self.fd, call)
        if result in (-ENOENT, -EINTR):
            return  # its process has ended, or has taken a signal
        if result:
            raise OSError(-result, os.strerror(-result))
        abi = arch_of_audit(call.arch)
        name = call_name(abi, call.number)
        if self._is_hand_over(name):
            return
        verdict = self._judge.run(call.arch, call.number, list(call.args)).value
        kind = verdict & lib.SECCOMP_RET_ACTION_FULL
        if kind in (lib.SECCOMP_RET_ALLOW, lib.SECCOMP_RET_LOG):
            # the file is another one by now; what the service has in force denies
            verdict = lib.SECCOMP_RET_ERRNO | EPERM
        action = lib.SECCOMP_RET_LOG if self._complains else verdict
        try:
            self._tell(self._denial(abi, action))
        finally:
            self._decide(verdict)

    def _is_hand_over(self, name: str) -> bool:
        """The shim's two calls: "take it", and the end of its own copy, whatever the policy says of close."""
        call = self._call
        if name == "prctl" and call.args[0] & 0xFFFFFFFF == lib.MARK_LISTENER:
            self._closing = int(call.args[1])
            self._answer(EINVAL)  # as for any option that no kernel has
            return True
        closing, self._closing = self._closing, -1
        if name == "close" and int(call.args[0]) == closing:
            self._answer(CONTINUE)
            return True
        return False

    def _decide(self, verdict: int) -> None:
        kind = verdict & lib.SECCOMP_RET_ACTION_FULL
        if self._complains:
            self._answer(CONTINUE)
        elif kind == lib.SECCOMP_RET_ERRNO:
            self._answer(verdict & lib.SECCOMP_RET_DATA)
        elif kind in (lib.SECCOMP_RET_KILL_PROCESS, lib.SECCOMP_RET_KILL_THREAD):
            self._kill()  # and no answer: the call never returns
        else:
            self._answer(ENOSYS)

    def _answer(self, error: int) -> None:
        # -ENOENT: its process has ended meanwhile
        lib.notify_answer(self.fd, self._call.id, error)

    def _kill(self) -> None:
        """By SIGSYS, as the kernel does it; by KILL if the process has its own ideas of that signal."""
        status = status_of(self._call.pid)
        bit = 1 << _signal.SIGSYS - 1
        minds = any(int(status.get(field, "0"), 16) & bit for field in IGNORED_FIELDS)
        number = _signal.SIGKILL if minds else _signal.SIGSYS
        # a thread's status names its process, and holds for it as long as the call waits
        pid = int(status.get("Tgid", "0"))
        if lib.notify_kill(self.fd, self._call.id, pid, number):
            self._answer(ENOSYS)  # it has ended; or it cannot be killed, and is refused at least

    def _denial(self, abi: str, action: int) -> Denial:
        call = self._call
        status = status_of(call.pid)
        return Denial(
            int(call.number),
            abi,
            int(status.get("Tgid", str(call.pid))),
            program="".join([char if char.isprintable() else "?" for char in status.get("Name", "?")]),
            action=action,
            args=[int(value) for value in call.args],
            source=NOTIFIER,
            time_s=time(),
        )

    def close(self) -> None:
        os.close(self.fd)


def take(pid: int) -> int:
    """The listener of a process, -1 as long as it has none. Raises OSError, ProcessLookupError for one that ends."""
    fd = lib.notify_take(pid)
    if fd == -EAGAIN:
        return -1
    # one that ends gives up its memory first; without that its descriptors are root's, and then they are gone
    if fd < 0 and "VmSize" not in status_of(pid):
        fd = -ESRCH
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd))
    return fd


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status; {} for a process that is gone."""
    try:
        return procfs.status(pid)
    except OSError:
        return {}
