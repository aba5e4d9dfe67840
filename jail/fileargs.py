# SPDX-License-Identifier: MIT
"""What the words of --tmpfs mean, for `ujail` and for init scripts alike. Reads no file.

Imported only where one of them was given.
"""

from jail.errors import UsageError
from jail.words import cut, plain

TMPFS_SIZE = "4m"
TMPFS_INODES = 4096
MODE_DIGITS = 4
OWN = ("/dev", "/proc", "/sys")  # a jail has them from elsewhere, or not at all


class Tmpfs:
    """A file system in memory at `path`: `options` for mount, `executable` if programs in it may run."""

    __slots__ = ("executable", "options", "path")

    def __init__(self, path: str, options: str, executable: bool) -> None:
        self.path = path
        self.options = options
        self.executable = executable


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


def place(what: str, path: str) -> str:
    """A path in the jail, without a slash at its end. Raises UsageError for what cannot be one."""
    if not path.startswith("/"):
        raise UsageError(f"{what}: {path or repr(path)} is not an absolute path")
    if ".." in path.split("/"):
        raise UsageError(f'{what}: {path}: ".." in a target')
    path = "/" + "/".join(part for part in path.split("/") if part and part != ".")
    if path == "/":
        raise UsageError(f"{what}: the root itself cannot be a target")
    return path


def _size(text: str) -> str:
    number = text[:-1] if text[-1:] in tuple("kKmMgG%") else text
    if not (number.isascii() and number.isdigit() and len(text) <= 12 and int(number)):
        raise UsageError(f"tmpfs: {text[:40]!r} is no size such as 8m")
    return text
