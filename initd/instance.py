# SPDX-License-Identifier: MIT
"""One instance of a service: what was asked for, the process that runs, and what comes next.

State       process  meaning                             left by
stopped     none     nothing is to run                   START
running     yes      as it was asked for                 STOP, CHANGED, EXITED, EXPIRED; START, if it is over
stopping    yes      told to end, stays ended            START, EXITED; DUE: killed
restarting  yes      told to end, starts again           STOP, EXITED; DUE: killed
waiting     none     ended unasked, starts again later   START, STOP; DUE: starts
failed      none     ended or was ended, given up        START, STOP
starting    none     its network is being made           START (if it has changed), STOP; or it is there

START and STOP are somebody's wish, CHANGED a definition that the process does not have, EXITED its end, DUE
the timer of the state, EXPIRED the watchdog. An event that a state does not list changes nothing. A process
that is over has EXITED when nothing is left in its cgroup. A spawn that fails is an end at once: waiting, or
failed with the reason. What is to be removed goes as soon as there is no process.
"""

from initd import death, respawn
from initd.hasprocess import HasProcess
from initd.news import error_text, notify, notify_end, tell_problems
from initd.process import Process
from initd.slim import signal
from initd.watchdog import Watchdog
from jail.errors import EXIT_FAILURE, JailError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.definition import Definition
    from initd.host import Host
    from initd.loop import Timer
    from initd.networks import Asked, Existing
    from initd.triggers import Trigger
    from jail.netmaker import Made

STOPPED, RUNNING, STOPPING = "stopped", "running", "stopping"
RESTARTING, WAITING, FAILED, STARTING = "restarting", "waiting", "failed", "starting"
STATES = (STOPPED, RUNNING, STOPPING, RESTARTING, WAITING, FAILED, STARTING)
START, STOP, CHANGED, EXITED, DUE, EXPIRED = "start", "stop", "changed", "exited", "due", "expired"
EVENTS = (START, STOP, CHANGED, EXITED, DUE, EXPIRED)


class Instance(HasProcess):
    """`on_gone` is called when it was to be removed and nothing of it is left."""

    __slots__ = ("_network", "_on_gone", "_timer", "crashes", "failed", "is_removed", "state", "triggers")

    def __init__(self, host: "Host", definition: "Definition", on_gone: "Callable[[Instance], None]") -> None:
        super().__init__(host, definition, Watchdog(host.loop, lambda: self.event(EXPIRED)))
        self._on_gone = on_gone
        self._timer: Timer | None = None
        self._network: Asked | Existing | None = None  # that is waited for
        self.state = STOPPED
        self.failed = ""  # why it was given up
        self.crashes = 0
        self.is_removed = False
        self.triggers: list[Trigger] = []
        tell_problems(host, definition, [])

    # wishes

    def update(self, definition: "Definition", may_start: bool) -> None:
        """A `set` names this instance: run it as described, from now on."""
        self.is_removed = False
        old, self.definition = self.definition, definition
        if old is not definition:
            tell_problems(self._host, definition, old.faults + old.warnings)
        self.watchdog.configure(definition.watchdog)
        if not self.is_startable:
            self.event(STOP)
        elif self.state == RUNNING and not self.is_over:
            if self.has_changed():
                self.crashes = 0
                self.event(CHANGED)
        elif may_start:
            if old.given != definition.given:
                self.crashes = 0  # they were another's
            self.event(START)

    def start(self) -> None:
        """Run it, unless it is to go or there is something wrong with it."""
        if self.is_startable and not self.is_removed:
            self.event(START)

    def stop(self) -> None:
        """End it and keep what was asked for."""
        self.event(STOP)

    def remove(self) -> None:
        """End it, and let go of it then."""
        self.is_removed = True
        self.event(STOP)
        if self.process is None:
            self._on_gone(self)

    def take_watchdog(self, mode: int | None, timeout_s: int | None) -> None:
        """A sign of life, maybe with other settings."""
        self.watchdog.take(mode, timeout_s)
        if self.state == RUNNING:
            self.watchdog.arm()

    def event(self, name: str) -> None:
        """Let the state answer."""
        before = self.state
        if action := ACTIONS[before].get(name):
            action(self)
            self._host.log.debug(f"{self.definition.full_name}: {before}, {name}: {self.state}")

    # what the states do

    def _start_afresh(self) -> None:
        self.crashes = 0
        self._start()

    def _start(self) -> None:
        self._cancel_timer()
        self.failed, self.state = "", STOPPED
        try:
            self._network = self._host.ask_network(self.definition, self._ready)
        except Exception as error:
            self._spawn_failed(error)
            return
        if self._network is None:
            self._spawn(None)
        else:
            self.state = STARTING

    def _start_anew(self) -> None:
        """What is being made may be of an older definition."""
        if self._network is not None and self._network.given != self.definition.given:
            self._abandon()
            self._start_afresh()

    def _abandon(self) -> None:
        self.state = STOPPED
        if self._network is not None:
            self._network.cancel()
            self._network = None

    def _ready(self, made: "Made | None", error: Exception | None) -> None:
        self._network, self.state = None, STOPPED
        if error is not None:
            self._spawn_failed(error)
        else:
            self._spawn(made)

    def _spawn(self, made: "Made | None") -> None:
        definition = self.definition
        self._host.denials.prepare(definition)
        try:
            self.process = Process(self._host, definition, definition.identity(), self._ended, made)
        except Exception as error:
            self._spawn_failed(error)
            return
        self.state = RUNNING
        self._owner = self._host.denials.follow(self, self.process)
        self._asked_watchdog = definition.watchdog
        self.watchdog.arm()
        notify(self._host, "instance.start", definition)
        self._host.run_hook(definition.service)

    def _spawn_failed(self, error: Exception) -> None:
        # not only JailError and OSError: whatever happens there, this instance has to have a state
        if not isinstance(error, JailError | OSError):
            self._host.loop.fault(error)
        self.exit_code = error.status if isinstance(error, JailError) else EXIT_FAILURE
        reason = f"cannot start: {error_text(error)}"
        if self.definition.respawn is None:
            self._host.log.error(f"{self.definition.full_name}: {reason}")
            self.failed, self.state = reason, FAILED
        else:
            self._respawn(0, 0.0, reason)

    def _end(self) -> None:
        self.state = STOPPING
        self._end_process()

    def _restart(self) -> None:
        self.state = RESTARTING
        self._end_process()

    def _end_process(self) -> None:
        self.watchdog.cancel()
        self._timer = self._host.loop.after(self.definition.term_timeout, lambda: self.event(DUE))
        self.signal(signal.SIGTERM)

    def _change(self) -> None:
        """A signal may do, but it gives no process another user or policy."""
        assert self.process is not None
        number, identity = self.definition.reload_signal, self.definition.identity()
        if not number or self.process.identity[0] != identity[0]:
            self._restart()
            return
        self.process.identity = identity
        self._asked_watchdog = self.definition.watchdog
        self.watchdog.arm()
        self.signal(number)

    def _force(self) -> None:
        self._timer = None
        seconds = self.definition.term_timeout
        self._host.log.warning(f"{self.definition.full_name}: still there {seconds} s after TERM: killed")
        if self.process is not None:
            self.process.kill_all()

    def _expire(self) -> None:
        reason = f"watchdog: no sign of life for {self.watchdog.timeout_s} seconds"
        if self.definition.respawn is not None:
            self._host.log.error(f"{self.definition.full_name}: {reason}: restarting")
            self._restart()
        else:
            self._host.log.error(f"{self.definition.full_name}: {reason}: stopping")
            self.failed = reason
            self._end()

    def _follow(self) -> None:
        """The one that was has ended, if its group has not: the wish is for another one."""
        if self.is_over:
            self._host.log.info(f"{self.definition.full_name}: has ended; starts again, as it was told")
            self.state = RESTARTING

    def _stay_down(self) -> None:
        self.state = STOPPING

    def _come_back(self) -> None:
        self.state, self.failed, self.crashes = RESTARTING, "", 0

    def _forget(self) -> None:
        self._cancel_timer()
        self.state, self.failed = STOPPED, ""

    def _rest(self) -> None:
        """The end that was asked for."""
        self.state = FAILED if self.failed else STOPPED
        if self.is_removed:
            self._on_gone(self)

    def _ended(self, status: int) -> None:
        """The process is gone; told by Children, once."""
        process, self.process = self.process, None
        assert process is not None
        self._cancel_timer()
        self.watchdog.cancel()
        self.exit_code = death.exit_code(status)
        self._last = process
        self._host.denials.end(self._owner, death.is_denial(self.exit_code))
        notify(self._host, "instance.stop", self.definition)
        self.event(EXITED)

    def _judge(self) -> None:
        """The end that nobody asked for."""
        process = self._last
        assert process is not None
        ran_s = self._host.loop.now() - process.began_s
        how = self.how_it_ended(ran_s)
        self.state = STOPPED
        if self.definition.respawn is None:
            self._host.log.info(f"{self.definition.full_name}: {how}")
        else:
            self._respawn(process.pid, ran_s, how)

    def _respawn(self, pid: int, ran_s: float, how: str) -> None:
        asked, name = self.definition.respawn, self.definition.full_name
        assert asked is not None
        self.crashes = respawn.count_crash(asked, self.crashes, ran_s)
        if respawn.is_hopeless(asked, self.crashes):
            self.state, self.failed = FAILED, f"{respawn.reason(self.crashes, ran_s)}: {how}"
            self._host.log.error(f"{name}: given up: {self.failed}")
            notify_end(self._host, "instance.fail", self, pid)
            return
        delay_s = respawn.delay_s(asked, ran_s)
        self._host.log.warning(f"{name}: {how}; starting again in {delay_s:.0f} s")
        self.state, self.failed = WAITING, "" if pid else how
        self._timer = self._host.loop.after(delay_s, lambda: self.event(DUE))
        notify_end(self._host, "instance.respawn", self, pid)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


ACTIONS: "dict[str, dict[str, Callable[[Instance], None]]]" = {
    STOPPED: {START: Instance._start_afresh},
    RUNNING: {
        START: Instance._follow,
        STOP: Instance._end,
        CHANGED: Instance._change,
        EXITED: Instance._judge,
        EXPIRED: Instance._expire,
    },
    STOPPING: {START: Instance._come_back, EXITED: Instance._rest, DUE: Instance._force},
    RESTARTING: {STOP: Instance._stay_down, EXITED: Instance._start, DUE: Instance._force},
    WAITING: {START: Instance._start, STOP: Instance._forget, DUE: Instance._start},
    FAILED: {START: Instance._start_afresh, STOP: Instance._forget},
    STARTING: {START: Instance._start_anew, STOP: Instance._abandon},
}
