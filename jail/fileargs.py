# SPDX-License-Identifier: MIT
"""What the words of -r, -w, --bind, --dev, --tmpfs and --mask mean, for `ujail` and init scripts. Reads no file.

Imported only where a word has more in it than a path and a target.
"""

from jail.errors import UsageError
from jail.patterns import is_pattern
from jail.presets import LIVE, PRESETS, SOCKET_PRESETS
from jail.spec import SOCKETS, JailSpec, Share, check_length, is_size
from jail.words import cut, plain

TMPFS_SIZE = "4m"
TMPFS_INODES = 4096
MODE_DIGITS = 4
SIZE_LENGTH = 12
OWN = ("/dev", "/proc", "/sys")  # a jail has them from elsewhere, or not at all
FLAGS = ("ro", "rw", "exec", "noexec", "dev", "nodev", "slave", "private", "live", "optional")


class Tmpfs:
    """A file system in memory at `path`: `options` for mount, `executable` if programs in it may run."""

    __slots__ = ("executable", "options", "path")

    def __init__(self, path: str, options: str, executable: bool) -> None:
        self.path = path
        self.options = options
        self.executable = executable


def read_share(word: str, writable: bool, ubus_socket: str = "") -> list[Share]:
    """Read `PATH[:TARGET]`, a pattern, or `@PRESET`. Raises UsageError."""
    if word.startswith("@"):
        if writable and word[1:] not in SOCKET_PRESETS:
            raise UsageError(f"{word}: is read-only")
        return _preset(word[1:], ubus_socket)
    path, *rest = cut(word, ":", 1)
    if not is_pattern(path):
        return [Share(plain(path), plain(rest[0]) if rest else "", writable=writable)]
    if rest:
        raise UsageError(f"{word}: a pattern cannot have a target")
    share = Share(path, writable=writable)
    share.is_pattern = True
    return [share]


def _preset(name: str, ubus_socket: str) -> list[Share]:
    if name in SOCKET_PRESETS:
        path, required = SOCKETS[name]
        return [Share((name == "ubus" and ubus_socket) or path, path, writable=True, required=required)]
    if name not in PRESETS:
        from jail.near import did_you_mean

        known = [f"@{each}" for each in (*PRESETS, *SOCKET_PRESETS)]
        raise UsageError(f"@{name[:40]}: no such preset{did_you_mean('@' + name, known)}")
    out = [Share(path) for path in PRESETS[name]]
    for share in out:
        share.is_quiet = True
        share.is_live = share.source in LIVE
    return out


def read_bind(word: str) -> Share:
    """Read `SOURCE[:TARGET[:FLAG[,FLAG]…]]`. Raises UsageError."""
    parts = cut(word, ":", 2)
    source, target, flags = [*parts, "", ""][:3]
    given = flags.split(",") if flags else []
    for flag in given:
        if flag not in FLAGS:
            from jail.near import did_you_mean

            raise UsageError(f"bind: {plain(source)}: unknown flag {flag[:40]!r}{did_you_mean(flag, FLAGS)}")
    for one, other in (
        ("ro", "rw"),
        ("exec", "noexec"),
        ("dev", "nodev"),
        ("slave", "private"),
        ("slave", "live"),
    ):
        if one in given and other in given:
            raise UsageError(f"bind: {plain(source)}: {one} and {other} do not go together")
    share = Share(plain(source), plain(target), writable="rw" in given, required="optional" not in given)
    share.is_noexec = "noexec" in given
    share.has_devices = True if "dev" in given else False if "nodev" in given else None
    share.is_slave = "slave" in given
    share.is_live = share.is_asked_live = "live" in given
    return share


def read_device(word: str) -> Share:
    """Read `NODE`, a path or a name below /dev. Raises UsageError."""
    path = place("dev", word if word.startswith("/") else f"/dev/{word}")
    share = Share(path, writable=True, required=True)
    share.is_device = share.has_devices = True
    return share


def all_shares(spec: JailSpec) -> list[Share]:
    """What is to be shown of the host, in whatever way it was asked for."""
    return [*spec.shares, *map(read_bind, spec.binds), *map(read_device, spec.devices)]


def read_tmpfs(word: str) -> Tmpfs:
    """Read `PATH[:SIZE,mode=MODE,inodes=N,exec]`. Raises UsageError."""
    path, *rest = cut(word, ":", 1)
    path = place("tmpfs", plain(path))
    if path in OWN:
        raise UsageError(f"tmpfs: {path} is the kernel's in a jail")
    size, mode, inodes, executable = TMPFS_SIZE, 0o1777, TMPFS_INODES, False
    for option in rest[0].split(",") if rest else ():
        name, equals, value = option.partition("=")
        if name == "size" or (not equals and name[:1].isdigit()):
            size = _size(value or name)
        elif name == "mode" and value and len(value) <= MODE_DIGITS and not value.strip("01234567"):
            mode = int(value, 8)
        elif name == "inodes" and value.isascii() and value.isdigit() and int(value[:10]) > 0:
            inodes = int(value[:10])
        elif option == "exec":
            executable = True
        else:
            raise UsageError(f"tmpfs: {path}: {option[:40]!r} is not SIZE, mode=MODE, inodes=N or exec")
    return Tmpfs(path, f"mode={mode:04o},size={size},nr_inodes={inodes}", executable)


def read_mask(word: str) -> str:
    """A path in the jail. Raises UsageError."""
    path = place("mask", plain(word))
    if path in OWN:
        raise UsageError(f"mask: {path} is the kernel's in a jail, and a service needs it or has none")
    return path


def place(what: str, path: str) -> str:
    """A path in the jail, without a slash at its end. Raises UsageError for what cannot be one."""
    if not path.startswith("/"):
        raise UsageError(f"{what}: {path or repr(path)} is not an absolute path")
    if ".." in path.split("/"):
        raise UsageError(f'{what}: {path}: ".." in a target')
    path = "/" + "/".join(part for part in path.split("/") if part and part != ".")
    if path == "/":
        raise UsageError(f"{what}: the root itself cannot be a target")
    check_length(path)
    return path


def _size(text: str) -> str:
    if len(text) > SIZE_LENGTH or not is_size(text):
        raise UsageError(f"tmpfs: {text[:40]!r} is no size such as 8m")
    return text


def check_files(spec: JailSpec) -> None:
    """Words for files. Raises UsageError."""
    if not spec.isolate:
        raise UsageError("what is mounted needs a jail with namespaces")
    for share in all_shares(spec):
        share.validate()
    for word in spec.masks:
        read_mask(word)
    for word in spec.tmpfs:
        read_tmpfs(word)
