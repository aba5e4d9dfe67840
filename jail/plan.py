# SPDX-License-Identifier: MIT
"""JailSpec → Plan: everything is read now (program, libraries, users, policy), and nothing is changed.

A Plan is a flat list of steps that explains itself. It holds no descriptor and no reference to the spec, so
it can be made long before it is launched; the launcher refuses it if a file was replaced since.
"""

import os
from stat import S_ISREG

from jail import steps
from jail._native import lib
from jail.capabilities import CapabilitySets, default_for, describe, last_capability, parse
from jail.elf import closure
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, ConfigError
from jail.ids import Identity, lookup
from jail.rootfs import Rootfs
from jail.spec import JailSpec, Share
from jail.tree import Closure

PACKAGE = os.path.dirname(os.path.abspath(__file__))
STUB = f"{PACKAGE}/ujail-init"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
OPTIONAL_ETC = ("/etc/resolv.conf", "/etc/nsswitch.conf")
UMASK = 0o022
CAP_KILL = 5
NAMESPACES = (
    ("mount", lib.CLONE_NEWNS),
    ("pid", lib.CLONE_NEWPID),
    ("ipc", lib.CLONE_NEWIPC),
    ("uts", lib.CLONE_NEWUTS),
)


class Plan:
    """What the launcher will do. `steps[index]` is what an error at `index` was about."""

    __slots__ = ("name", "namespaces", "notes", "steps", "warnings")

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespaces = 0
        self.steps: list[steps.Step] = []
        self.warnings: list[str] = []  # what was asked for and is not there, or holds less than one may think
        self.notes: list[str] = []  # for -d

    def explain(self) -> str:
        """One line a step, in order."""
        names = [name for name, flag in NAMESPACES if self.namespaces & flag]
        lines = [f"clone into new namespaces: {', '.join(names) or 'none'}"]
        lines += [step.describe() for step in self.steps]
        return "\n".join(f"{number:3} {line}" for number, line in enumerate(lines))


def make_plan(spec: JailSpec, reset_signals: int = 0) -> Plan:
    """Read all that the jail needs.

    `reset_signals` has bit n-1 set for each signal n that this process handles or ignores.
    Raises ConfigError; its status is 126 or 127 when the program itself is the reason.
    """
    plan = Plan(spec.name)
    path = _find_program(spec.argv[0])
    identity = lookup(spec.user or None, spec.group or None)
    sets = _capabilities(spec, identity.uid)
    env = {"PATH": PATH, "container": "ujail", **spec.env}
    door: list[steps.Step] = []
    if spec.seccomp:
        from jail.doors import door1, link, shim_environment

        program, shim = link(path)
        door = [door1(spec.seccomp, program, sets.bounding, plan.notes)]
        if shim:
            env |= shim_environment(shim, spec.seccomp, env)
    else:
        program = closure(path)
    if sets.keep and sets.permitted and not sets.ambient:
        plan.warnings.append("capabilities without an ambient set end at exec: the service will have none")
    if spec.isolate:
        if program.needs_proc and not spec.procfs:
            raise ConfigError(f"{path}: its libraries are found through $ORIGIN, which needs /proc: add -p")
        for _, flag in NAMESPACES:
            plan.namespaces |= flag
        plan.steps += _file_system(spec, program, plan.warnings)
    else:
        plan.warnings.append(
            "no option asks for files or namespaces: the file system and processes are not isolated"
        )
    # the stub's CAP_KILL has to be in the bounding set until it is inheritable
    plan.steps.append(steps.bounding(sets.bounding | 1 << CAP_KILL, 0, last_capability()))
    plan.steps.append(steps.fork())
    plan.steps += _stub(identity, spec.grace_s)
    plan.steps += _service(identity, sets)
    plan.steps += [steps.die_with_parent(), steps.no_new_privs(), steps.signals(reset_signals), *door]
    plan.steps.append(steps.execute(path, spec.argv, [f"{name}={value}" for name, value in env.items()]))
    return plan


def _capabilities(spec: JailSpec, uid: int) -> CapabilitySets:
    """What was asked for, or the default for the uid. "all" and the default end at what we have ourselves."""
    sets = default_for(uid) if spec.capabilities is None else parse(spec.capabilities)
    if os.geteuid() != 0:
        return sets  # only to be explained
    own = lib.permitted_capabilities()
    beyond = (sets.permitted | sets.inheritable) & ~own
    if beyond and spec.capabilities not in (None, "all"):
        raise ConfigError(f"capabilities: {describe(beyond)} cannot be given: ujail itself does not have it")
    return sets.limited_to(own) if beyond else sets


def _service(identity: Identity, sets: CapabilitySets) -> list[steps.Step]:
    """The order of privilege: what needs a privilege comes before what takes it away."""
    out = [
        steps.session(),
        steps.umask(UMASK),
        steps.chdir("/"),
        steps.close_descriptors(),
        steps.bounding(sets.bounding, CAP_KILL, CAP_KILL),
        steps.securebits(_securebits(sets)),
        steps.groups(identity.groups),
        steps.gid(identity.gid),
        steps.uid(identity.uid),
        steps.capabilities(sets.effective, sets.permitted, sets.inheritable),
    ]
    if sets.ambient:
        out.append(steps.ambient(sets.ambient))
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


def _stub(identity: Identity, grace_s: int) -> list[steps.Step]:
    """PID 1 before the service runs: the service's ids, and the one capability to signal its own jail."""
    kill = 1 << CAP_KILL
    return [
        steps.stdio_null(),
        steps.securebits(int(lib.SECBIT_NOROOT | lib.SECBIT_NO_SETUID_FIXUP)),
        steps.groups(identity.groups),
        steps.gid(identity.gid),
        steps.uid(identity.uid),
        steps.capabilities(kill, kill, kill),
        steps.ambient(kill),
        steps.no_new_privs(),
        steps.die_with_parent(),
        steps.close_descriptors(),
        steps.execute_stub(STUB, ["ujail-init", "init", str(grace_s)]),
    ]


def _file_system(spec: JailSpec, program: Closure, warnings: list[str]) -> list[steps.Step]:
    rootfs = Rootfs()
    shares = _present(spec, warnings)
    for share in shares:
        if share.target == share.source:
            rootfs.stage(share.source, writable=share.writable)
    _stage_closure(rootfs, program)
    for share in shares:
        if share.target != share.source:
            rootfs.stage_at(share.source, share.target, writable=share.writable)
        if needs := _needs(share):
            _stage_closure(rootfs, needs)
    if spec.staged_etc:
        for path in OPTIONAL_ETC:
            if os.path.exists(path):
                rootfs.stage(path)
    rootfs.add_dev()
    if spec.procfs:
        rootfs.add_proc()
    if spec.sysfs:
        rootfs.add_sys()
    out = [steps.private(), steps.root(spec.root_size), *rootfs.build()]
    if spec.hostname:
        out.append(steps.hostname(spec.hostname))
    out += [steps.pivot(), steps.read_only("/")]
    if rootfs.has_own_dev():
        out.append(steps.read_only("/dev"))
    return out


def _present(spec: JailSpec, warnings: list[str]) -> list[Share]:
    """The shares whose source exists. Init scripts list files that may be absent: those are skipped aloud."""
    out = []
    for share in spec.shares:
        try:
            os.stat(share.source)
        except OSError as error:
            if share.required or spec.required:
                raise ConfigError(f"{share.source}: {error.strerror}") from error
            warnings.append(f"{share.source}: {error.strerror}, skipped")
        else:
            out.append(share)
    return out


def _needs(share: Share) -> Closure | None:
    """What a shared program or library needs in turn; None for anything else."""
    try:
        fd = os.open(share.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None  # a socket, say; or not for us to read, and then not to execute either
    try:
        if not S_ISREG(os.fstat(fd).st_mode):
            return None
        head = os.read(fd, 4)
    finally:
        os.close(fd)
    return closure(share.source, shared=True) if head == b"\x7fELF" or head[:2] == b"#!" else None


def _stage_closure(rootfs: Rootfs, program: Closure) -> None:
    for path, target in program.links.items():
        rootfs.stage_link(path, target)
    for path in program.files:
        if path not in program.links:
            rootfs.stage(path)
    for path in program.dirs:
        rootfs.stage_directory(path)


def _find_program(name: str) -> str:
    """The absolute path of a program, looked for on the jail's PATH as the host has it."""
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in PATH.split(":")]
    denied = ""
    for candidate in candidates:
        path = os.path.abspath(candidate)
        try:
            status = os.stat(path)
        except OSError:
            continue
        if S_ISREG(status.st_mode) and os.access(path, os.X_OK):
            return path
        denied = path
    error = ConfigError(f"{denied}: cannot execute" if denied else f"{name}: no such program")
    error.status = EXIT_CANNOT_EXECUTE if denied else EXIT_NOT_FOUND
    raise error
