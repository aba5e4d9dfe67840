# SPDX-License-Identifier: MIT
"""JailSpec → Plan: everything is read now (program, libraries, users, policy), and nothing is changed.

A Plan is a flat list of steps that explains itself. It holds no descriptor and no reference to the spec, so
it can be made long before it is launched; the launcher refuses it if a file was replaced since.
"""

import posix
from _stat import S_ISREG

from jail import paths, steps
from jail._native import lib
from jail.capabilities import BITS
from jail.elf import closure
from jail.elffile import version_of
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, ConfigError
from jail.privilege import (
    bounding_of,
    capabilities_of,
    door_of,
    identity_of,
    it_is_root,
    oom_step,
    priority_steps,
    rules_of,
    service_steps,
    stub_steps,
)
from jail.spec import COMPLAIN, PATH, TRACE, JailSpec
from jail.tree import Closure, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.capabilities import CapabilitySets
    from jail.cgroup import Group
    from jail.idmap import IdMaps
    from jail.networds import Network
    from jail.rootfs import Rootfs

CAP_SYS_ADMIN = BITS["sys_admin"]
NAMESPACES = (
    ("mount", lib.CLONE_NEWNS),
    ("pid", lib.CLONE_NEWPID),
    ("ipc", lib.CLONE_NEWIPC),
    ("uts", lib.CLONE_NEWUTS),
    ("net", lib.CLONE_NEWNET),
    ("user", lib.CLONE_NEWUSER),
)


class Plan:
    """What the launcher will do. `steps[index]` is what an error at `index` was about."""

    __slots__ = (
        "group",
        "joins",
        "missing",
        "name",
        "namespaces",
        "network",
        "notes",
        "notify_abi",
        "patterns",
        "places",
        "program",
        "program_version",
        "rootfs",
        "steps",
        "warnings",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.notify_abi = ""  # of the program, if its denied calls are to be answered
        self.program = ""  # its path, as its root has it
        self.program_version: tuple[int, ...] = ()  # of a program of the host: another one needs other files
        self.namespaces = 0
        self.rootfs: Rootfs | None = None  # the model of its root
        self.places: list[str] | None = None  # what Landlock lets it write; None: there are no such rules
        self.network: Network | None = None  # to be made or opened before the launch
        self.group: Group | None = None
        self.joins: list[tuple[int, int]] = []  # pid and start of processes whose namespaces are joined
        self.steps: list[steps.Step] = []
        self.missing: dict[str, str] = {}  # path → why it is not there, of shares that were left out
        self.patterns: list[tuple[str, tuple[str, ...]]] = []  # of shares, and what they matched
        self.warnings: list[str] = []  # what holds less than one may think
        self.notes: list[str] = []  # for -d

    def explain(self) -> str:
        """One line a step, in order."""
        names = [name for name, flag in NAMESPACES if self.namespaces & flag]
        lines = [f"clone into new namespaces: {', '.join(names) or 'none'}"]
        lines += [step.describe() for step in self.steps]
        return "\n".join(f"{number:3} {line}" for number, line in enumerate(lines))

    def all_warnings(self) -> list[str]:
        """The warnings, with one line for each reason why shares are missing."""
        reasons: dict[str, list[str]] = {}
        for path, reason in self.missing.items():
            if not reason:
                continue  # one of a preset's, which nobody has asked for by name
            reasons.setdefault(reason, []).append(path)
        skipped = [f"{', '.join(paths)}: {reason}, skipped" for reason, paths in reasons.items()]
        return skipped + self.warnings


def make_plan(spec: JailSpec) -> Plan:
    """Read all that the jail needs. Raises ConfigError, of status 126 or 127 where the program is the reason."""
    plan = Plan(spec.name)
    path = find_program(spec)
    maps = None
    if spec.userns:
        from jail.idmap import make_maps

        maps = make_maps(spec)
    identity = maps.root() if maps else identity_of(spec)
    sets = capabilities_of(spec, identity)
    env = spec.env if spec.plain else {"PATH": PATH, "container": "ujail", **spec.env}
    plan.program = path
    if not spec.extroot:
        plan.program_version = version_of(posix.stat(path))
    program, door, env = _door(plan, spec, path, bounding_of(sets, identity), env)
    plan.warnings += weaknesses(spec, sets)
    joined = _outside(plan, spec)
    if spec.isolate:
        assert program and identity and sets
        _isolate(plan, spec, program, maps, identity.uid, it_is_root(identity, sets, maps))
        if may_mount(spec, sets):
            plan.places = None
        plan.namespaces &= ~joined
    elif not spec.plain:
        plan.warnings.append(
            "no option asks for files or namespaces: the file system and processes are not isolated"
        )
    has_stub = spec.isolate or spec.stub
    if has_stub:
        if not spec.isolate:
            plan.steps.append(steps.open_sources())
        assert identity and sets
        held = [door_of(spec), *rules_of(spec, plan.places)]
        plan.steps += stub_steps(identity, sets, spec.grace_s, spec.name, held, spec.console)
    plan.steps += service_steps(spec, identity, sets, has_stub, plan.places)
    plan.steps += door
    plan.steps.append(steps.execute(path, spec.argv, [f"{name}={value}" for name, value in env.items()]))
    return plan


def _door(
    plan: Plan, spec: JailSpec, path: str, capabilities: int, env: dict[str, str]
) -> tuple[Closure | None, list[steps.Step], dict[str, str]]:
    """What is executed, as far as it has to be known, what holds it, and its environment."""
    if spec.seccomp or spec.mode == TRACE:
        from jail.doors import hold

        program, door, env = hold(spec, path, capabilities, env, plan)
    elif spec.isolate:
        program = closure(path, root=spec.extroot or "/")
        door = _default_door(spec, program, capabilities)
    else:
        program, door = None, []
    if spec.has_port_rules():
        from jail.doors import ports_door

        door.insert(0, ports_door(program or closure(path, root=spec.extroot or "/")))
    return program, door, env


def _outside(plan: Plan, spec: JailSpec) -> int:
    """What comes before anything of the jail's own. Returns the kinds of namespaces that are joined."""
    join_group(plan, spec)
    joined = 0
    if spec.joins:
        from jail.joins import join

        joined = join(plan, spec)
    if spec.is_network_made():
        from jail import raresteps

        plan.network = network = spec.network()
        assert network
        plan.steps.append(raresteps.network(network.describe()))
    if spec.oom_score_adj:
        plan.steps.append(oom_step(spec.oom_score_adj))
    return joined


def join_group(plan: Plan, spec: JailSpec) -> None:
    """Into a control group, if anything was asked for that one is needed for."""
    if spec.cgroup_files or spec.vrf:
        from jail import raresteps
        from jail.cgroup import find_group

        plan.group = find_group(spec.cgroup, spec.cgroup_files, spec.is_group_ours, spec.vrf)
        plan.steps.append(raresteps.cgroup(plan.group.path, plan.group.describe()))


def weaknesses(spec: JailSpec, sets: "CapabilitySets | None") -> list[str]:
    """What was asked for that holds less than one may think, to be said each time."""
    out = []
    if spec.mode == COMPLAIN:
        out.append(f"{spec.seccomp} complains only: what it denies is logged, and allowed")
    elif spec.no_default_filter and spec.isolate and not spec.seccomp and spec.mode != TRACE:
        from jail.doors import SHIM

        # without a policy the shim goes on only for utrace, which asks for both
        why = " while utrace records" if spec.env.get("LD_PRELOAD") == SHIM else ", and no policy is named"
        out.append(f"the default filter is off{why}: every system call is allowed")
    if sets and sets.keep and sets.permitted and not sets.ambient:
        out.append("capabilities without an ambient set end at exec: the service will have none")
    if spec.has_port_rules():
        out.append("the network is the host's: of it only the TCP ports are closed")
    return out


def may_mount(spec: JailSpec, sets: "CapabilitySets | None") -> bool:
    """Under Landlock's rules for files nobody can."""
    return spec.allow_userns or bool(sets and sets.bounding >> CAP_SYS_ADMIN & 1)


def _default_door(spec: JailSpec, program: Closure, capabilities: int) -> list[steps.Step]:
    """The filter of a jail that names no policy."""
    if spec.no_default_filter:
        return []
    from jail.doors import default_door

    # in a user namespace of its own a process has all capabilities, and what they are for is asked for with it
    return [default_door(program, capabilities | (1 << CAP_SYS_ADMIN if spec.allow_userns else 0))]


def _map(plan: Plan, spec: JailSpec, maps: "IdMaps") -> None:
    """Into a user namespace. What only a privilege on the host can do comes before."""
    from jail import raresteps
    from jail.idmap import warnings

    plan.warnings += warnings(maps)
    plan.namespaces |= lib.CLONE_NEWUSER
    plan.steps += priority_steps(spec)
    if spec.overlay_dir and not maps.is_own:
        from jail.staging import look_at

        status = look_at(spec.overlay_dir)
        outside = maps.uids[0][1], maps.gids[0][1]
        plan.steps.append(raresteps.own(spec.overlay_dir, *outside, status.st_dev, status.st_ino))
    plan.steps.append(raresteps.user(maps.uids, maps.gids, maps.is_own))


def _isolate(plan: Plan, spec: JailSpec, program: Closure, maps: "IdMaps | None", uid: int, how: str) -> None:
    """Namespaces, and the root in them. `uid` is the service's, `how` is what it_is_root() says of it."""
    from jail.staging import root_steps

    if program.needs_proc and not spec.has_proc():
        raise ConfigError(f"{plan.program}: its libraries are found by $ORIGIN, which needs /proc: add -p")
    if maps:
        _map(plan, spec, maps)
    if spec.cgroupns:
        from jail import raresteps

        plan.steps.append(raresteps.cgroup_namespace())
    for _, flag in NAMESPACES:
        if flag == lib.CLONE_NEWUSER:
            continue
        if flag != lib.CLONE_NEWNET or (spec.netns and not plan.network):
            plan.namespaces |= flag
    plan.steps += root_steps(spec, program, plan, maps, uid)
    if plan.rootfs and (spec.shares or spec.binds):
        from jail.shares import bus_warnings

        plan.warnings += bus_warnings(spec, plan.rootfs.sources(), how)


def find_program(spec: JailSpec) -> str:
    """The absolute path of a program, as its root has it: the host, or an extroot.

    A bare name is looked for on the service's PATH if it is a plain one, else on the jail's.
    """
    name = spec.argv[0]
    search = spec.env.get("PATH", PATH) if spec.plain else PATH
    candidates = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in search.split(":")]
    if spec.extroot and not paths.is_directory(spec.extroot):
        raise ConfigError(f"{spec.extroot}: not a directory")
    tree = Tree(spec.extroot)
    denied = ""
    for candidate in candidates:
        path = paths.absolute(candidate)
        status = tree.stat(path)
        if status is None:
            continue
        is_file = S_ISREG(status.st_mode)
        if is_file and posix.access(tree.host(path), posix.X_OK):
            return path
        mode = f"not executable (mode {status.st_mode & 0o7777:04o})"
        denied = f"{path}: {mode if is_file else 'not a file'}"
    error = ConfigError(f"{denied}, cannot execute" if denied else f"{name}: no such program")
    error.status = EXIT_CANNOT_EXECUTE if denied else EXIT_NOT_FOUND
    raise error
