# SPDX-License-Identifier: MIT
"""What `service list` shows of an instance: procd's fields in procd's order, then ours. Pure."""

from initd import death
from initd.definition import WATCHDOG_OFF
from initd.jailparams import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.definition import Definition, JailDefinition
    from initd.instance import Instance
    from initd.process import Process
    from initd.ubus.blob import Table, Value

JAIL_FLAGS = ("procfs", "sysfs", "ubus", "log", "ronly", "netns", "userns", "cgroupsns", "console")
PATHS = ("extroot", "overlaydir", "tmpoverlaysize")


def listing(instance: "Instance", verbose: bool) -> "Table":
    """One entry of `instances`."""
    definition = instance.definition
    process = _running(instance)
    out: Table = {"running": process is not None}
    if process is not None:
        out["pid"] = process.pid
    out["command"] = list(definition.command)
    if definition.bundle:
        out["bundle"] = definition.bundle
    out["term_timeout"] = definition.term_timeout
    if process is None:
        out["exit_code"] = instance.exit_code or 0
    if errors := [*definition.error, *definition.faults]:
        out["errors"] = list(errors)
    out |= _asked(definition)
    if definition.jail is not None:
        out["jail"] = _jail(definition.jail, bool(definition.bundle))
        if definition.jail.mount:
            out["mount"] = {path: str(int(writable)) for path, writable in definition.jail.mount.items()}
        if definition.jail.setns:
            out["setns"] = [{"pid": pid, "namespaces": list(names)} for pid, names in definition.jail.setns]
    out |= {key: getattr(definition, key) for key in PATHS if getattr(definition, key)}
    if verbose and definition.triggers:
        out["triggers"] = definition.triggers
    if instance.watchdog.mode != WATCHDOG_OFF:
        out["watchdog"] = instance.watchdog.listing()
    return out | _ours(instance)


def _asked(definition: "Definition") -> "Table":
    out: Table = {}
    if definition.env:
        out["env"] = dict(definition.env)
    if definition.data is not None:
        out["data"] = definition.data
    if definition.limits:
        out["limits"] = dict(definition.limits)
    if definition.netdev:
        out["netdev"] = list(definition.netdev)
    if definition.reload_signal:
        out["reload_signal"] = definition.reload_signal
    if definition.respawn is not None:
        out["respawn"] = dict(zip(("threshold", "timeout", "retry"), definition.respawn, strict=True))
    for key in ("trace", "no_new_privs", "seccomp", "capabilities", "pidfile", "user", "group"):
        if value := getattr(definition, key):
            out[key] = value
    return out


def _jail(jail: "JailDefinition", has_bundle: bool) -> "Table":
    out: Table = {}
    if jail.name:
        out["name"] = jail.name
    if has_bundle:
        if jail.pidfile:
            out["pidfile"] = jail.pidfile
        return out | {"immediately": jail.immediately, "console": jail.console}
    if jail.hostname:
        out["hostname"] = jail.hostname
    out |= {name: getattr(jail, name) for name in JAIL_FLAGS}
    if jail.pidfile:
        out["pidfile"] = jail.pidfile
    return out | listed(jail.params)


def _ours(instance: "Instance") -> "Table":
    """What procd does not show: why it does not run, how it ended, what was not as asked for."""
    definition = instance.definition
    out: Table = {"state": instance.state}
    process = _running(instance)
    if process is not None and process.service_pid != process.pid:
        out["service_pid"] = process.service_pid
    if instance.failed:
        out["failed"] = instance.failed
    if instance.exit_code is not None:
        out["last_exit"] = death.words(instance.exit_code)
    if (denied := instance.denied) is not None:
        out["denials"] = denied.count
        out["last_denial"] = denied.line.removeprefix(f"{definition.full_name}: ")
    if definition.cgroup and (oom := instance.describe_oom()):
        out["out_of_memory"] = oom
    if instance.crashes:
        out["crashes"] = instance.crashes
    if definition.cgroup:
        out["cgroup"] = dict(definition.cgroup)
    if definition.vrf:
        out["vrf"] = definition.vrf
    if definition.seccomp_mode or definition.seccomp or definition.trace:
        out["seccomp_mode"] = definition.mode
    if instance.trace_file:
        out["trace_file"] = instance.trace_file
    if warnings := [*definition.warnings, *instance.warnings]:
        shown: list[Value] = [*warnings]
        out["warnings"] = shown
    return out


def _running(instance: "Instance") -> "Process | None":
    # the pid of one that is over may be somebody else's by now
    process = instance.process
    return None if process is None or process.is_over else process
