# SPDX-License-Identifier: MIT
"""Triggers of services: which script an event starts. Reads and decides; the caller runs the commands."""

from initd import jsonscript
from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from initd.ubus.blob import Table, Value

    Run: TypeAlias = Callable[[list[str], int], None]

ANY = ".*"
DELAY_MAX_MS = 24 * 3600 * 1000


class Trigger:
    """One element of a `triggers` array. Its script was checked."""

    __slots__ = ("delay_ms", "event", "fault", "script")

    def __init__(self, event: str, script: "Value", delay_ms: int = 0) -> None:
        self.event = event
        self.script = script
        self.delay_ms = delay_ms
        self.fault = ""  # the last one that fire() told

    def matches(self, event: str) -> bool:
        """Whether this event is meant.

        `.*` is nothing, or a dot and more of anything; what follows it counts: `interface.*.up` is
        `interface.up` and `interface.wan.up`, not `interface.down`.
        """
        head, star, tail = self.event.partition(ANY)
        if not star:
            return event == head
        if not (event.startswith(head) and event.endswith(tail)):
            return False
        middle = len(event) - len(head) - len(tail)
        return middle == 0 or (middle > 1 and event[len(head)] == ".")


def read(array: "Value") -> tuple[list[Trigger], list[str]]:
    """The triggers of an array of `[event, script]` and `[event, script, delay in ms]`, and what is wrong with others.

    None stands for an array that was not given.
    """
    if array is None:
        return [], []
    if not isinstance(array, list):
        return [], ["triggers: not a list"]
    triggers, faults = [], []
    for number, item in enumerate(array):
        try:
            triggers.append(_read(item))
        except ConfigError as error:
            faults.append(f"trigger {number}: {error}")
    return triggers, faults


def _read(item: "Value") -> Trigger:
    if not isinstance(item, list) or len(item) not in (2, 3):
        raise ConfigError("not a list of an event, a script and perhaps a delay")
    event, script = item[0], item[1]
    if not isinstance(event, str) or not event:
        raise ConfigError("the event is no string")
    if event.count(ANY) > 1:
        raise ConfigError(f'"{event}" has more than one {ANY}')
    delay_ms = item[2] if len(item) == 3 else 0
    if not isinstance(delay_ms, int) or isinstance(delay_ms, bool) or not 0 <= delay_ms <= DELAY_MAX_MS:
        raise ConfigError(f"the delay is no number of milliseconds up to {DELAY_MAX_MS}")
    jsonscript.check(script)
    return Trigger(event, script, delay_ms)


def variables(data: "Table") -> dict[str, str]:
    """The values of an event's data that a script can use: strings, numbers, and 1 or 0 for true and false."""
    return {
        name: value if isinstance(value, str) else str(int(value) if isinstance(value, bool) else value)
        for name, value in data.items()
        if isinstance(value, str | int | float)
    }


def fire(triggers: "Iterable[Trigger]", event: str, data: "Table", run: "Run") -> list[str]:
    """Call `run(argv, delay_ms)` for all that the event starts. Returns faults that were not told before.

    A trigger with a fault does not keep the others from being run.
    """
    faults: list[str] = []
    known: dict[str, str] | None = None
    for trigger in triggers:
        if not trigger.matches(event):
            continue
        known = variables(data) if known is None else known
        try:
            _run_script(trigger, known, run)
        except Exception as error:  # whatever it is, it is this trigger's
            fault = f"trigger {trigger.event}: {error}"
            if fault != trigger.fault:
                trigger.fault = fault
                faults.append(fault)
    return faults


def _run_script(trigger: Trigger, known: dict[str, str], run: "Run") -> None:
    jsonscript.run(trigger.script, known, lambda argv: run(argv, trigger.delay_ms))
