# SPDX-License-Identifier: MIT
"""The steps of a plan: what the launcher can be asked to do, and nothing else.

Each function makes one Step, which says in a line what it does and packs itself for the C side
(jail/native/plan.h describes the wire form). Must not read the host or have effects.
"""

from _struct import Struct, pack  # the C half of `struct`

from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

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
        first, second = (*self.texts, b"", b"")[:2]
        return _HEADS[len(numbers)].pack(self.op, len(first), len(second), 0, *numbers)

    def pack(self) -> bytes:
        if not self._packed:
            self._packed = b"%b%b\0%b\0" % (self.head(), *self.texts, b"", b"")[:3]
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


def as_bytes(text: str) -> bytes:
    # as os.fsencode without its codec look-ups; file names that are not UTF-8 come and go as surrogates
    return text.encode("utf-8", "surrogateescape")


def _relative(path: str) -> bytes:
    return as_bytes(path.lstrip("/"))


# --- file system ---


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


@remembered
def directory(path: str, mode: int = 0o755) -> Step:
    return Step(lib.STEP_DIR, f"make directory {path}", mode, texts=(_relative(path),))


@remembered
def file(path: str, mode: int = 0o444, content: str = "") -> Step:
    text = f"write file {path}" if content else f"make empty file {path}"
    return Step(lib.STEP_FILE, text, mode, texts=(_relative(path), as_bytes(content)))


@remembered
def symlink(path: str, target: str) -> Step:
    return Step(lib.STEP_SYMLINK, f"make link {path} -> {target}", texts=(_relative(path), as_bytes(target)))


@remembered
def node(path: str, mode: int, major: int, minor: int) -> Step:
    return Step(lib.STEP_NODE, f"make device {path}", mode, major, minor, texts=(_relative(path),))


@remembered
def mount(path: str, fstype: str, flags: int, options: str = "", is_hosts: bool = False) -> Step:
    """`is_hosts`: the place is in a directory of the host, where a link may be swapped in."""
    texts = (_relative(path), f"{fstype}\0{options}".encode())
    read_only = " read-only" if flags & lib.MS_RDONLY else ""
    return Step(lib.STEP_MOUNT, f"mount {fstype} on {path}{read_only}", flags, is_hosts, texts=texts)


@remembered
def bind(source: str, target: str, flags: int, dev: int, ino: int) -> Step:
    """`flags` are BIND_*; `dev` and `ino` are what the plan saw: another file there stops the start."""
    words = [f"bind {source}"]
    if target != source:
        words.append(f"on {target}")
    words += [word for flag, word in _BIND_WORDS if flags & flag]
    return Step(lib.STEP_BIND, " ".join(words), flags, dev, ino, texts=(as_bytes(source), _relative(target)))


def rebind(path: str, target: str) -> Step:
    """Show a path of the new root at another place of it, read-only."""
    text = f"make {target} read-only" if path == target else f"mask {target}"
    return Step(lib.STEP_REBIND, text, lib.BIND_READ_ONLY, texts=(_relative(path), _relative(target)))


def unlink(path: str) -> Step:
    return Step(lib.STEP_UNLINK, f"remove {path}", texts=(_relative(path),))


def hostname(name: str) -> Step:
    return Step(lib.STEP_HOSTNAME, f"set hostname {name}", texts=(as_bytes(name),))


@remembered
def loopback() -> Step:
    return Step(lib.STEP_LOOPBACK, "bring the loopback device up")


@remembered
def pivot() -> Step:
    return Step(lib.STEP_PIVOT, "pivot into the new root, detach the old one")


@remembered
def read_only(path: str) -> Step:
    return Step(lib.STEP_READ_ONLY, f"make {path} read-only", texts=(as_bytes(path),))


# --- identity ---


@remembered
def bounding(mask: int, first: int, last: int) -> Step:
    """Of the capabilities `first` to `last`, keep those in `mask`."""
    return Step(lib.STEP_BOUNDING, f"limit the bounding set to {mask:#x}", mask, first, last)


def file_rules(places: list[str]) -> Step:
    text = f"make Landlock rules: write to {', '.join(places) or 'nothing'}, read everything"
    return Step(lib.STEP_FILE_RULES, text, len(places), texts=(as_bytes("\0".join(places)),))


@remembered
def file_rules_hold() -> Step:
    return Step(lib.STEP_FILE_RULES_HOLD, "put the Landlock rules on")


@remembered
def keyring() -> Step:
    return Step(lib.STEP_KEYRING, "make a session keyring")


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


@remembered
def chdir(path: str) -> Step:
    return Step(lib.STEP_CHDIR, f"change directory to {path}", texts=(as_bytes(path),))


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


def filter_(code: bytes, flags: int, name: str) -> Step:
    text = f"install {name} ({len(code) // 8} instructions)"
    return Step(lib.STEP_FILTER, text, flags, texts=(code,))


# --- processes ---


@remembered
def fork() -> Step:
    return Step(lib.STEP_FORK, "start the service's process, which waits")


@remembered
def signals() -> Step:
    return Step(lib.STEP_SIGNALS, "reset signals")


def execute(path: str, argv: list[str], env: list[str]) -> Step:
    texts = (as_bytes("\0".join([path, *argv])), as_bytes("\0".join(env)))
    return Step(lib.STEP_EXEC, f"execute {path}", len(argv), len(env), texts=texts)


def execute_stub(path: str, argv: list[str]) -> Step:
    """The service's pid becomes the stub's last argument."""
    return Step(
        lib.STEP_EXEC_STUB, f"execute {path}", len(argv), texts=(as_bytes("\0".join(argv)), as_bytes(path))
    )
