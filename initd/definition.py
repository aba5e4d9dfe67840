# SPDX-License-Identifier: MIT
"""What an init script asked of one instance: the table of `service set` as a value of known types.

Reading never raises: what is wrong lands in `faults`, and an instance with faults is listed and never started.
What is unknown lands in `warnings`. Must not start, open or change anything.
"""

import os

from initd.fields import Fields, show
from initd.identity import identity
from initd.jailparams import KEYS as PARAMETER_KEYS
from initd.jailparams import read_params
from initd.log import FACILITIES, facility_fault
from jail.errors import ConfigError
from jail.ids import lookup
from jail.limits import parse as parse_limit
from jail.near import did_you_mean
from jail.spec import COMPLAIN, ENFORCE, MODES, TRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.ubus.blob import Table, Value

RESPAWN = {"threshold": 3600, "timeout": 5, "retry": 5}  # the first two in seconds
TERM_TIMEOUT_S = 5
TERM_TIMEOUT_MAX_S = 86400
WATCHDOG_TIMEOUT_S = 30
WATCHDOG_OFF, WATCHDOG_PASSIVE, WATCHDOG_ACTIVE = range(3)
WATCHDOG = {"mode": WATCHDOG_OFF, "timeout": WATCHDOG_TIMEOUT_S}
SIGNAL_MAX = 64
NAME_MAX = 255  # a directory of the cgroup tree bears it
# fmt: off
KEYS = (
    "command", "env", "data", "file", "netdev", "limits", "cgroup", "nice", "user", "group", "respawn",
    "term_timeout", "reload_signal", "stdout", "stderr", "facility", "pidfile", "seccomp", "seccomp_mode",
    "seccomp_log", "seccomp_notify", "trace", "capabilities", "no_new_privs", "jail", "extroot", "overlaydir",
    "tmpoverlaysize", "bundle", "error", "triggers", "watch", "watchdog", "vrf",
)
FLAGS = (  # of a jail
    "procfs", "sysfs", "ubus", "udebug", "log", "ronly", "netns", "userns", "cgroupsns", "console",
    "requirejail", "immediately", "shared",
)
# an unknown key that is close to one of these, or is one in the wrong table: without it the service would run with
# less than it was promised
PROTECTIONS = (
    "user", "group", "limits", "cgroup", "seccomp", "seccomp_mode", "capabilities", "no_new_privs", "jail",
    "extroot",
)
# scripts give these from variables, which may be empty
MAY_BE_EMPTY = ("user", "group", "seccomp", "capabilities", "extroot")
JAIL_PROTECTIONS = (
    "ronly", "netns", "userns", "cgroupsns", "requirejail", "hostname", "mount", "setns", *PARAMETER_KEYS,
)
# fmt: on
JAIL_KEYS = ("name", "hostname", "pidfile", *FLAGS, "mount", "setns", *PARAMETER_KEYS)


class JailDefinition:
    """The `jail` table: names, flags, `mount` path → writable, `setns` [(pid, [namespace, …]), …].

    `params` are those of jailparams.py, by key.
    """

    # fmt: off
    __slots__ = (
        "cgroupsns", "console", "hostname", "immediately", "log", "mount", "name", "netns", "params", "pidfile",
        "procfs", "requirejail", "ronly", "setns", "shared", "sysfs", "ubus", "udebug", "userns",
    )
    # fmt: on

    def __init__(self, fields: Fields) -> None:
        self.name = fields.text("name")
        self.hostname = fields.text("hostname")
        self.pidfile = fields.text("pidfile")
        self.procfs = fields.flag("procfs")
        self.sysfs = fields.flag("sysfs")
        self.ubus = fields.flag("ubus")
        self.udebug = fields.flag("udebug")
        self.log = fields.flag("log")
        self.ronly = fields.flag("ronly")
        self.netns = fields.flag("netns")
        self.userns = fields.flag("userns")
        self.cgroupsns = fields.flag("cgroupsns")
        self.console = fields.flag("console")
        self.requirejail = fields.flag("requirejail")
        self.immediately = fields.flag("immediately")
        self.shared = fields.flag("shared")
        self.mount = fields.flags("mount")
        self.setns = _setns(fields)
        self.params = read_params(fields)
        if self.shared and self.console:
            fields.faults.append("jail console: a jail that is shared has none")
        if self.shared and not self.name:
            fields.faults.append("jail shared: a jail that is shared needs a name")
        # the flags that only show something, too: without the one that was meant there may be no namespace at all
        fields.unknown(JAIL_KEYS, (*JAIL_PROTECTIONS, *PROTECTIONS, *FLAGS))


class Definition:
    """One instance as it was asked for. Strings are "" and lists empty where nothing was asked."""

    # fmt: off
    __slots__ = (
        "bundle", "capabilities", "cgroup", "command", "data", "env", "error", "extroot", "facility", "faults",
        "file", "given", "group", "instance", "jail", "limits", "netdev", "nice", "no_new_privs", "overlaydir",
        "pidfile", "reload_signal", "respawn", "seccomp", "seccomp_log", "seccomp_mode", "seccomp_notify", "service",
        "stderr", "stdout", "term_timeout", "tmpoverlaysize", "trace", "triggers", "user", "vrf", "warnings", "watch",
        "watchdog",
    )
    # fmt: on

    def __init__(self, service: str, name: str, fields: Fields) -> None:
        self.service, self.instance = service, name
        self.given: Value = None  # as it came
        self.faults = fields.faults
        self.warnings = fields.warnings
        self.command = fields.texts("command")
        self.env = fields.words("env")
        self.data = fields.table("data")
        self.file = fields.texts("file")
        self.netdev = fields.texts("netdev")
        self.limits = fields.words("limits")
        self.cgroup = fields.words("cgroup")  # any file of a version 2 group, "memory.max" → "16M"
        self.nice = fields.number("nice", 0, -20, 20)
        self.user = fields.text("user")
        self.group = fields.text("group")
        self.respawn = fields.numbers("respawn", RESPAWN)  # (threshold, timeout, retry)
        self.term_timeout = fields.number("term_timeout", TERM_TIMEOUT_S, 0, TERM_TIMEOUT_MAX_S)
        self.reload_signal = fields.number("reload_signal", 0, 0, SIGNAL_MAX)
        self.stdout = fields.flag("stdout")
        self.stderr = fields.flag("stderr")
        self.facility = fields.text("facility", "daemon")
        self.pidfile = fields.text("pidfile")
        self.seccomp = fields.text("seccomp")
        self.seccomp_mode = fields.text("seccomp_mode")
        self.seccomp_log = fields.text("seccomp_log")
        self.seccomp_notify = fields.flag("seccomp_notify")  # we answer its denied calls
        self.trace = fields.flag("trace")
        self.capabilities = fields.text("capabilities")
        self.no_new_privs = fields.flag("no_new_privs")
        self.extroot = fields.text("extroot")
        self.overlaydir = fields.text("overlaydir")
        self.tmpoverlaysize = fields.text("tmpoverlaysize")
        self.bundle = fields.text("bundle")
        self.error = fields.texts("error")
        self.triggers: list[Value] = fields.array("triggers")
        self.watch = fields.texts("watch")
        self.watchdog = fields.numbers("watchdog", WATCHDOG)
        self.vrf = fields.text("vrf")
        self.jail = _jail(fields)
        fields.unknown(KEYS, (*PROTECTIONS, *JAIL_PROTECTIONS))

    @classmethod
    def read(cls, service: str, name: str, table: "Value") -> "Definition":
        """Read what came over ubus. Users and groups are looked up, other files are not touched."""
        definition = cls(service, name, Fields(table if isinstance(table, dict) else {}))
        definition.given = table
        if isinstance(table, dict):
            _check(definition, table)
        else:
            definition.faults.append("not a table")
        return definition

    def identity(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """What must be equal for a running instance to be left alone; reads the files that it names, now.

        Of the two parts the first is what confines the process: only a new one can get another.
        """
        return identity(self)

    @property
    def mode(self) -> str:
        """Of its policy: one of jail.spec.MODES."""
        return TRACE if self.trace else self.seccomp_mode or ENFORCE

    @property
    def has_console(self) -> bool:
        """Whether its jail gets a console; a tracer, which starts the jail in our place, has nobody to give it to."""
        return self.jail is not None and self.jail.console and self.mode != TRACE

    @property
    def complains(self) -> bool:
        return self.mode == COMPLAIN

    @property
    def policy_path(self) -> str:
        """Its policy, as files are opened; "" for none."""
        return os.path.abspath(self.seccomp) if self.seccomp else ""

    @property
    def full_name(self) -> str:
        """For messages: service::instance."""
        return f"{self.service}::{self.instance}"


def name_fault(name: str) -> str:
    """What is wrong with a service's or instance's name, "" if nothing: it becomes part of paths and lines."""
    if not name or not name.isprintable() or "/" in name or name in (".", ".."):
        return f"{show(name)} cannot be a name"
    if len(name.encode("utf-8", "surrogateescape")) > NAME_MAX:
        return f"the name is longer than {NAME_MAX} bytes"
    return ""


def _check(definition: Definition, table: "Table") -> None:
    """The faults that one value alone does not show."""
    faults = definition.faults
    for key in MAY_BE_EMPTY:
        if key in table and not getattr(definition, key):
            definition.warnings.append(f"{key}: empty, so none was asked for")
    if problem := name_fault(definition.instance):
        faults.append(problem)
    if not definition.bundle and not (definition.command and definition.command[0]):
        faults.append("command: there is none")
    if definition.mode not in MODES:
        faults.append(f"seccomp_mode: no mode {show(definition.mode)}{did_you_mean(definition.mode, MODES)}")
    if definition.vrf and definition.jail and definition.jail.shared:
        faults.append("vrf: the network of a jail that is shared may be another")
    if definition.has_console and (definition.stdout or definition.stderr):
        definition.warnings.append("stdout, stderr: the console of the jail has them")
    elif definition.jail and definition.jail.console and not definition.has_console:
        definition.warnings.append("jail console: not there while its calls are recorded")
    if definition.seccomp_mode and not definition.seccomp and definition.mode != TRACE:
        definition.warnings.append(
            f"seccomp_mode {definition.seccomp_mode}: there is no policy, so it means nothing"
        )
        definition.seccomp_mode = ""
    for name, text in definition.limits.items():
        try:
            parse_limit(name, text)
        except ConfigError as error:
            faults.append(str(error))
    if definition.watchdog and definition.watchdog[0] > WATCHDOG_ACTIVE:
        faults.append(f"watchdog: mode {definition.watchdog[0]} is not 0, 1 or 2")
    if definition.watchdog and definition.watchdog[0] and not definition.watchdog[1]:
        faults.append("watchdog: no time to give a sign of life in")
    if definition.facility not in FACILITIES:
        definition.warnings.append(f"{facility_fault(show(definition.facility))}: daemon it is")
        definition.facility = "daemon"
    if definition.user or definition.group:
        try:
            lookup(definition.user or None, definition.group or None)
        except (ConfigError, OSError) as error:
            faults.append(str(error))


def _jail(fields: Fields) -> JailDefinition | None:
    table = fields.table("jail")
    if table is None:
        return None
    return JailDefinition(Fields(table, "jail ", fields.faults, fields.warnings))


def _setns(fields: Fields) -> list[tuple[int | str, list[str]]]:
    out: list[tuple[int | str, list[str]]] = []
    for entry in fields.array("setns"):
        table = entry if isinstance(entry, dict) else {}
        inner = Fields(table, "jail setns ", fields.faults, fields.warnings)
        given = table.get("pid")
        is_name = isinstance(given, str) and given and not given.isdigit()
        target = inner.text("pid") if is_name else inner.number("pid", 0, 1, (1 << 31) - 1)
        out.append((target, inner.texts("namespaces")))
        if not out[-1][0] or not out[-1][1]:
            fields.faults.append("jail setns: needs a pid or a jail's name, and namespaces")
    return out
