# SPDX-License-Identifier: MIT
"""Jails that several services share: the one that starts first makes it, the others enter it.

When the service that made it ends, the kernel ends the others with its PID 1; who starts next makes it anew. So each
of them names the files that all need, and one that asks for a file which the jail has not is not started.
"""

import os

from jail.errors import UsageError
from jail.spec import TRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.definition import Definition
    from jail.plan import Plan
    from jail.shown import Shown
    from jail.spec import JailSpec


class Shared:
    """PID 1 of each jail that was made to be shared and what it shows, by its name."""

    __slots__ = ("_made", "_planned")

    def __init__(self) -> None:
        self._made: dict[str, tuple[int, Shown]] = {}
        self._planned: dict[str, Shown] = {}  # of what is about to be made

    def plan(self, definition: "Definition", spec: "JailSpec") -> "Plan":
        """The plan to make the jail, or to enter it. Raises JailError."""
        from jail.plan import (
            make_plan,  # with all that plans: nothing of it is needed before the first service
        )

        if not is_shared(definition):
            return make_plan(spec)
        if spec.is_network_made():
            raise UsageError("jail shared: no network can be made for it; netns, or -j, can")
        if spec.mode == TRACE:
            # the jail would be the tracer's, where nobody finds it, and the others would make one more
            raise UsageError(
                "jail shared: a service that shares its jail cannot be traced; trace it without shared"
            )
        pid, shown = self._made.get(spec.name, (-1, None))
        if shown is not None:
            from jail.running import jail_at

            jail = jail_at(pid)
            # the pid may be another's by now
            if jail is not None and jail.name == spec.name and jail.parent == os.getpid():
                from jail.entry import shared

                return shared(jail, spec, shown)
        plan = make_plan(spec)
        if plan.rootfs:
            from jail.shown import Shown

            self._planned[spec.name] = Shown(spec, plan.rootfs)
        return plan

    def made(self, definition: "Definition", namespaces: int, pid: int) -> None:
        """A service has started; with namespaces of its own it has made the jail."""
        if is_shared(definition) and namespaces and definition.jail:
            name = definition.jail.name
            shown = self._planned.pop(name, None)
            if shown is not None:
                self._made[name] = pid, shown


def is_shared(definition: "Definition") -> bool:
    return definition.jail is not None and definition.jail.shared
