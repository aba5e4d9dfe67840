# SPDX-License-Identifier: MIT
"""Who the service and its PID 1 are, as steps: the order of privilege.

What needs a privilege comes before what takes it away. Reads what this process itself may; no effects.
"""

import posix

from jail import paths, steps
from jail._native import lib
from jail.capabilities import BITS, CapabilitySets, default_for, describe, last_capability, mask_of, parse
from jail.errors import ConfigError
from jail.ids import Identity, lookup
from jail.spec import TRACE, JailSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.idmap import IdMaps

PACKAGE = paths.dirname(paths.absolute(__file__))
STUB = f"{PACKAGE}/ujail-init"
DOOR_NONE, DOOR_DEFAULT = "none", "default"
# Landlock's rules of a jail, as its PID 1 names them: one for all files, and one for each place or port
FILES, WRITE, BIND, CONNECT = "files", "write", "bind", "connect"
UMASK = 0o022
CAP_KILL = BITS["kill"]
PAST_RULES = mask_of("net_admin net_raw")  # who has one of these changes port rules, or sends past them


def identity_of(spec: JailSpec) -> Identity | None:
    """The ids that were asked for; None where a plain service keeps ours."""
    if spec.plain and not (spec.user or spec.group):
        return None
    return lookup(spec.user or None, spec.group or None)


def it_is_root(identity: Identity, sets: CapabilitySets, maps: "IdMaps | None" = None) -> str:
    """What the service is or can become for the host, if that is root; "" if it is not."""
    if maps:
        return "it can become root" if maps.has_root_outside() else ""
    if identity.uid == 0:
        return "it is root"
    return "it can become root" if sets.ambient >> BITS["setuid"] & 1 else ""


def id_steps(identity: Identity) -> list[steps.Step]:
    """Groups first: what comes after takes the privilege to set them away. No groups: they cannot be set."""
    groups = [steps.groups(identity.groups)] if identity.groups else []
    return [*groups, steps.gid(identity.gid), steps.uid(identity.uid)]


def capabilities_of(spec: JailSpec, identity: Identity | None) -> CapabilitySets | None:
    """What was asked for, or the default for the uid; None where a plain service keeps what exec gives it.

    "all" and the default end at what we have ourselves.
    """
    if spec.capabilities is not None:
        sets = parse(spec.capabilities)
    elif spec.plain:
        return None
    else:
        sets = default_for(identity.uid if identity else 0)
    if spec.net_bind or spec.net_connect:
        sets = _without_network(sets, spec.capabilities is not None)
    if posix.geteuid() != 0 or spec.userns:
        return sets  # only to be explained; or a user namespace, in which there are all of them
    own = lib.permitted_capabilities()
    beyond = (sets.permitted | sets.inheritable) & ~own
    if beyond and spec.capabilities not in (None, "all"):
        raise ConfigError(f"capabilities: {describe(beyond)} cannot be given: ujail itself does not have it")
    return sets.limited_to(own) if beyond else sets


def _without_network(sets: CapabilitySets, is_asked: bool) -> CapabilitySets:
    """Without what port rules do not hold. Raises ConfigError if that was asked for."""
    found = (sets.bounding | sets.permitted | sets.inheritable) & PAST_RULES
    if found and is_asked:
        raise ConfigError(f"capabilities: with bind or connect rules there cannot be {describe(found)}")
    return sets.limited_to(~PAST_RULES)


def bounding_of(sets: CapabilitySets | None, identity: Identity | None) -> int:
    """What the service can have at most: a policy may depend on it."""
    if sets is not None:
        return sets.bounding
    return 0 if identity and identity.uid else int(lib.permitted_capabilities())


def stub_steps(
    identity: Identity,
    sets: CapabilitySets,
    grace_s: int,
    name: str,
    held: list[str],
    has_console: bool = False,
) -> list[steps.Step]:
    """PID 1 before the service runs: the service's ids, and the one capability to signal its own jail.

    `name` and `held`, door_of() and rules_of(), are for who enters the jail later, see running.py. A console it
    holds open: who has the master sees the jail's end, not that nobody looks at the terminal for a moment.
    """
    kill = 1 << CAP_KILL
    stdio = steps.stdio_null()
    if has_console:
        from jail.raresteps import console_stdio

        stdio = console_stdio(False)
    return [
        # the stub's CAP_KILL has to be in the bounding set until it is inheritable
        steps.bounding(sets.bounding | kill, 0, last_capability()),
        steps.fork(),
        stdio,
        steps.securebits(int(lib.SECBIT_NOROOT | lib.SECBIT_NO_SETUID_FIXUP)),
        *id_steps(identity),
        steps.capabilities(kill, kill, kill),
        steps.ambient(kill),
        steps.no_new_privs(),
        steps.die_with_parent(),
        steps.close_descriptors(),
        steps.execute_stub(STUB, ["ujail-init", "init", str(grace_s), name, *held]),
    ]


def door_of(spec: JailSpec) -> str:
    """What holds the service, in words: `MODE POLICY`, or "default", "default userns", "none"."""
    if spec.seccomp:
        return f"{spec.mode} {spec.seccomp}"
    if spec.mode == TRACE:
        return TRACE
    if spec.no_default_filter or not spec.isolate:
        return DOOR_NONE
    return f"{DOOR_DEFAULT} userns" if spec.allow_userns else DOOR_DEFAULT


def rules_of(spec: JailSpec, places: list[str] | None) -> list[str]:
    """What Landlock holds it by, a word each."""
    out = [] if places is None else [FILES, *(f"{WRITE} {place}" for place in places)]
    if spec.has_port_rules():
        out += [f"{BIND} {word}" for word in spec.net_bind] + [
            f"{CONNECT} {word}" for word in spec.net_connect
        ]
    return out


def priority_steps(spec: JailSpec) -> list[steps.Step]:
    """What may need a privilege on the host, and passes on to children."""
    if spec.nice is None and not spec.ioprio:
        return []
    from jail import raresteps

    out = [raresteps.nice(spec.nice)] if spec.nice is not None else []
    if spec.ioprio:
        from jail.processargs import parse_ioprio

        out.append(raresteps.ioprio(*parse_ioprio(spec.ioprio), spec.ioprio))
    return out


def oom_step(text: str) -> steps.Step:
    """By the first process, the only one that is in vfork: for any other the kernel changes its parent too."""
    from jail import raresteps
    from jail.processargs import parse_oom_score_adj

    score = str(parse_oom_score_adj(text))
    return raresteps.write_proc("self/oom_score_adj", score, f"set oom_score_adj {score}")


def _first_steps(spec: JailSpec, places: list[str] | None) -> list[steps.Step]:
    """What the process still does as whoever started it."""
    out = [steps.session()]
    if not spec.plain:
        out.append(steps.keyring())
    if spec.umask:
        from jail.processargs import parse_umask

        out.append(steps.umask(parse_umask(spec.umask)))
    elif not spec.plain:
        out.append(steps.umask(UMASK))
    stdio = steps.stdio()
    if spec.console:
        from jail.raresteps import console_stdio

        stdio = console_stdio(True)
    if not spec.isolate:  # else PID 1 has gone there, into the root that it made or entered
        out.append(steps.chdir("/"))
    out += [stdio, steps.close_descriptors()]
    if places is not None:
        out.append(steps.file_rules(places))
    if not spec.userns:
        out += priority_steps(spec)
    if spec.limits:
        from jail import raresteps
        from jail.limits import parse as parse_limit

        out += [raresteps.rlimit(parse_limit(name, text)) for name, text in spec.limits.items()]
    return out


def service_steps(
    spec: JailSpec,
    identity: Identity | None,
    sets: CapabilitySets | None,
    has_stub: bool,
    places: list[str] | None = None,
) -> list[steps.Step]:
    """All that the service's process does before its filter and its exec.

    `places` are what Landlock's rules let it write, if there are any: these are made while every place can be
    reached, and put on after no_new_privs.
    """
    out = _first_steps(spec, places)
    if sets:
        first, last = (CAP_KILL, CAP_KILL) if has_stub else (0, last_capability())
        out += [steps.bounding(sets.bounding, first, last), steps.securebits(_securebits(sets))]
    if identity:
        out += id_steps(identity)
    if sets:
        out.append(steps.capabilities(sets.effective, sets.permitted, sets.inheritable))
        if sets.ambient:
            out.append(steps.ambient(sets.ambient))
    out.append(steps.die_with_parent())
    if spec.no_new_privs or spec.seccomp or spec.mode == TRACE:
        out.append(steps.no_new_privs())
    if places is not None:
        out.append(steps.file_rules_hold())
    if spec.has_port_rules():
        from jail.ports import port_step

        out.append(port_step(spec))
    out.append(steps.signals())
    return out


def _securebits(sets: CapabilitySets) -> int:
    if sets.keep:
        # as procd: capabilities are what the file says, no uid gives or takes any
        return int(
            lib.SECBIT_NOROOT
            | lib.SECBIT_NOROOT_LOCKED
            | lib.SECBIT_NO_SETUID_FIXUP
            | lib.SECBIT_NO_SETUID_FIXUP_LOCKED
            | lib.SECBIT_KEEP_CAPS
            | lib.SECBIT_KEEP_CAPS_LOCKED
        )
    # Unix rules, for good. KEEP_CAPS stays free: daemons that start as root and change their uid use it
    return int(lib.SECBIT_NOROOT_LOCKED | lib.SECBIT_NO_SETUID_FIXUP_LOCKED)
