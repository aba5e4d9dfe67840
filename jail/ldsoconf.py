# SPDX-License-Identifier: MIT
"""ld.so.conf: the directories that ldconfig puts into its cache. Read only to say what is missing there."""

import os

from jail.libsearch import TEXT_BYTES
from jail.patterns import matches
from jail.tree import Tree

LD_SO_CONF = "/etc/ld.so.conf"
CONF_FILES, CONF_DEPTH, CONF_DIRS = 64, 8, 1024


def conf_dirs(tree: Tree) -> list[str]:
    """The directories that ldconfig would put into its cache: ld.so.conf and what it includes."""
    dirs: list[str] = []
    pending = [(LD_SO_CONF, 0)]
    read = 0
    while pending and read < CONF_FILES:
        path, depth = pending.pop(0)
        read += 1
        included = []
        for raw in (tree.read(path, TEXT_BYTES) or b"").split(b"\n"):
            line = os.fsdecode(raw.partition(b"#")[0].strip())
            keyword, _, rest = line.replace("\t", " ").partition(" ")
            if keyword == "include":
                for pattern in rest.split():
                    full = pattern if pattern.startswith("/") else os.path.dirname(path) + "/" + pattern
                    included += _glob(tree, full)
            elif line.startswith("/") and len(dirs) < CONF_DIRS:
                dirs.append(line.partition("=")[0].rstrip("/ \t"))
        if depth < CONF_DEPTH:
            pending[:0] = [(name, depth + 1) for name in included]
    return dirs


def _glob(tree: Tree, pattern: str) -> list[str]:
    found = [""]
    for part in pattern.strip("/").split("/")[:64]:
        if not any(mark in part for mark in "*?["):
            found = [f"{base}/{part}" for base in found]
            continue
        deeper: list[str] = []
        for base in found[:CONF_FILES]:
            tree.count(base)
            try:
                names = sorted(os.listdir(tree.host(base or "/")))
            except OSError:
                continue
            deeper += [f"{base}/{name}" for name in names if matches(name, part)]
        found = deeper
    return [path for path in found if tree.stat(path) is not None][:CONF_FILES]
