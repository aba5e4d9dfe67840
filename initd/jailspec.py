# SPDX-License-Identifier: MIT
"""Definition → JailSpec: what an init script says, in the jail library's terms.

It decides how much is taken away: nothing without a jail (a plain service), what is named with `seccomp`,
`capabilities` or `no_new_privs`, everything with a jail. Must not read the host or have effects.
"""

import os

from initd.isolation import isolates
from initd.jailparams import land
from jail.errors import UsageError
from jail.silence import is_silent, needs_supervisor
from jail.spec import SOCKETS, JailSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.definition import Definition, JailDefinition

# what can be asked for and is refused: to leave it out would give less than was asked for, or more
NOT_YET = {
    "bundle": "say what its config.json does with extroot, command, user and the like",
}
SERVICES, CONTAINERS = "services", "containers"  # of control groups
NICE_MAX = 19  # scripts may say 20, which the kernel takes for this


def make_spec(
    definition: "Definition", ubus_socket: str = SOCKETS["ubus"][0], tree: str = SERVICES
) -> JailSpec:
    """What was asked for, in the library's terms. Raises UsageError for what is not yet there."""
    _refuse(definition)
    jail = definition.jail
    name = (jail.name if jail else "") or f"{definition.service}.{definition.instance}"
    spec = JailSpec(name, list(definition.command))
    spec.user = definition.user
    spec.group = definition.group
    spec.capabilities = definition.capabilities or None
    spec.limits = dict(definition.limits)
    spec.nice = min(definition.nice, NICE_MAX) if definition.nice else None
    spec.grace_s = definition.term_timeout
    spec.cgroup = f"{tree}/{definition.service}/{definition.instance}"
    spec.cgroup_files = dict(definition.cgroup)
    spec.vrf = definition.vrf
    spec.mode = definition.mode
    spec.notify = definition.seccomp_notify or _must_hear(definition)
    if definition.seccomp:
        spec.hold(os.path.abspath(definition.seccomp))
    root = (definition.extroot, definition.overlaydir, definition.tmpoverlaysize)
    spec.extroot, spec.overlay_dir, spec.overlay_size = root
    spec.stub = spec.isolate = isolates(definition)
    if jail and jail.requirejail and not spec.isolate:
        raise UsageError("requirejail: the jail names no file, root or namespace, so there would be none")
    if jail:
        spec.env = dict(definition.env)
        spec.console = definition.has_console
        _add_jail(spec, jail, ubus_socket)
        spec.outputs = [os.path.abspath(path) for path in (definition.seccomp_log, jail.pidfile) if path]
    else:
        spec.plain = True
        spec.no_new_privs = definition.no_new_privs
        spec.env = {**os.environ, **definition.env}
    spec.validate()
    return spec


def _must_hear(definition: "Definition") -> bool:
    """Whether we answer denied calls unasked.

    In a container only if words are asked for: its runtime may be the one who answers, and the start would fail.
    """
    are_words_asked = definition.complains or definition.seccomp_log
    return bool(are_words_asked or is_silent()) and needs_supervisor()


def _add_jail(spec: JailSpec, jail: "JailDefinition", ubus_socket: str) -> None:
    spec.hostname = jail.hostname
    spec.procfs = jail.procfs
    spec.sysfs = jail.sysfs
    spec.required = jail.requirejail
    spec.ronly = jail.ronly
    spec.netns = jail.netns
    spec.userns = jail.userns
    spec.cgroupns = jail.cgroupsns
    spec.staged_etc = True
    spec.joins = list(jail.setns)
    spec.ubus_socket = ubus_socket
    for socket in ("log", "ubus", "udebug"):
        if getattr(jail, socket):
            # a log daemon may start later than what writes to it; the next start has its socket
            spec.show_socket(socket, may_be_missing=socket == "log")
    for path, writable in jail.mount.items():
        spec.share(path, writable=writable)
    land(spec, jail.params)
    if spec.user or spec.group:
        spec.show_users()


def _refuse(definition: "Definition") -> None:
    """Raise UsageError for the first thing that is not yet there."""
    for key, instead in NOT_YET.items():
        if getattr(definition, key):
            raise UsageError(f"{key} is not yet there: {instead}")
