# SPDX-License-Identifier: MIT
"""What a definition asks for as a whole: namespaces and a root of its own, and which filter that means. Pure."""

import os

from initd.jailparams import asks_for_namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.definition import Definition

# a jail with none of these is procd's wrapper: ids, capabilities and a policy, but no namespace
ISOLATING = (
    "procfs",
    "sysfs",
    "ubus",
    "udebug",
    "log",
    "ronly",
    "mount",
    "hostname",
    "netns",
    "userns",
    "cgroupsns",
    "console",
)


def isolates(definition: "Definition") -> bool:
    """Whether it is to have namespaces and a root of its own."""
    jail = definition.jail
    root = (definition.extroot, definition.overlaydir, definition.tmpoverlaysize)
    return jail is not None and (
        any(root) or any(getattr(jail, flag) for flag in ISOLATING) or asks_for_namespaces(jail.params)
    )


def policy_of(definition: "Definition") -> str:
    """The file of the filter that holds it: its policy, else the one of jails without; "" for none."""
    if definition.seccomp:
        return os.path.abspath(definition.seccomp)
    if definition.jail is None or definition.jail.params.get("no_default_filter") or not isolates(definition):
        return ""
    from jail.doors import DEFAULT

    return DEFAULT
