# SPDX-License-Identifier: MIT
"""What was asked for of the host's files → the steps that make the jail's root. Reads files; no effects."""

import posix
from _stat import S_ISDIR

from jail import paths, steps
from jail._native import lib
from jail.assemble import assemble, writable_places
from jail.elf import closure
from jail.elffile import Elf
from jail.errors import ConfigError
from jail.privilege import id_steps
from jail.rootfs import BIND_NO_DEVICES, Rootfs
from jail.spec import JailSpec, Share
from jail.tree import Closure, Tree, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.idmap import IdMaps
    from jail.plan import Plan

RESOLV_CONF = "/etc/resolv.conf"
OPTIONAL_ETC = (RESOLV_CONF, "/etc/nsswitch.conf")


def root_steps(
    spec: JailSpec, program: Closure, plan: "Plan", maps: "IdMaps | None" = None, uid: int = 0
) -> list[steps.Step]:
    """From private mounts to a read-only root.

    With `maps` in a user namespace, where some of it is done in other ways. `uid` is whose the console is.
    Shares that do not exist are left out, and put into the plan's `missing` with the reason.
    """
    rootfs, shares = _model(spec, program, plan, maps)
    is_slave = any(share.is_slave for share in shares)
    out = [steps.private(is_slave), steps.open_sources()]
    if maps:
        out += _become_root(spec, maps)
    out += [steps.root(spec.root_size), *assemble(rootfs)]
    if rootfs.needless:
        from jail.shares import miss_mask

        for path in rootfs.needless:
            miss_mask(spec, plan, path)
    plan.rootfs = rootfs
    if spec.console:
        from jail.raresteps import console

        out += console("/dev/pts/ptmx", uid)
    if spec.hostname:
        out.append(steps.hostname(spec.hostname))
    if spec.netns and not spec.is_network_made():
        out.append(steps.loopback())
    out.append(steps.pivot())
    if spec.is_root_read_only():
        plan.places = writable_places(rootfs)
        out.append(steps.read_only("/"))
    if rootfs.has_own_dev():
        out.append(steps.read_only("/dev"))
    return out


def _model(
    spec: JailSpec, program: Closure, plan: "Plan", maps: "IdMaps | None"
) -> tuple[Rootfs, list[Share]]:
    """The root as it will be, and the shares that are in it."""
    rootfs = Rootfs(_layers(spec))
    shares: list[Share] = []
    etc = staged_etc(spec)
    if spec.shares or spec.binds or spec.devices:
        from jail.shares import present_shares

        shares = present_shares(spec, plan, etc)
    if spec.extroot:
        _stage_in(rootfs, spec, shares, etc, plan)
    else:
        _stage_all(rootfs, spec, shares, etc, program, plan)
    if spec.tmpfs or spec.masks:
        _add_asked(rootfs, spec)
    rootfs.add_dev(maps)
    if spec.console:
        rootfs.add_console()
    if spec.proc:
        from jail.processargs import parse_proc

        rootfs.add_proc(parse_proc(spec.proc))
    elif spec.procfs:
        rootfs.add_proc()
    if spec.sysfs:
        # sysfs belongs to the network: there is no new one in a user namespace with another's
        rootfs.add_sys(is_shown=maps is not None and not plan.namespaces & lib.CLONE_NEWNET)
    return rootfs, shares


def _become_root(spec: JailSpec, maps: "IdMaps") -> list[steps.Step]:
    """Once the sources are open, with the ids of who called: what is made from here on is the jail's."""
    out = id_steps(maps.root())
    if not spec.allow_userns:
        from jail import raresteps

        out.append(
            raresteps.write_proc("sys/user/max_user_namespaces", "0", "allow no user namespace in this one")
        )
    return out


def _layers(spec: JailSpec) -> list[steps.Step]:
    """What is below our own directories, and above them; nothing for a root of our own alone."""
    if not (spec.extroot or spec.overlay_dir or spec.overlay_size):
        return []
    from jail import raresteps

    out = []
    if spec.extroot:
        from os.path import samestat

        status = look_at(spec.extroot)
        if samestat(status, posix.stat("/")):
            raise ConfigError(f"{spec.extroot}: the host's root cannot be shared whole")
        out.append(raresteps.lower(spec.extroot, status.st_dev, status.st_ino))
    if spec.overlay_dir:
        status = look_at(spec.overlay_dir)
        _check_outside(spec)
        out.append(raresteps.upper(spec.overlay_dir, status.st_dev, status.st_ino))
    if spec.overlay_size:
        out.append(raresteps.upper_memory(spec.overlay_size))
    return [*out, raresteps.overlay()]


def _check_outside(spec: JailSpec) -> None:
    """Raise ConfigError for a policy or capabilities in the overlay: its next start would go by what it wrote there."""
    from jail.capabilities import file_of

    folder = paths.real(spec.overlay_dir)
    for path in filter(None, (spec.seccomp, file_of(spec.capabilities or ""))):
        if f"{paths.real(path)}/".startswith(f"{folder}/"):
            raise ConfigError(f"{path}: in {spec.overlay_dir}, which the jail may write: it could change it")


def _resolver(spec: JailSpec) -> str:
    """A resolv.conf(5) of the jail's own, "" if none was asked for."""
    network = spec.network()
    return "".join(f"nameserver {server}\n" for server in network.dns) if network else ""


def staged_etc(spec: JailSpec) -> list[Share]:
    """The files that come with any option that asks for some."""
    if not spec.staged_etc:
        return []
    wanted = (RESOLV_CONF,) if spec.extroot else OPTIONAL_ETC
    has_own = bool(_resolver(spec))
    return [Share(path) for path in wanted if paths.exists(path) and not (path == RESOLV_CONF and has_own)]


def _check_same(share: Share, place: str) -> None:
    """Raise ConfigError if what is shown is not what was looked at: who runs may have put a link there since."""
    if share.real and paths.normal(place) != share.real:
        raise ConfigError(f"{share.source}: leads to {place}, which it did not a moment ago")


def look_at(path: str) -> posix.stat_result:
    """A directory of the host. Raises ConfigError for anything else."""
    try:
        status = posix.stat(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not S_ISDIR(status.st_mode):
        raise ConfigError(f"{path}: not a directory")
    return status


def _stage_in(rootfs: Rootfs, spec: JailSpec, shares: list[Share], etc: list[Share], plan: "Plan") -> None:
    """Into another root, which has its own libraries and users. Its links say where a target is."""
    tree = Tree(spec.extroot)
    targets = {share.target: share for share in reversed(shares)}
    if resolver := _resolver(spec):
        rootfs.stage_text(tree.real(RESOLV_CONF), resolver)
    for share in etc:
        targets.setdefault(share.target, share)
    for target, share in targets.items():
        if not _stage_live(rootfs, share, tree.real(target), plan):
            _check_same(share, rootfs.stage_at(share.source, tree.real(target), bind_flags(share)))


def _stage_all(
    rootfs: Rootfs, spec: JailSpec, shares: list[Share], etc: list[Share], program: Closure, plan: "Plan"
) -> None:
    """Into a root of our own: the program with all that it needs, and what was asked for with its.

    For one target the first share counts, whatever is shown at its own place: /etc/passwd may be another one.
    """
    shares = list({share.target: share for share in reversed(shares)}.values())[::-1]
    for share in shares:
        if share.target == share.source and not _stage_live(rootfs, share, share.target, plan):
            _check_same(share, rootfs.stage(share.source, bind_flags(share)))
    _stage_closure(rootfs, program)
    for share in shares:
        if share.target != share.source and not _stage_live(rootfs, share, share.target, plan):
            _check_same(share, rootfs.stage_at(share.source, share.target, bind_flags(share)))
        status = rootfs.status_of(share.source)
        if needs := _needs(share, spec, program.interpreter, plan.missing, status):
            _stage_closure(rootfs, needs)
    if resolver := _resolver(spec):
        rootfs.stage_text(RESOLV_CONF, resolver)
    for share in etc:
        _check_same(share, rootfs.stage(share.source))


def _stage_live(rootfs: Rootfs, share: Share, target: str, plan: "Plan") -> bool:
    """Show a file as it is replaced, if that was asked for; False if it is to be bound as any other."""
    if not share.is_live or paths.is_directory(share.source):
        return False
    from jail.presets import is_broad

    folder = paths.real(share.source).rpartition("/")[0]
    if not is_seen_live(share):
        plan.notes.append(f"{share.source}: as it is now; {folder} has more in it than a jail should see")
        return False
    shown = rootfs.stage_live(share.source, target, bind_flags(share))
    _check_same(share, f"{shown}/{share.real.rpartition('/')[2]}")
    if is_broad(folder):
        plan.warnings.append(f"{share.source}: live shows all of {folder}")
    return True


def is_seen_live(share: Share) -> bool:
    """Whether it is a file that is shown as it is replaced; a preset's only in a directory that is its own."""
    if not share.is_live or paths.is_directory(share.source):
        return False
    from jail.presets import is_dedicated

    return share.is_asked_live or is_dedicated(paths.real(share.source).rpartition("/")[0])


def bind_flags(share: Share) -> int:
    flags = 0 if share.writable else lib.BIND_READ_ONLY
    if share.is_noexec:
        flags |= lib.BIND_NO_EXEC
    if share.is_slave:
        flags |= lib.BIND_SLAVE
    if share.has_devices is False:
        flags |= BIND_NO_DEVICES
    return int(flags | (lib.BIND_DEVICES if share.has_devices else 0))


def _add_asked(rootfs: Rootfs, spec: JailSpec) -> None:
    """File systems in memory, and masks."""
    from jail.fileargs import read_mask, read_tmpfs

    for word in spec.tmpfs:
        asked = read_tmpfs(word)
        rootfs.add_tmpfs(asked.path, asked.options, executable=asked.executable)
    tree = Tree(spec.extroot)
    for word in spec.masks:
        path = read_mask(word)
        status = tree.stat(path) if spec.extroot else None
        rootfs.hide(tree.real(path) if status else path, S_ISDIR(status.st_mode) if status else None)


def _needs(
    share: Share, spec: JailSpec, loader: str, missing: dict[str, str], status: posix.stat_result | None
) -> Closure | None:
    """What a shared program or library needs in turn; None for anything else. `status` is the file's, if known.

    A library that the jail's own loader may have to load brings its own, as a program does. What cannot be found
    for it is left out aloud: the program that loads it may know places that we do not.
    """
    try:
        content, _ = load(share.source, share.source, status)
    except OSError:
        return None  # a socket, say; or not for us to read, and then not to execute either
    if not content:
        return None
    is_library = isinstance(content, Elf) and not content.interpreter
    try:
        return closure(share.source, shared=True, loader=loader)
    except ConfigError as error:
        if not is_library or share.required or spec.required:
            raise
        missing[f"what {share.source} needs"] = str(error)
        return closure(share.source, shared=True)


def _stage_closure(rootfs: Rootfs, program: Closure) -> None:
    for path, target in program.links.items():
        rootfs.stage_link(path, target)
    for path in program.files:
        if path not in program.links:
            rootfs.stage(path)
    for path in program.dirs:
        rootfs.stage_directory(path)
