# SPDX-License-Identifier: MIT
"""Once a day: which services were left in a mode that lets everything pass."""

from jail.spec import ENFORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.host import Words
    from initd.loop import Loop
    from initd.service import Services

DAY_S = 86400.0


class Reminder:
    """`trees` are all there is to look at."""

    __slots__ = ("_log", "_loop", "_trees")

    def __init__(self, loop: "Loop", log: "Words", trees: "list[Services]") -> None:
        self._loop, self._log, self._trees = loop, log, trees
        loop.after(DAY_S, self._remind)

    def _remind(self) -> None:
        self._loop.after(DAY_S, self._remind)
        names: dict[str, list[str]] = {}
        for services in self._trees:
            for service in services.table.values():
                for instance in service.instances.values():
                    mode = instance.definition.mode
                    if instance.process is not None and mode != ENFORCE:
                        names.setdefault(mode, []).append(instance.definition.full_name)
        for mode, found in names.items():
            self._log.warning(f"still in mode {mode}, so that no policy holds them: {', '.join(found)}")
