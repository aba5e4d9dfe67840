# SPDX-License-Identifier: MIT
"""What was asked for of the host's files → the steps that make the jail's root. Reads files; no effects."""

import os
from stat import S_ISREG

from jail import steps
from jail.elf import closure
from jail.errors import ConfigError
from jail.rootfs import Rootfs
from jail.spec import JailSpec, Share
from jail.tree import Closure

OPTIONAL_ETC = ("/etc/resolv.conf", "/etc/nsswitch.conf")


def root_steps(spec: JailSpec, program: Closure, missing: dict[str, str]) -> list[steps.Step]:
    """From private mounts to a read-only root.

    Shares that do not exist are left out, and put into `missing` with the reason.
    """
    rootfs = Rootfs()
    shares = _present(spec, missing)
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
    out = [steps.private(), steps.open_sources(), steps.root(spec.root_size), *rootfs.build()]
    if spec.hostname:
        out.append(steps.hostname(spec.hostname))
    out += [steps.pivot(), steps.read_only("/")]
    if rootfs.has_own_dev():
        out.append(steps.read_only("/dev"))
    return out


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
