# SPDX-License-Identifier: MIT
"""A program → the files that it needs to run: its loader, its libraries, the interpreters of scripts.

No effects. elffile.py reads one file, loader.py finds the libraries of an ELF program, this follows scripts.
"""

from _stat import S_ISREG

from jail import paths
from jail.elffile import Elf, Script, refuse, shown
from jail.errors import EXIT_NOT_FOUND, ConfigError
from jail.loader import absolute, link
from jail.spec import PATH
from jail.tree import Closure, Tree

SCRIPT_DEPTH = 5  # scripts in a row that the kernel follows; the sixth is ELOOP
KEPT = 32  # programs whose files are remembered, for as long as each of them, and none more, is where it was
ENV_HOPS = 8  # `#!/usr/bin/env x` where x is such a script again


def closure(
    path: str, preload: tuple[str, ...] = (), root: str = "/", shared: bool = False, loader: str = ""
) -> Closure:
    """Find every file that the kernel and the loader open to run the program at an absolute path.

    With another `root`, `path`, `preload` and all results are as seen inside it. A `shared` file is perhaps a
    library, or a script that others read: it need not be executable itself. A library that names no loader is
    looked at as if `loader` had to load it; without one it needs nothing.
    Raises ConfigError naming the file that is missing or damaged, and who needs it. The result is shared.
    """
    if not path.startswith("/") or "\0" in path or not paths.is_encodable(path):
        raise ConfigError(f"{shown(path)}: not an absolute path")
    asked = (path, preload, root, shared, loader)
    if asked in _found and _found[asked][0].is_as_seen():
        return _found[asked][1]
    tree = Tree(root)
    found = _find(tree, path, preload, shared, loader)
    if tree.is_repeatable:
        if len(_found) >= KEPT:
            _found.clear()
        _found[asked] = (tree, found)
    return found


_found: "dict[tuple[str, tuple[str, ...], str, bool, str], tuple[Tree, Closure]]" = {}


def _find(tree: Tree, path: str, preload: tuple[str, ...], shared: bool, loader: str) -> Closure:
    found = Closure(tree)
    user = wanted = kind = ""
    depth = hops = 0
    while True:  # interpreter after interpreter until one is ELF, then what `env` starts
        content = tree.executable(path, user, any_mode=shared and not user)
        found.add(path)
        if isinstance(content, Elf):
            link(tree, found, path, content, preload, loader if shared and not user else "")
            kind = kind or found.kind
            if not wanted:
                break
            hops += 1
            path, wanted, depth = _on_path(tree, wanted, user), "", 0
        else:
            kind = "script"
            depth += 1
            user, path = path, absolute(content.interpreter)
            wanted = _env_program(content)
        if depth > SCRIPT_DEPTH or hops > ENV_HOPS:
            raise refuse(user, "too many interpreters in a row")
    found.kind = kind
    return found


def _on_path(tree: Tree, name: str, user: str) -> str:
    """What `env` would start."""
    if "/" in name:
        return absolute(name)
    for directory in PATH.split(":"):
        info = tree.stat(f"{directory}/{name}")
        if info is not None and S_ISREG(info.st_mode) and info.st_mode & 0o111:
            return f"{directory}/{name}"
    error = ConfigError(f"{shown(name)}: not found in {PATH}, needed by {shown(user)}")
    error.status = EXIT_NOT_FOUND
    raise error


def _env_program(script: Script) -> str:
    """What `#!/usr/bin/env …` will start, "" if that is not what the line says."""
    if paths.basename(script.interpreter) != "env" or not script.argument:
        return ""
    for option in ("-S", "-vS", "--split-string=", "--split-string "):
        if script.argument.startswith(option):
            words = script.argument[len(option) :].split()
            break
    else:
        words = [script.argument]
    for word in words:
        if word in ("-", "-i", "--ignore-environment", "-v", "--debug") or ("=" in word and word[0] != "-"):
            continue
        return "" if word.startswith("-") else word
    return ""
