# SPDX-License-Identifier: MIT
"""What programs opened, executed and connected to → the ujail options that show them that and no more.

A proposal for people: it knows what was tried, not whether it succeeded; what is not there now is said apart.
"""

import os
import pwd
import socket
import stat
from contextlib import suppress
from grp import getgrgid
from struct import unpack_from

from jail.errors import ConfigError
from jail.kernelfs import DEVICE_LINKS, DEVICES
from jail.trace import Watch
from jail.words import for_shell, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from jail.trace import Touch, Trace
    from jail.tree import Closure

    Line: TypeAlias = "tuple[str, str, str]"  # option, path, why

# open's flags are only there with a 32-bit or 64-bit argument; those of openat2 lie in memory and count as reading
WATCHES = (
    Watch("path", "open", 0, mode=1),
    Watch("path", "openat", 1, folder=0, mode=2),
    Watch("path", "openat2", 1, folder=0),
    Watch("path", "creat", 0),
    Watch("path", "execve", 0),
    Watch("path", "execveat", 1, folder=0),
    Watch("path", "chdir", 0),
    Watch("path", "mkdir", 0),
    Watch("path", "mkdirat", 1, folder=0),
    Watch("path", "unlink", 0),
    Watch("path", "unlinkat", 1, folder=0),
    Watch("path", "rename", 1),
    Watch("path", "renameat", 3, folder=2),
    Watch("path", "renameat2", 3, folder=2),
    Watch("address", "connect", 1),
    Watch("address", "bind", 1),
)
CHANGES_FOLDER = {"mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2"}
EXECUTES = {"execve", "execveat"}
# What every jail has, and what has an option of its own
IN_EVERY_JAIL = {f"/dev/{name}" for name, *_ in (*DEVICES, *DEVICE_LINKS)}
FOLDERS_OF_JAIL = ("/dev/shm", "/dev/pts", "/dev/fd")
OWN_OPTION = {"/proc": "-p", "/sys": "-s"}
SOCKETS = {"/dev/log": "-l", "/var/run/ubus/ubus.sock": "-u", "/run/ubus/ubus.sock": "-u"}
PRIVILEGED_PORTS = 1024
IN_JAIL = (
    "paths are as the jail had them, and were looked up on the host: of what the jail showed at another place"
    " (PATH:TARGET) or had of its own (a tmpfs, an overlay, -R) they tell what the host has there, if anything"
)
# Calls that need a capability of root's, unless they change nothing
CAPABILITIES = {
    "cap_chown": ("chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32"),
    "cap_setuid": ("setuid", "setuid32", "setreuid", "setreuid32", "setresuid", "setresuid32"),
    "cap_setgid": (
        *("setgid", "setgid32", "setregid", "setregid32", "setresgid", "setresgid32"),
        *("setgroups", "setgroups32"),
    ),
    "cap_sys_chroot": ("chroot",),
    "cap_sys_admin": (
        "mount",
        "umount",
        "umount2",
        "sethostname",
        "setdomainname",
        "setns",
        "unshare",
        "swapon",
    ),
    "cap_sys_time": (
        "settimeofday",
        "clock_settime",
        "clock_settime64",
        "stime",
        "adjtimex",
        "clock_adjtime",
    ),
    "cap_sys_nice": ("sched_setscheduler", "setpriority", "sched_setattr"),
    "cap_sys_module": ("init_module", "finit_module", "delete_module"),
    "cap_sys_ptrace": ("ptrace", "process_vm_readv", "process_vm_writev"),
    "cap_sys_boot": ("reboot",),
    "cap_mknod": ("mknod", "mknodat"),
    "cap_ipc_lock": ("mlock", "mlockall"),
}


class Need:
    """One path and what it is needed for."""

    __slots__ = ("created", "executed", "writable")

    def __init__(self) -> None:
        self.writable = False
        self.created = False
        self.executed = False


def propose(trace: "Trace", program: "Closure | None", in_jail: bool = False) -> list[str]:
    """Lines of `options  # why`, then of what was looked for and is not there.

    By now a jail has ended, and only the host can be asked what there is at a path: that is said.
    """
    own = _staged(trace, program)
    paths, sockets, ports = _sort(trace.touches)
    lines: list[Line] = []
    absent: list[str] = []
    options: dict[str, None] = {}
    for path, need in sorted(paths.items()):
        if path in own or path in IN_EVERY_JAIL or _below(path, FOLDERS_OF_JAIL):
            continue
        option = next((o for folder, o in OWN_OPTION.items() if _below(path, (folder,))), "")
        if option:
            options[option] = None
            continue
        line = _describe(path, need)
        if line is None:
            absent.append(path)
        else:
            lines.append(line)
    for path in sorted(sockets):
        if path in SOCKETS:
            options[SOCKETS[path]] = None
        elif os.path.exists(path):
            lines.append(("-w", path, f"{_ownership(os.stat(path))}, a socket"))
        else:
            absent.append(path)
    shown = [f"{option} {for_shell(kept(path))}  # {why}" for option, path, why in _without_covered(lines)]
    capabilities = _capabilities(trace, ports)
    if capabilities:
        shown.append(f"-C {','.join(capabilities)}  # if it starts as root; by the calls' names")
    result = [IN_JAIL] if in_jail else []
    result += ["proposed options of ujail:", *(f"  {line}" for line in [*options, *shown])]
    if absent:
        result += ["looked for, not there now:", *(f"  {for_shell(path)}" for path in absent)]
    return result


def _staged(trace: "Trace", program: "Closure | None") -> set[str]:
    """What ujail shows by itself: each program's libraries."""
    from jail.elf import closure

    files = set(program.files) if program else set()
    for each in trace.programs[1:]:
        with suppress(ConfigError):  # gone since, or not a file at all
            files |= set(closure(each.name).files) - {each.name}
    return files | {os.path.realpath(path) for path in files}


def _sort(touches: "list[Touch]") -> tuple[dict[str, Need], set[str], set[int]]:
    """Paths by name, sockets connected to by path, ports bound."""
    paths: dict[str, Need] = {}
    sockets: set[str] = set()
    ports: set[int] = set()
    for touch in touches:
        if touch.early:
            continue  # the loader's, which ujail finds by itself
        if touch.call in ("connect", "bind"):
            _add_address(touch, paths, sockets, ports)
            continue
        path = os.path.normpath(os.fsdecode(touch.text))
        if not path.startswith("/"):
            continue  # relative to what is not a folder
        if touch.call in CHANGES_FOLDER:
            path = os.path.dirname(path)
        need = paths.setdefault(path, Need())
        if touch.call in CHANGES_FOLDER or touch.call == "creat":
            need.writable = True
        need.created |= touch.call == "creat" or (_is_open(touch) and bool(touch.mode & os.O_CREAT))
        need.writable |= _is_open(touch) and touch.mode & os.O_ACCMODE != os.O_RDONLY
        need.executed |= touch.call in EXECUTES
    return paths, sockets, ports


def _is_open(touch: "Touch") -> bool:
    return touch.call in ("open", "openat")


def _add_address(touch: "Touch", paths: dict[str, Need], sockets: set[str], ports: set[int]) -> None:
    if len(touch.text) < 3:
        return
    family = unpack_from("=H", touch.text)[0]
    if family in (socket.AF_INET, socket.AF_INET6) and touch.call == "bind" and len(touch.text) >= 4:
        ports.add(unpack_from("!H", touch.text, 2)[0])
    if family == socket.AF_UNIX and touch.text[2]:  # else an abstract one, which is no file
        path = os.fsdecode(touch.text[2:].partition(b"\0")[0])
        if touch.call == "connect":
            sockets.add(os.path.normpath(path))
        else:
            paths.setdefault(os.path.dirname(os.path.normpath(path)), Need()).writable = True


def _describe(path: str, need: Need) -> "Line | None":
    """The option for one path, None if there is nothing that could be shown."""
    try:
        info = os.stat(path)
    except OSError:
        folder, name = os.path.split(path)
        if need.created and os.path.isdir(folder):
            return "-w", folder, f"{_ownership(os.stat(folder))}, {for_shell(name)} was made in it"
        return None
    if need.executed:
        return "-r", path, f"{_ownership(info)}, executed"
    if not need.writable:
        return "-r", path, f"{_ownership(info)}, read"
    note = ", made if missing: it must be there when the jail starts" if need.created else ""
    return "-w", path, f"{_ownership(info)}, written{note}"


def _ownership(info: os.stat_result) -> str:
    try:
        user = pwd.getpwuid(info.st_uid).pw_name
    except KeyError:
        user = str(info.st_uid)
    try:
        group = getgrgid(info.st_gid).gr_name
    except KeyError:
        group = str(info.st_gid)
    return f"{user}:{group} {stat.S_IMODE(info.st_mode):04o}"


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _without_covered(lines: "list[Line]") -> "list[Line]":
    """Without the files whose folder is shown writable as a whole; each line once."""
    folders = tuple(path for option, path, _ in lines if option == "-w" and os.path.isdir(path))
    kept_lines: dict[tuple[str, str], Line] = {}
    for option, path, why in lines:
        if not _below(os.path.dirname(path), folders):
            kept_lines.setdefault((option, path), (option, path, why))
    return list(kept_lines.values())


def _capabilities(trace: "Trace", ports: set[int]) -> list[str]:
    called = {call for program in trace.programs for counts in program.calls.values() for call in counts}
    found = [name for name, calls in CAPABILITIES.items() if called & set(calls)]
    if any(0 < port < PRIVILEGED_PORTS for port in ports):
        found.append("cap_net_bind_service")
    return sorted(found)
