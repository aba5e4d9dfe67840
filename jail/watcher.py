# SPDX-License-Identifier: MIT
"""What stays of `ujail` where denied calls are to be heard: it waits for the jail as ujail-init does, and reads.

Its sources are the jail's listener, if its filter asks, and else the kernel's records. A Python process for one
jail, so only where -M or --notify asks for it, or complaining needs it.
"""

import _signal  # the C half of `signal`, without enum
import os
import select

from jail.errors import JailError
from jail.eventlog import EventLog
from jail.launch import launch
from jail.notifier import Notifier, take
from jail.procfs import parent
from jail.silence import no_records
from jail.spec import COMPLAIN
from jail.why import KERNEL_LOG, PATIENCE_S, RECORD_BYTES, of_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jail.auditrecord import Record
    from jail.bpf import Program
    from jail.denial import Denial
    from jail.launch import Jail
    from jail.plan import Plan
    from jail.spec import JailSpec

LOOK_MS = 20  # between looks for a listener
GENERATIONS_MAX = 64
READ_MAX = 256  # of records in a row
# what is not handed on: for this process alone, or from its terminal
OWN = ("KILL", "STOP", "CHLD", "SEGV", "BUS", "FPE", "ILL", "TRAP", "SYS", "ABRT", "TSTP", "TTIN", "TTOU")


def watch_here(
    plan: "Plan",
    spec: "JailSpec",
    log: str,
    say: "Callable[[str], None]",
    on_start: "Callable[[int], None]",
    net_fd: int = -1,
    console_fd: int = -1,
) -> int:
    """Run the jail; its denied calls go to the file `log`, else to say(); returns its exit status.

    on_start(the service's pid) is called once it runs. Raises JailError, OSError; this process's end is the jail's.
    """
    events = EventLog(log) if log else None
    watcher = Watcher(plan, spec, events, say)
    jail = launch(plan, net_fd=net_fd, console_fd=console_fd)
    on_start(jail.service_pid)
    return watcher.wait(jail)


class Watcher:
    """One jail that runs. Made before the launch, so that no record is missed."""

    __slots__ = (
        "_events", "_filters", "_kmsg_fd", "_notifier", "_plan", "_poll", "_say", "_service_pid", "_spec",
    )  # fmt: skip

    def __init__(
        self, plan: "Plan", spec: "JailSpec", events: "EventLog | None", say: "Callable[[str], None]"
    ) -> None:
        self._plan, self._spec, self._events, self._say = plan, spec, events, say
        self._notifier: Notifier | None = None
        self._poll = select.poll()
        self._filters: dict[str, Program | None] = {}  # of the policy, for records of who is gone
        self._service_pid = 0
        self._kmsg_fd = -1
        if not plan.notify_abi:
            self._open_records()

    def _open_records(self) -> None:
        if reason := no_records():
            self._say(f"warning: denied calls will not be seen: the kernel has no records of them ({reason})")
            return
        try:
            self._kmsg_fd = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._kmsg_fd, 0, os.SEEK_END)
            self._poll.register(self._kmsg_fd, select.POLLIN)
        except OSError as error:
            self._say(f"warning: {KERNEL_LOG}: {error.strerror}: denied calls will not be seen")

    def wait(self, jail: "Jail") -> int:
        """Until the jail has ended; returns its exit status. The signals that were held go to it."""
        self._service_pid = jail.service_pid
        if jail.listener_fd >= 0:
            self._listen(jail.listener_fd)
        woken_fd = _forward_signals(jail.pid)
        self._poll.register(woken_fd, select.POLLIN)
        while True:
            pid, status = os.waitpid(jail.pid, os.WNOHANG)
            if pid:
                break
            if self._plan.notify_abi and self._notifier is None:
                self._look()
            searching = bool(self._plan.notify_abi) and self._notifier is None
            for fd, events in self._poll.poll(LOOK_MS if searching else None):
                self._serve(fd, events, woken_fd)
        self._drain()
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _serve(self, fd: int, events: int, woken_fd: int) -> None:
        if fd == woken_fd:
            os.read(woken_fd, 4096)
        elif fd == self._kmsg_fd:
            self._read_records()
        elif self._notifier is not None:
            if not events & select.POLLIN:
                self._poll.unregister(fd)  # nobody is left who could ask
            elif self._notifier.is_asked():
                self._notifier.serve()

    def _look(self) -> None:
        """The shim waits until its listener is taken."""
        try:
            fd = take(self._service_pid)
        except (FileNotFoundError, ProcessLookupError):
            return  # it has ended
        except OSError as error:
            raise JailError(f"its denied calls cannot be heard: {error.strerror}") from error
        if fd >= 0:
            self._listen(fd)

    def _listen(self, fd: int) -> None:
        self._notifier = Notifier(
            fd,
            self._spec.seccomp,
            self._plan.notify_abi,
            self._service_pid,
            complains=self._spec.mode == COMPLAIN,
            tell=self._note,
        )
        self._poll.register(fd, select.POLLIN)

    def _drain(self) -> None:
        """A record goes through a thread of the kernel, and may come after the end."""
        if self._kmsg_fd >= 0:
            only = select.poll()
            only.register(self._kmsg_fd, select.POLLIN)
            if only.poll(int(PATIENCE_S * 1000)):
                self._read_records()
        if self._events is not None and self._events.lost:
            self._say(f"warning: {self._events.path}: full, or no room: {self._events.lost} are not in it")

    def _read_records(self) -> None:
        for _ in range(READ_MAX):
            try:
                line = os.read(self._kmsg_fd, RECORD_BYTES).decode("utf-8", "replace")
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue  # records were overwritten; the next read is at the oldest left
            except OSError:
                return
            found = of_kernel(line)
            if found is not None and self._is_ours(found):
                self._note(found.denial())

    def _is_ours(self, found: "Record") -> bool:
        """The service, or a descendant of this process: all of them are of the jail."""
        pid = found.pid
        if pid == self._service_pid:
            return True
        own, above = os.getpid(), _parent_of(pid)
        for _ in range(GENERATIONS_MAX):
            if above in (1, own):
                return above == own
            # 0: that one has ended since, and its child is another one's now
            above = _parent_of(above) or _parent_of(pid)
            if not above:
                return self._fits(found)
        return False

    def _fits(self, found: "Record") -> bool:
        """Whether one that is gone was of the jail, by what there is: that has its program, and denies such a call."""
        root = f"/proc/{self._service_pid}/root"
        # a jail that has ended shows no files, and it may end between these two: so the file comes first
        if not found.exe or (not os.path.exists(root + found.exe) and os.path.exists(root)):
            return False
        from jail.advice import filter_of, says

        if found.arch not in self._filters:
            self._filters[found.arch] = filter_of(self._spec.seccomp, found.arch)
        program = self._filters[found.arch]
        return program is not None and says(program, found, self._spec.mode == COMPLAIN)

    def _note(self, denial: "Denial") -> None:
        denial.service, denial.policy = self._spec.name, self._spec.seccomp
        if self._events is not None:
            self._events.write(denial)
        else:
            self._say(denial.words().removeprefix(f"{denial.name}: "))


def _parent_of(pid: int) -> int:
    """0 for a process that is gone."""
    try:
        return parent(pid)
    except (OSError, IndexError):
        return 0


def _forward_signals(pid: int) -> int:
    """Hand on what comes; returns what becomes readable when something has, an ended child too."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    own = {getattr(_signal, f"SIG{name}") for name in OWN}
    held_fd = os.pidfd_open(pid)  # once the child is reaped its number is anybody's

    def hand_on(number: int, frame: object) -> None:
        try:
            _signal.pidfd_send_signal(held_fd, number)
        except ProcessLookupError:
            return

    for number in _signal.valid_signals() - own:
        _signal.signal(number, hand_on)
    _signal.signal(_signal.SIGCHLD, lambda number, frame: None)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    return read_fd
