# SPDX-License-Identifier: MIT
"""What services need of the rest of initd, as one value: put together in main.py, and by tests otherwise."""

import os

from initd.triggers import read as read_triggers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from initd.children import Children
    from initd.definition import Definition
    from initd.denials import Denials
    from initd.loop import Loop
    from initd.netifd import Handed
    from initd.networks import Asked, Existing, OnMade
    from initd.tracing import Tracing
    from initd.triggers import Trigger
    from initd.ubus.blob import Table, Value

    class Started(Protocol):
        """A process that runs: initd.spawn.Started."""

        pid: int
        service_pid: int
        stdout_fd: int
        stderr_fd: int
        warnings: list[str]
        pidfile: str
        trace: Tracing | None
        notify_abi: str
        listener_fd: int
        console_fd: int

    class Lines(Protocol):
        """Where the lines of a pipe go: initd.output.Output."""

        def close(self) -> None: ...

    class Words(Protocol):
        """Where our own lines go: initd.log.Log."""

        def debug(self, text: str) -> None: ...

        def info(self, text: str) -> None: ...

        def warning(self, text: str) -> None: ...

        def error(self, text: str) -> None: ...


class Host:
    """Callables and parts; the defaults are for what only few replace.

    `spawn` starts a definition, given its identity and the descriptor of its network, -1 for none; `check` only
    refuses one; both raise JailError, and `spawn` OSError. `output` takes the read end of a pipe, the definition,
    the pid, and whether it is stderr.
    """

    __slots__ = (
        "ask_network",
        "check",
        "children",
        "denials",
        "describe_oom",
        "end_group",
        "fire",
        "forget",
        "hand_network",
        "kill",
        "kill_group",
        "log",
        "loop",
        "notify",
        "output",
        "read_triggers",
        "run_hook",
        "spawn",
    )

    def __init__(
        self,
        loop: "Loop",
        log: "Words",
        children: "Children",
        spawn: "Callable[[Definition, tuple[object, ...], int], Started]",
        check: "Callable[[Definition], object]",
        output: "Callable[[int, Definition, int, bool], Lines]",
        denials: "Denials",
    ) -> None:
        self.loop = loop
        self.log = log
        self.children = children
        self.spawn = spawn
        self.check = check
        self.output = output
        self.denials = denials
        self.forget: Callable[[Definition], None] = lambda definition: None  # its instance is gone for good
        # of the cgroup of an instance; end_group is False while something of it is still there
        self.kill_group: Callable[[Definition], object] = lambda definition: False
        self.end_group: Callable[[Definition], bool] = lambda definition: True
        # what the kernel has killed in it for want of memory, "" for nothing
        self.describe_oom: Callable[[Definition], str] = lambda definition: ""
        self.kill: Callable[[int, int], None] = os.kill
        # what a start has to wait for, see networks.py
        self.ask_network: Callable[[Definition, OnMade], Asked | Existing | None] = (
            lambda definition, on_made: None
        )
        # to netifd, where there is one: a definition, the first process of its jail
        self.hand_network: Callable[[Definition, int], Handed | None] = lambda definition, pid: None
        # to the subscribers of the object; to /etc/init.d/NAME running; an event to the triggers
        self.notify: Callable[[str, Table], None] = lambda name, data: None
        self.run_hook: Callable[[str], None] = lambda service: None
        self.fire: Callable[[str, Table], None] = lambda event, data: None
        self.read_triggers: Callable[[Value], tuple[list[Trigger], list[str]]] = read_triggers
