# SPDX-License-Identifier: MIT
"""A Plan in the least memory: what the launcher reads and the lines for errors, to be kept and used again.

The filter stands apart, so that jails with the same policy share one.
"""

import posix

from jail import paths
from jail._native import lib
from jail.elffile import version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.plan import Plan

_FILTER = int(lib.STEP_FILTER)


class Packed:
    """A plan as the launcher takes it. Attributes named as the plan's are the plan's."""

    __slots__ = (
        "group",
        "joins",
        "missing",
        "name",
        "namespaces",
        "network",
        "notify_abi",
        "parts",
        "patterns",
        "program",
        "program_version",
        "text",
        "warnings",
    )

    def __init__(self, plan: "Plan", filters: dict[bytes, bytes] | None = None) -> None:
        """`filters` holds filters that are in memory already; this plan's is added to it."""
        self.name = plan.name
        self.program = plan.program
        self.program_version = plan.program_version
        self.notify_abi = plan.notify_abi
        self.namespaces = plan.namespaces
        self.group = plan.group
        self.network = plan.network
        self.joins = tuple(plan.joins)
        self.missing = tuple(plan.missing)
        self.patterns = tuple(plan.patterns)
        self.warnings = tuple(plan.all_warnings())
        self.text = "\0".join([step.text for step in plan.steps])
        if filters is None:
            self.parts: tuple[bytes, ...] = (b"".join([step.pack() for step in plan.steps]),)
            return
        parts: list[bytes] = []
        run: list[bytes] = []
        for step in plan.steps:
            if step.op == _FILTER:
                code = filters.setdefault(step.texts[0], step.texts[0])
                parts += [b"".join([*run, step.head()]), code]
                run = [b"\0\0"]
            else:
                run.append(step.pack())
        self.parts = (*parts, b"".join(run))

    @property
    def filters(self) -> "tuple[bytes, ...]":
        """All that stand apart; one beside rules for ports comes before door 1."""
        return self.parts[1::2]

    def is_current(self) -> bool:
        """Whether the program is the same, what was not there is not, and patterns match what they did."""
        if self.program_version and not _is_same(self.program, self.program_version):
            return False
        if any(paths.exists(path) for path in self.missing):
            return False
        if self.patterns:
            from jail.patterns import expand

            return all(tuple(expand(pattern)) == found for pattern, found in self.patterns)
        return True

    def join(self) -> bytes:
        return b"".join(self.parts) if len(self.parts) > 1 else self.parts[0]

    def describe(self, index: int) -> str:
        return self.text.split("\0")[index]

    def is_exec(self, index: int) -> bool:
        """Whether it is the last step, which is always the service's exec."""
        return index == self.text.count("\0")


def _is_same(program: str, version: tuple[int, ...]) -> bool:
    try:
        return version_of(posix.stat(program)) == version
    except OSError:
        return False  # the new plan says why
