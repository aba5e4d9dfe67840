# SPDX-License-Identifier: MIT
"""The steps of a plan: what the launcher can be asked to do, and nothing else.

Each function makes one Step, which says in a line what it does and packs itself for the C side
(jail/native/native.h describes the wire form). Must not read the host or have effects.
"""

from struct import Struct, pack

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    from jail.limits import Limit

    Asked = ParamSpec("Asked")

KEPT = 128  # steps of one kind that are remembered
_BIND_WORDS = (
    (lib.BIND_READ_ONLY, "read-only"),
    (lib.BIND_NO_EXEC, "noexec"),
    (lib.BIND_SLAVE, "with later mounts"),
)
# struct wire_step by how many integers it has; the others are zero
_HEADS = [Struct(f"=IIII{count}Q{8 * (4 - count)}x") for count in range(5)]


class Step:
    """One operation: its number, up to four integers, up to two byte strings, and its line of explanation.

    Never changed once it is made: plans share those that are remembered.
    """

    __slots__ = ("_packed", "numbers", "op", "text", "texts")

    def __init__(self, op: int, text: str, *numbers: int, texts: tuple[bytes, ...] = ()) -> None:
        self.op = op
        self.text = text
        self.numbers = numbers
        self.texts = texts
        self._packed = b""

    def describe(self) -> str:
        return self.text

    def head(self) -> bytes:
        """struct wire_step, which goes before the texts."""
        numbers = self.numbers
        lengths = [len(text) for text in self.texts] + [0, 0]
        return _HEADS[len(numbers)].pack(self.op, lengths[0], lengths[1], 0, *numbers)

    def pack(self) -> bytes:
        if not self._packed:
            s0, s1 = self.texts if len(self.texts) == 2 else (*self.texts, b"", b"")[:2]
            self._packed = b"%b%b\0%b\0" % (self.head(), s0, s1)
        return self._packed


def remembered(make: "Callable[Asked, Step]") -> "Callable[Asked, Step]":
    """What most jails have alike is made and packed once. A step is nothing but its arguments."""
    kept: dict[tuple[object, ...], Step] = {}

    def made(*args: "Asked.args", **named: "Asked.kwargs") -> Step:
        assert not named
        step = kept.get(args)
        if step is None:
            if len(kept) >= KEPT:
                kept.clear()
            step = kept[args] = make(*args, **named)
        return step

    return made


def _bytes(text: str) -> bytes:
    # as os.fsencode without its codec look-ups; file names that are not UTF-8 come and go as surrogates
    return text.encode("utf-8", "surrogateescape")


def _relative(path: str) -> bytes:
    return _bytes(path.lstrip("/"))


# --- file system ---


def cgroup(path: str, limits: str) -> Step:
    text = f"join cgroup {path} ({limits})"
    return Step(lib.STEP_CGROUP, text, texts=(_bytes(f"{path}/cgroup.procs"),))


def setns(pid: int, started: int, files: list[str]) -> Step:
    """`started` tells the process from a later one with the same pid."""
    text = f"join {', '.join(files)} of process {pid}"
    names = "\0".join(f"ns/{file}" for file in files)
    return Step(lib.STEP_SETNS, text, started, len(files), texts=(_bytes(str(pid)), _bytes(names)))


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
    return Step(lib.STEP_WRITE_PROC, what, texts=(_bytes(path), _bytes(text)))


def own(path: str, uid: int, gid: int, dev: int, ino: int) -> Step:
    return Step(lib.STEP_OWN, f"give {path} to {uid}:{gid}", uid, gid, dev, ino, texts=(_bytes(path),))


@remembered
def private(is_slave: bool = False) -> Step:
    """`is_slave`: what the host mounts later still comes here, until each bind says that it does not."""
    if is_slave:
        return Step(lib.STEP_PRIVATE, "let mounts come from the host and none go there", 1)
    return Step(lib.STEP_PRIVATE, "make mount propagation private")


@remembered
def open_sources() -> Step:
    return Step(lib.STEP_OPEN, "open every source and the stub")


@remembered
def root(size: str) -> Step:
    options = f"mode=0755,size={size},nr_inodes=4096"
    return Step(lib.STEP_ROOT, f"mount a tmpfs of {size} as the new root", texts=(options.encode(),))


def lower(path: str, dev: int, ino: int) -> Step:
    """`dev` and `ino` are what the plan saw, as with bind()."""
    return Step(lib.STEP_LOWER, f"take {path} as the layer below", 0, dev, ino, texts=(_bytes(path),))


def upper(path: str, dev: int, ino: int) -> Step:
    text = f"take {path}/upper as the writable layer"
    return Step(lib.STEP_UPPER, text, 0, dev, ino, texts=(_bytes(path),))


def upper_memory(size: str) -> Step:
    text = f"mount a tmpfs of {size} for the writable layer"
    return Step(lib.STEP_UPPER_MEMORY, text, texts=(f"mode=0755,size={size}".encode(),))


def overlay() -> Step:
    return Step(lib.STEP_OVERLAY, "put the layers together as the new root")


@remembered
def directory(path: str, mode: int = 0o755) -> Step:
    return Step(lib.STEP_DIR, f"make directory {path}", mode, texts=(_relative(path),))


def file(path: str, mode: int = 0o444, content: str = "") -> Step:
    text = f"write file {path}" if content else f"make empty file {path}"
    return Step(lib.STEP_FILE, text, mode, texts=(_relative(path), _bytes(content)))


@remembered
def symlink(path: str, target: str) -> Step:
    return Step(lib.STEP_SYMLINK, f"make link {path} -> {target}", texts=(_relative(path), _bytes(target)))


@remembered
def node(path: str, mode: int, major: int, minor: int) -> Step:
    return Step(lib.STEP_NODE, f"make device {path}", mode, major, minor, texts=(_relative(path),))


@remembered
def mount(path: str, fstype: str, flags: int, options: str = "", is_hosts: bool = False) -> Step:
    """`is_hosts`: the place is in a directory of the host, where a link may be swapped in."""
    texts = (_relative(path), f"{fstype}\0{options}".encode())
    read_only = " read-only" if flags & lib.MS_RDONLY else ""
    return Step(lib.STEP_MOUNT, f"mount {fstype} on {path}{read_only}", flags, is_hosts, texts=texts)


def bind(source: str, target: str, flags: int, dev: int, ino: int) -> Step:
    """`flags` are BIND_*; `dev` and `ino` are what the plan saw: another file there stops the start."""
    words = [f"bind {source}"]
    if target != source:
        words.append(f"on {target}")
    words += [word for flag, word in _BIND_WORDS if flags & flag]
    return Step(lib.STEP_BIND, " ".join(words), flags, dev, ino, texts=(_bytes(source), _relative(target)))


def rebind(path: str, target: str) -> Step:
    """Show a path of the new root at another place of it, read-only."""
    text = f"make {target} read-only" if path == target else f"mask {target}"
    return Step(lib.STEP_REBIND, text, lib.BIND_READ_ONLY, texts=(_relative(path), _relative(target)))


def unlink(path: str) -> Step:
    return Step(lib.STEP_UNLINK, f"remove {path}", texts=(_relative(path),))


def hostname(name: str) -> Step:
    return Step(lib.STEP_HOSTNAME, f"set hostname {name}", texts=(_bytes(name),))


def network(description: str) -> Step:
    return Step(lib.STEP_NETWORK, f"enter {description}")


@remembered
def loopback() -> Step:
    return Step(lib.STEP_LOOPBACK, "bring the loopback device up")


@remembered
def pivot() -> Step:
    return Step(lib.STEP_PIVOT, "pivot into the new root, detach the old one")


@remembered
def read_only(path: str) -> Step:
    return Step(lib.STEP_READ_ONLY, f"make {path} read-only", texts=(_bytes(path),))


# --- identity ---


@remembered
def bounding(mask: int, first: int, last: int) -> Step:
    """Of the capabilities `first` to `last`, keep those in `mask`."""
    return Step(lib.STEP_BOUNDING, f"limit the bounding set to {mask:#x}", mask, first, last)


@remembered
def cgroup_namespace() -> Step:
    return Step(lib.STEP_CGROUP_NAMESPACE, "make this cgroup the root of a cgroup namespace")


def file_rules(places: list[str]) -> Step:
    text = f"make Landlock rules: write to {', '.join(places) or 'nothing'}, read everything"
    return Step(lib.STEP_FILE_RULES, text, len(places), texts=(_bytes("\0".join(places)),))


@remembered
def file_rules_hold() -> Step:
    return Step(lib.STEP_FILE_RULES_HOLD, "put the Landlock rules on")


@remembered
def keyring() -> Step:
    return Step(lib.STEP_KEYRING, "make a session keyring")


def ioprio(number: int, level: int, text: str) -> Step:
    return Step(lib.STEP_IOPRIO, f"set I/O priority {text}", number, level)


@remembered
def session() -> Step:
    return Step(lib.STEP_SESSION, "start a session")


@remembered
def umask(mask: int) -> Step:
    return Step(lib.STEP_UMASK, f"set umask {mask:04o}", mask)


@remembered
def close_descriptors() -> Step:
    return Step(lib.STEP_CLOSE, "let every descriptor but 0, 1 and 2 close at exec")


@remembered
def stdio_null() -> Step:
    return Step(lib.STEP_STDIO_NULL, "put /dev/null on 0, 1 and 2")


@remembered
def stdio() -> Step:
    return Step(lib.STEP_STDIO, "take the descriptors that are given for 0, 1 and 2")


def nice(value: int) -> Step:
    return Step(lib.STEP_NICE, f"set nice value {value}", value & (1 << 64) - 1)


def rlimit(limit: "Limit") -> Step:
    keep_hard = limit.hard is None
    text = f"set limit {limit.name} to {limit.soft}" + ("" if keep_hard else f", at most {limit.hard}")
    return Step(lib.STEP_RLIMIT, text, limit.number, limit.soft, limit.hard or 0, keep_hard)


@remembered
def chdir(path: str) -> Step:
    return Step(lib.STEP_CHDIR, f"change directory to {path}", texts=(_bytes(path),))


@remembered
def securebits(bits: int) -> Step:
    return Step(lib.STEP_SECUREBITS, f"set securebits {bits:#x}", bits)


@remembered
def groups(gids: tuple[int, ...]) -> Step:
    text = "set supplementary groups " + (",".join(map(str, gids)) or "none")
    return Step(lib.STEP_GROUPS, text, texts=(pack(f"={len(gids)}I", *gids),))


@remembered
def gid(number: int) -> Step:
    return Step(lib.STEP_GID, f"set gid {number}", number)


@remembered
def uid(number: int) -> Step:
    return Step(lib.STEP_UID, f"set uid {number}", number)


@remembered
def capabilities(effective: int, permitted: int, inheritable: int) -> Step:
    text = f"set capabilities effective {effective:#x} permitted {permitted:#x} inheritable {inheritable:#x}"
    return Step(lib.STEP_CAPABILITIES, text, effective, permitted, inheritable)


@remembered
def ambient(mask: int) -> Step:
    return Step(lib.STEP_AMBIENT, f"raise ambient capabilities {mask:#x}", mask)


@remembered
def die_with_parent() -> Step:
    return Step(lib.STEP_DIE_WITH_PARENT, "die with the parent, check that it lives")


@remembered
def no_new_privs() -> Step:
    return Step(lib.STEP_NO_NEW_PRIVS, "set no_new_privs")


def ports(binds: list[int], connects: list[int]) -> Step:
    """All other TCP ports are closed then."""
    rules = [(lib.PORT_BIND, port) for port in binds] + [(lib.PORT_CONNECT, port) for port in connects]
    packed = b"".join(pack("=QQ", *rule) for rule in rules)
    text = f"close TCP ports but {len(binds)} to bind and {len(connects)} to connect to"
    return Step(lib.STEP_PORTS, text, texts=(packed,))


def filter_(code: bytes, flags: int, name: str) -> Step:
    text = f"install {name} ({len(code) // 8} instructions)"
    return Step(lib.STEP_FILTER, text, flags, texts=(code,))


def tracing(code: bytes) -> Step:
    text = "install the filter that stops every call for the tracer"
    return Step(lib.STEP_FILTER, text, 0, texts=(code,))


# --- processes ---


@remembered
def fork() -> Step:
    return Step(lib.STEP_FORK, "start the service's process, which waits")


@remembered
def signals() -> Step:
    return Step(lib.STEP_SIGNALS, "reset signals")


def execute(path: str, argv: list[str], env: list[str]) -> Step:
    texts = (_bytes("\0".join([path, *argv])), _bytes("\0".join(env)))
    return Step(lib.STEP_EXEC, f"execute {path}", len(argv), len(env), texts=texts)


def execute_stub(path: str, argv: list[str]) -> Step:
    """The service's pid becomes the stub's last argument."""
    return Step(
        lib.STEP_EXEC_STUB, f"execute {path}", len(argv), texts=(_bytes("\0".join(argv)), _bytes(path))
    )
