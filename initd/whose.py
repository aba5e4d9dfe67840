# SPDX-License-Identifier: MIT
"""Whose process made a denied call: by its pid, by its ancestors, by its cgroup; or by what else the record tells.

A record comes a moment after the call. A child that was killed for it may have been reaped by then, and its pid says
nothing any more: then it was of the one service whose program it ran, or that alone has it in its jail, if policy and
user fit as well.
"""

import os

from initd.isolation import isolates, policy_of
from jail.errors import ConfigError
from jail.procfs import group, parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from initd.instance import Instance
    from initd.process import Process
    from jail.auditrecord import Record
    from jail.bpf import Program

GENERATIONS_MAX = 64
FILTERS_MAX = 16


class Owner:
    """One process of an instance, while it runs and a moment longer; `definition` is what it was started with."""

    __slots__ = ("definition", "exe", "instance", "is_explained", "pid", "policy", "service_pid")

    def __init__(self, instance: "Instance", process: "Process") -> None:
        self.instance = instance
        self.definition = instance.definition
        self.policy = policy_of(self.definition)
        self.pid = process.pid
        self.service_pid = process.service_pid
        self.is_explained = False  # a record has named the call that it dies of, however late that is seen
        self.exe = ""
        if self.policy:  # it may have ended already
            self.exe = exe_of(self.service_pid) or self.definition.command[0]


class Owners:
    """The processes that instances began with, by pid."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Owner] = {}
        # compiled once: records may come by the hundred, each about another call
        self._filters: dict[tuple[str, str], Program | None] = {}

    def add(self, owner: Owner) -> None:
        self._by_pid[owner.pid] = self._by_pid[owner.service_pid] = owner
        self._filters.clear()  # its policy may be a new one

    def remove(self, owner: Owner) -> None:
        """Forget it, unless its pids are another's by now."""
        for pid in (owner.pid, owner.service_pid):
            if self._by_pid.get(pid) is owner:
                del self._by_pid[pid]

    def of_pid(self, pid: int) -> "Owner | None":
        return self._by_pid.get(pid)

    def named(self, service: str, instance: str) -> "Owner | None":
        """The last process of that instance."""
        found = None
        for owner in self._by_pid.values():
            if (owner.definition.service, owner.definition.instance) == (service, instance):
                found = owner
        return found

    def of_record(self, found: "Record") -> "tuple[list[Owner], bool]":
        """None for a stranger's; several, or False, where it cannot be told for sure."""
        parent = found.pid if found.pid in self._by_pid else parent_of(found.pid)
        if parent is None:
            return self._of_gone(found)
        for _ in range(GENERATIONS_MAX):
            if owner := self._by_pid.get(parent):
                return [owner], True
            if parent <= 1:
                break
            above = parent_of(parent)
            if above is None:  # it has ended since, and what it began is another one's now
                above = parent_of(found.pid)
                if above is None:
                    return self._of_gone(found)
            parent = above
        owner = self._of_cgroup(found.pid)
        if owner is None and parent_of(found.pid) is None:
            return self._of_gone(found)  # it has ended meanwhile, perhaps before its group could be asked for
        return ([owner] if owner else []), True

    def _of_cgroup(self, pid: int) -> "Owner | None":
        """Daemons leave their parents, but not their cgroup."""
        group = cgroup_of(pid)
        for owner in self._all():
            definition = owner.definition
            if definition.cgroup and group.endswith(f"/{definition.service}/{definition.instance}"):
                return owner
        return None

    def _all(self) -> "Iterable[Owner]":
        return {id(owner): owner for owner in self._by_pid.values()}.values()

    def _of_gone(self, found: "Record") -> "tuple[list[Owner], bool]":
        fitting = [owner for owner in self._all() if self._fits(owner, found)]
        sure = [owner for owner in fitting if runs(owner, found.exe)]
        return sure or fitting, len(sure) == 1

    def _fits(self, owner: Owner, found: "Record") -> bool:
        if not owner.policy or not found.exe or not may_be(owner.definition.user, found.uid):
            return False
        # one that has ended shows no files any more, and it may end between these two: so the file comes first
        root = f"/proc/{owner.service_pid}/root"
        if not os.path.exists(root + found.exe) and os.path.exists(root):
            return False
        from jail.advice import filter_of, says

        key = (owner.policy, found.arch)
        if key not in self._filters:
            if len(self._filters) >= FILTERS_MAX:
                self._filters.pop(next(iter(self._filters)))
            self._filters[key] = filter_of(*key)
        program = self._filters[key]
        return program is not None and says(program, found, owner.definition.complains)


def runs(owner: Owner, exe: str) -> bool:
    """Whether a service's processes run that program, and hardly another's: it is its own, or in its own root."""
    if exe == owner.exe:
        return True
    return isolates(owner.definition) and os.path.exists(f"/proc/{owner.service_pid}/root{exe}")


def exe_of(pid: int) -> str:
    """The program, as the kernel's records name it; "" for a process that has ended."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def parent_of(pid: int) -> int | None:
    """None for a process that is gone."""
    try:
        return parent(pid) or None  # 0 for one that the kernel is just removing
    except (OSError, IndexError):
        return None


def cgroup_of(pid: int) -> str:
    """Its path in the version 2 hierarchy, "" where it has none."""
    try:
        return group(pid)
    except OSError:
        return ""


def may_be(user: str, uid: int) -> bool:
    """Whether a process of a service of that user may have that uid: root's may have any."""
    from jail.ids import lookup

    try:
        return not user or lookup(user, None).uid in (0, uid)
    except ConfigError:
        return True
