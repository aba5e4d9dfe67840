# SPDX-License-Identifier: MIT
"""A program into a jail that runs: the plan of a start that makes no namespaces, but joins all of the jail's.

The first process stays outside, as ujail-init and the program's parent; the program is behind the filter that the
jail's services are behind. Reads everything now; no effects.
"""

import os

from jail import raresteps, steps
from jail.capabilities import CapabilitySets, last_capability
from jail.elf import closure
from jail.errors import ConfigError
from jail.ids import Identity
from jail.plan import CAP_SYS_ADMIN, Plan, find_program, join_group, may_mount, weaknesses
from jail.privilege import (
    BIND,
    CONNECT,
    DOOR_DEFAULT,
    DOOR_NONE,
    bounding_of,
    capabilities_of,
    identity_of,
    it_is_root,
    oom_step,
    priority_steps,
    service_steps,
    stub_steps,
)
from jail.running import Running
from jail.shares import bus_warnings
from jail.spec import COMPLAIN, ENFORCE, PATH, TRACE, JailSpec
from jail.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.shown import Shown

Privilege = tuple[Identity, CapabilitySets]


def make_entry(plan: Plan, spec: JailSpec, jail: Running, privilege: Privilege) -> Plan:
    """What `spec` says of the program, its environment and its limits holds; its files are the jail's.

    Raises ConfigError.
    """
    kinds = jail.namespaces()
    if not {"pid", "mnt"} <= set(kinds):
        raise ConfigError(f"jail {jail.name}: it shares our files or processes, so there is nothing to enter")
    spec.extroot = jail.root
    path = plan.program = find_program(spec)
    identity, sets = privilege
    env = {"PATH": PATH, "container": "ujail", **spec.env}
    door, env = _door(spec, jail, path, bounding_of(sets, identity), env)
    plan.joins.append((jail.pid, jail.started))
    if "user" in kinds:
        # in there is no privilege to raise them
        spec.userns = True
        plan.steps += priority_steps(spec)
    plan.steps += [steps.open_sources(), raresteps.setns(jail.pid, jail.started, kinds), steps.chdir("/")]
    plan.steps += stub_steps(identity, sets, spec.grace_s, spec.name, [DOOR_NONE])
    plan.steps += service_steps(spec, identity, sets, True, plan.places)
    if spec.has_port_rules():
        from jail.doors import ports_door

        plan.steps.append(ports_door(closure(path, root=jail.root)))
    plan.steps += door
    plan.steps.append(steps.execute(path, spec.argv, [f"{name}={value}" for name, value in env.items()]))
    return plan


def confined(jail: Running, argv: list[str], env: dict[str, str]) -> Plan:
    """A program that is held as the jail's service is: its ids, capabilities, filter, limits, priorities and group."""
    spec = JailSpec(jail.name, argv)
    spec.env = env
    spec.limits = jail.limits()
    spec.umask, spec.nice, spec.ioprio = f"{jail.umask():o}", jail.nice(), jail.ioprio()
    mode, _, policy = jail.door.partition(" ")
    if mode in (ENFORCE, COMPLAIN):
        spec.mode, spec.seccomp = mode, policy
    elif mode == DOOR_DEFAULT:
        spec.allow_userns = bool(policy)
    elif mode == DOOR_NONE:
        spec.no_default_filter = True
    else:
        raise ConfigError(f"jail {jail.name}: it is being traced, and no filter could be the same")
    spec.net_bind, spec.net_connect = jail.ruled(BIND), jail.ruled(CONNECT)
    plan = Plan(spec.name)
    plan.places = jail.places()
    make_entry(plan, spec, jail, jail.privilege())
    plan.steps.insert(0, oom_step(jail.oom_score_adj()))
    return _in_its_group(plan, jail)


def unconfined(jail: Running, argv: list[str], env: dict[str, str]) -> Plan:
    """A program that only sees what the jail sees: root with all capabilities and no filter."""
    from jail._native import lib

    spec = JailSpec(jail.name, argv)
    spec.env = env
    spec.no_default_filter = True
    spec.no_new_privs = False
    mask = lib.permitted_capabilities() & ((2 << last_capability()) - 1)
    root = Identity(0, 0, (0,), "root")
    return _in_its_group(
        make_entry(Plan(spec.name), spec, jail, (root, CapabilitySets(mask, mask, 0, mask))), jail
    )


def shared(jail: Running, spec: JailSpec, shown: "Shown") -> Plan:
    """One more service in a jail that another one has made: its own ids, limits and filter, the other's files.

    Raises ConfigError for what it asks for and `shown` has not, and for what only a jail's maker can have.
    """
    if spec.mode == TRACE:
        raise ConfigError(f"jail {jail.name}: {jail.pid} has made it, and who enters cannot be traced")
    if spec.console:
        raise ConfigError(f"jail {jail.name}: {jail.pid} has made it, and who enters can have no console")
    if "user" in jail.namespaces():
        raise ConfigError(f"jail {jail.name}: a jail with a user namespace cannot be shared")
    identity = identity_of(spec)
    sets = capabilities_of(spec, identity)
    assert identity and sets
    if spec.vrf and "net" in jail.namespaces():
        raise ConfigError(f"jail {jail.name}: it has a network of its own, and vrf is of the host's")
    plan = Plan(spec.name)
    plan.warnings += weaknesses(spec, sets)
    shown.check(spec, plan, jail.root)
    plan.warnings += bus_warnings(spec, shown.sources(), it_is_root(identity, sets))
    join_group(plan, spec)
    if spec.oom_score_adj:
        plan.steps.append(oom_step(spec.oom_score_adj))
    plan.places = None if may_mount(spec, sets) else jail.places()
    return make_entry(plan, spec, jail, (identity, sets))


def _door(
    spec: JailSpec, jail: Running, path: str, capabilities: int, env: dict[str, str]
) -> tuple[list[steps.Step], dict[str, str]]:
    """The filter, and the environment with what the shim needs."""
    from jail.doors import default_door, door1, link, mode_of, shim_environment

    # the door that a variable of the program's own opens would be no door
    env = {name: value for name, value in env.items() if name != "SECCOMP_MODE"}
    if not spec.seccomp:
        if spec.no_default_filter:
            return [], env
        asked_for = 1 << CAP_SYS_ADMIN if spec.allow_userns else 0
        return [default_door(closure(path, root=jail.root), capabilities | asked_for)], env
    _check_policy(spec.seccomp, jail)
    program, shim = link(path, jail.root)
    mode, word = mode_of(spec.mode, shim, notify=False)  # nobody would answer what it asks
    step = door1(spec.seccomp, program, capabilities, [], mode)
    return [step], {**env, **shim_environment(shim, spec.seccomp, env, word)}


def _check_policy(policy: str, jail: Running) -> None:
    """The shim reads it inside: it has to be the host's file, which nobody in there could have written."""
    try:
        is_same = os.path.samestat(os.stat(policy), os.stat(Tree(jail.root).host(policy)))
    except OSError as error:
        raise ConfigError(f"{policy}: {error.strerror}, on the host or in the jail {jail.name}") from error
    if not is_same:
        raise ConfigError(
            f"{policy}: the jail {jail.name} has another file there; start it again to get this one"
        )


def _in_its_group(plan: Plan, jail: Running) -> Plan:
    """Charged to the jail's control group."""
    from jail.cgroup import hierarchy

    name, root = jail.group(), hierarchy()
    if name and root:
        plan.steps.insert(0, raresteps.cgroup(f"{root}/{name}", f"of the jail {jail.name}"))
    return plan
