# SPDX-License-Identifier: MIT
"""A jail that the `ujail` process itself stays with, because it records, or answers denied calls."""

from jail.launch import hold_signals
from jail.pidfile import write_pid
from jail.plan import Plan
from jail.saying import say_line
from jail.spec import TRACE, JailSpec


def stay(spec: JailSpec, plan: Plan, pidfile: str | None, log: str) -> int:
    """Record, or hear denied calls, which go to the file `log` if there is one; returns the exit status."""

    def tell(line: str) -> None:
        say_line(f"ujail: {spec.name}: {line}")

    def on_start(pid: int) -> None:
        if handover:
            handover.finish()
        if pidfile is not None:
            write_pid(pidfile, pid)

    if spec.mode == TRACE and spec.seccomp:
        tell(f"warning: {spec.seccomp} is not in force while everything is recorded")
    net_fd = -1
    if plan.network:
        from jail.netmaker import make_for_tracer

        net_fd = make_for_tracer(plan.name, plan.network)
    handover, console_fd = None, -1
    if spec.console:
        from jail.console import Handover

        handover = Handover(spec.name)
        console_fd = handover.console_fd
    hold_signals()
    try:
        if spec.mode == TRACE:
            from jail.traced import trace_here

            return trace_here(plan, spec.extroot, tell, on_start, net_fd, console_fd)
        from jail.watcher import watch_here

        return watch_here(plan, spec, log, tell, on_start, net_fd, console_fd)
    finally:
        end(plan)


def end(plan: Plan) -> None:
    """Where no ujail-init is left to have it done."""
    if plan.group:
        from jail.cgroup import end_group

        if said := end_group(plan.group.path):
            say_line(f"ujail: {plan.name}: {said}")
