# SPDX-License-Identifier: MIT
"""Finds our own modules in a third of the interpreter's steps. The launcher puts it before the usual finders.

What importlib asks about each module of a path (six names that it could have, whose loader it is, twice where its
compiled form lies) takes longer than to read it. Here a module is a file of its package's directory, and is taken if
its compiled form lies where Python has put it and is of this source, of its time and its size, or was made not to be
held against it; or if it has no source and the compiled form lies in its place, as on most targets. Whatever else it
is, the usual finders find it, and compile it.
"""

import _imp
import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

PACKAGES = ("jail.", "initd.")
HEAD_BYTES = 16
_BY_TIME, _UNCHECKED = (MAGIC_NUMBER + flags.to_bytes(4, "little") for flags in (0, 1))
_ENDING = f".{sys.implementation.cache_tag}.pyc"


class Finder:
    """A finder and a loader, as importlib wants both."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        if not path or not name.startswith(PACKAGES):
            return None
        folder, last = path[0], name.rpartition(".")[2]
        origin, compiled = f"{folder}/{last}.py", f"{folder}/__pycache__/{last}{_ENDING}"
        try:
            heads = _heads(origin)
            if not heads:
                origin = compiled = f"{folder}/{last}.pyc"
            data = _read(compiled)
        except OSError:
            return None
        # whether by time or unchecked: without a source there is nothing to hold it against
        if len(data) < HEAD_BYTES or not data.startswith(heads or (_BY_TIME, _UNCHECKED)):
            return None
        spec = ModuleSpec(name, Finder, origin=origin, loader_state=data)  # type: ignore[arg-type]
        spec.has_location = True
        spec.cached = compiled
        return spec

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """The usual one."""

    @staticmethod
    def exec_module(module: "ModuleType") -> None:
        spec = module.__spec__
        assert spec
        code = loads(memoryview(spec.loader_state)[HEAD_BYTES:])
        spec.loader_state = None
        # what was compiled elsewhere names this place in a traceback
        _imp._fix_co_filename(code, spec.origin)  # type: ignore[attr-defined]
        exec(code, module.__dict__)


def _read(path: str) -> bytes:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, posix.fstat(fd).st_size)
    finally:
        posix.close(fd)


def _heads(source: str) -> tuple[bytes, ...]:
    """How the compiled form of a source begins: its time and size, or a hash for nobody to check. (): no source."""
    try:
        info = posix.stat(source)
    except FileNotFoundError:
        return ()
    stamp = (int(info.st_mtime) & 0xFFFFFFFF) | (info.st_size & 0xFFFFFFFF) << 32
    return _BY_TIME + stamp.to_bytes(8, "little"), _UNCHECKED


def install() -> None:
    if _imp.check_hash_based_pycs != "always":
        sys.meta_path.insert(0, Finder)
