# SPDX-License-Identifier: MIT
"""What was asked for of the host's files → the steps that make the jail's root. Reads files; no effects."""

import os
from stat import S_ISDIR

from jail import steps
from jail.elf import closure
from jail.elffile import load
from jail.errors import ConfigError
from jail.rootfs import Rootfs, follow
from jail.spec import JailSpec, Share
from jail.tree import Closure, Tree

RESOLV_CONF = "/etc/resolv.conf"
OPTIONAL_ETC = (RESOLV_CONF, "/etc/nsswitch.conf")


def root_steps(spec: JailSpec, program: Closure, missing: dict[str, str]) -> list[steps.Step]:
    """From private mounts to a read-only root.

    Shares that do not exist are left out, and put into `missing` with the reason.
    """
    rootfs = Rootfs(_layers(spec))
    shares = _present(spec, missing)
    if spec.extroot:
        _stage_in(rootfs, spec, shares)
    else:
        _stage_all(rootfs, spec, shares, program)
    if spec.tmpfs:
        from jail.fileargs import read_tmpfs

        for word in spec.tmpfs:
            asked = read_tmpfs(word)
            rootfs.add_tmpfs(asked.path, asked.options, executable=asked.executable)
    rootfs.add_dev()
    if spec.procfs:
        rootfs.add_proc()
    if spec.sysfs:
        rootfs.add_sys()
    out = [steps.private(), steps.open_sources(), steps.root(spec.root_size), *rootfs.build()]
    if spec.hostname:
        out.append(steps.hostname(spec.hostname))
    if spec.netns:
        out.append(steps.loopback())
    out.append(steps.pivot())
    if spec.ronly or not (spec.overlay_dir or spec.overlay_size):
        out.append(steps.read_only("/"))
    if rootfs.has_own_dev():
        out.append(steps.read_only("/dev"))
    return out


def _layers(spec: JailSpec) -> list[steps.Step]:
    """What is below our own directories, and above them; nothing for a root of our own alone."""
    out = []
    if spec.extroot:
        status = _directory(spec.extroot)
        if os.path.samestat(status, os.stat("/")):
            raise ConfigError(f"{spec.extroot}: the host's root cannot be shared whole")
        out.append(steps.lower(spec.extroot, status.st_dev, status.st_ino))
    if spec.overlay_dir:
        status = _directory(spec.overlay_dir)
        out.append(steps.upper(spec.overlay_dir, status.st_dev, status.st_ino))
    if spec.overlay_size:
        out.append(steps.upper_memory(spec.overlay_size))
    return [*out, steps.overlay()] if out else out


def _directory(path: str) -> os.stat_result:
    try:
        status = os.stat(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not S_ISDIR(status.st_mode):
        raise ConfigError(f"{path}: not a directory")
    return status


def _stage_in(rootfs: Rootfs, spec: JailSpec, shares: list[Share]) -> None:
    """Into another root, which has its own libraries and users. Its links say where a target is."""
    tree = Tree(spec.extroot)
    targets = {share.target: (share.source, share.writable) for share in reversed(shares)}
    if spec.staged_etc and os.path.exists(RESOLV_CONF):
        targets.setdefault(RESOLV_CONF, (RESOLV_CONF, False))
    for target, (source, writable) in targets.items():
        rootfs.stage_at(source, tree.real(target), writable=writable)


def _stage_all(rootfs: Rootfs, spec: JailSpec, shares: list[Share], program: Closure) -> None:
    """Into a root of our own: the program with all that it needs, and what was asked for with its."""
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


def _present(spec: JailSpec, missing: dict[str, str]) -> list[Share]:
    """The shares whose source exists. Init scripts list files that may be absent: those are skipped aloud."""
    out = []
    for share in spec.shares:
        try:
            os.stat(share.source)
        except OSError as error:
            if share.required or spec.required:
                raise ConfigError(f"{share.source}: {error.strerror}") from error
            missing[share.source] = error.strerror or ""
        else:
            out.append(share)
    _check_links(out)
    return out


def _check_links(shares: list[Share]) -> None:
    """Raise ConfigError for a source that a link in a directory which the jail may write leads elsewhere.

    The service itself could have put it there, to see at its next start what nobody has shared.
    """
    written = {os.path.realpath(share.source) for share in shares if share.writable}
    if not written:
        return
    ways = [(share, *_way(share.source, written)) for share in shares]
    named = {real for share, real, folder in ways if share.writable and not folder}
    for share, real, folder in ways:
        if folder and not any(f"{real}/".startswith(f"{each}/") for each in named):
            raise ConfigError(
                f"{share.source}: a link in {folder}, which the jail may write, leads to {real}"
            )


def _way(path: str, written: set[str]) -> tuple[str, str]:
    """The path without links, and one of `written` that the links on the way were in, "" if none was."""
    passed: list[str] = []

    def link_at(place: str) -> str | None:
        if not os.path.islink(place):
            return None
        passed.extend(folder for folder in written if place.startswith(f"{folder}/"))
        return os.readlink(place)

    real = follow(path, link_at)
    return real, passed[0] if passed else ""


def _needs(share: Share) -> Closure | None:
    """What a shared program or library needs in turn; None for anything else."""
    try:
        content, _ = load(share.source, share.source)
    except OSError:
        return None  # a socket, say; or not for us to read, and then not to execute either
    return closure(share.source, shared=True) if content else None


def _stage_closure(rootfs: Rootfs, program: Closure) -> None:
    for path, target in program.links.items():
        rootfs.stage_link(path, target)
    for path in program.files:
        if path not in program.links:
            rootfs.stage(path)
    for path in program.dirs:
        rootfs.stage_directory(path)
