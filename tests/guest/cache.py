# SPDX-License-Identifier: MIT
"""Where slow things are kept: one directory for each thing and each set of inputs it was made from."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    named = os.environ.get("STOCKADE_CACHE")
    base = (
        Path(named)
        if named
        else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stockade"
    )
    return base / "guest"


def digest(*inputs: object) -> str:
    """A short name for a set of inputs: strings, paths (their content counts) and lists of both."""
    total = hashlib.sha256()
    for item in inputs:
        if isinstance(item, (list, tuple)):
            text = digest(*item).encode()
        elif isinstance(item, Path):
            text = item.read_bytes()
        else:
            text = str(item).encode()
        total.update(b"%d:" % len(text) + text)
    return total.hexdigest()[:12]


def kept(name: str, inputs: object, make: Callable[[Path], None]) -> Path:
    """Return the directory that `make` once filled from these inputs, calling it if there is none.

    It appears under its name only when `make` has returned; two runs at once make it once.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}-{digest(inputs)}"
    with open(folder / f".{place.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            work = folder / f".{place.name}.new"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            make(work)
            work.rename(place)
    return place
