# SPDX-License-Identifier: MIT
"""The steps that few jails have: groups, namespaces of others, ids, layers, networks, priorities, a trace.

As steps.py, which a start without any of them imports alone: this file is imported where one is planned.
"""

from _struct import pack

from jail._native import lib
from jail.steps import Step, as_bytes, remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.limits import Limit


def cgroup(path: str, limits: str) -> Step:
    text = f"join cgroup {path} ({limits})"
    return Step(lib.STEP_CGROUP, text, texts=(as_bytes(f"{path}/cgroup.procs"),))


def setns(pid: int, started: int, files: list[str]) -> Step:
    """`started` tells the process from a later one with the same pid."""
    text = f"join {', '.join(files)} of process {pid}"
    names = "\0".join(f"ns/{file}" for file in files)
    return Step(lib.STEP_SETNS, text, started, len(files), texts=(as_bytes(str(pid)), as_bytes(names)))


def user(uids: "list[tuple[int, int, int]]", gids: "list[tuple[int, int, int]]", deny: bool) -> Step:
    """`deny` setgroups(2) inside: without it an ordinary user may not map a group."""
    shown = ", ".join(f"{outside}-{outside + count - 1}" for _, outside, count in uids)
    maps = tuple(
        "".join(f"{inside} {outside} {count}\n" for inside, outside, count in lines).encode()
        for lines in (uids, gids)
    )
    return Step(lib.STEP_USER, f"go into a user namespace with the host's uids {shown}", deny, texts=maps)


def write_proc(path: str, text: str, what: str) -> Step:
    """Write to a file of the host's /proc."""
    return Step(lib.STEP_WRITE_PROC, what, texts=(as_bytes(path), as_bytes(text)))


def own(path: str, uid: int, gid: int, dev: int, ino: int) -> Step:
    return Step(lib.STEP_OWN, f"give {path} to {uid}:{gid}", uid, gid, dev, ino, texts=(as_bytes(path),))


def lower(path: str, dev: int, ino: int) -> Step:
    """`dev` and `ino` are what the plan saw, as with bind()."""
    return Step(lib.STEP_LOWER, f"take {path} as the layer below", 0, dev, ino, texts=(as_bytes(path),))


def upper(path: str, dev: int, ino: int) -> Step:
    text = f"take {path}/upper as the writable layer"
    return Step(lib.STEP_UPPER, text, 0, dev, ino, texts=(as_bytes(path),))


def upper_memory(size: str) -> Step:
    text = f"mount a tmpfs of {size} for the writable layer"
    return Step(lib.STEP_UPPER_MEMORY, text, texts=(f"mode=0755,size={size}".encode(),))


def overlay() -> Step:
    return Step(lib.STEP_OVERLAY, "put the layers together as the new root")


def network(description: str) -> Step:
    return Step(lib.STEP_NETWORK, f"enter {description}")


@remembered
def cgroup_namespace() -> Step:
    return Step(lib.STEP_CGROUP_NAMESPACE, "make this cgroup the root of a cgroup namespace")


def console(ptmx: str, uid: int) -> list[Step]:
    """A terminal of the jail's own, and its place in the jail. It is the first one, which has the number 0."""
    folder = ptmx.rpartition("/")[0]
    texts = (as_bytes(f"{folder}/0".lstrip("/")), as_bytes("dev/console"))
    return [
        Step(
            lib.STEP_CONSOLE,
            "open a terminal, and hand over its master",
            uid,
            texts=(as_bytes(ptmx.lstrip("/")),),
        ),
        Step(lib.STEP_REBIND, "show it as /dev/console", lib.BIND_DEVICES | lib.BIND_NO_EXEC, texts=texts),
    ]


@remembered
def console_stdio(is_controlling: bool) -> Step:
    text = "put the console on 0, 1 and 2" + (", as the session's terminal" if is_controlling else "")
    return Step(lib.STEP_CONSOLE_STDIO, text, is_controlling)


def ioprio(number: int, level: int, text: str) -> Step:
    return Step(lib.STEP_IOPRIO, f"set I/O priority {text}", number, level)


def nice(value: int) -> Step:
    return Step(lib.STEP_NICE, f"set nice value {value}", value & (1 << 64) - 1)


def rlimit(limit: "Limit") -> Step:
    keep_hard = limit.hard is None
    text = f"set limit {limit.name} to {limit.soft}" + ("" if keep_hard else f", at most {limit.hard}")
    return Step(lib.STEP_RLIMIT, text, limit.number, limit.soft, limit.hard or 0, keep_hard)


def ports(binds: list[int], connects: list[int]) -> Step:
    """All other TCP ports are closed then."""
    rules = [(lib.PORT_BIND, port) for port in binds] + [(lib.PORT_CONNECT, port) for port in connects]
    packed = b"".join(pack("=QQ", *rule) for rule in rules)
    text = f"close TCP ports but {len(binds)} to bind and {len(connects)} to connect to"
    return Step(lib.STEP_PORTS, text, texts=(packed,))


def tracing(code: bytes) -> Step:
    text = "install the filter that stops every call for the tracer"
    return Step(lib.STEP_FILTER, text, 0, texts=(code,))
