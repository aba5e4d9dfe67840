# SPDX-License-Identifier: MIT
"""`ujail --why`: what is left to do and to say when a jail has ended. ujail-init runs it where there is something.

The group of a jail with limits is emptied and removed, a death for want of memory or by a policy is explained, and
with `-d` what the policy denied to the service's children.
"""

import _signal  # the C half of `signal`, without enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SIGNAL_BASE = 128


def finish(args: list[str], say: "Callable[[str], None]") -> int:
    """`ujail --why NAME STATUS POLICY PID GROUP`; returns the status, which is passed on."""
    name, status, policy, pid, group = args
    if group:
        from jail.cgroup import end_group

        if said := end_group(group):
            say(f"ujail: {name}: {said}")
    if int(status) == SIGNAL_BASE + _signal.SIGSYS:
        from jail.why import explain_death

        say(f"ujail: {explain_death(name, policy, int(pid))}")
    if policy:
        from jail.why import explain_others

        for line in explain_others(name, policy, int(pid)):
            say(f"ujail: {line}")
    return int(status)
