# SPDX-License-Identifier: MIT
"""Print the modules of the standard library that jail/ and initd/ import, and what these import in turn.

    python3 buildroot/python_modules.py [--sizes]

A firmware's Python needs these and no others. Run it with the release of Python that the firmware has: what the
interpreter holds inside (built in or frozen) is listed as well, and a firmware may hold it in files.

What our code names anywhere counts, also in functions. Of the standard library, what is loaded when these are
imported counts, and what its functions import later does where LAZY says so: the rest are ways that no
command of ours takes, and `make image` runs every command with this list and no other module.
"""

import ast
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("jail", "initd")
# native/build.py runs where the product is built, not where it is installed
NOT_INSTALLED = ("jail/native/build.py",)
# what the standard library and the interpreter import later, in places that our commands do come to
LAZY = (
    "encodings.ascii",  # bytes and text outside of a locale
    "encodings.latin_1",
    "linecache",  # of traceback: an error that nobody expected
    "os",  # frozen, but by its file the interpreter knows where the library is
)


def imported(node: ast.AST) -> set[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        return {name.name for name in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        # a name may be a module itself: from os import path
        return {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return set()


def named_in(node: ast.AST) -> set[str]:
    """The modules that a source names, but for those that only a type checker sees."""
    found = imported(node)
    inner = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        inner = list(node.orelse)
    for one in inner:
        # what an `except ImportError` has does in place of a module that is in the list
        is_fallback = (
            isinstance(one, ast.ExceptHandler) and one.type and "ImportError" in ast.unparse(one.type)
        )
        if not is_fallback:
            found |= named_in(one)
    return found


def own_sources() -> list[Path]:
    """The Python files that are installed."""
    paths = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
    return [path for path in paths if str(path.relative_to(REPOSITORY)) not in NOT_INSTALLED]


def wanted() -> list[str]:
    """What our sources name of the standard library."""
    names = set[str]().union(*(named_in(ast.parse(path.read_text())) for path in own_sources()))
    return sorted(name for name in names if name.split(".")[0] in sys.stdlib_module_names)


LOADER = """\
import sys
for name in sys.argv[1:]:
    try:
        __import__(name)
    except ImportError:
        pass  # "module.name" that is a function, or a module of another platform
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] in sys.stdlib_module_names and name != "__main__":
        print(name, getattr(getattr(module, "__spec__", None), "origin", None) or "-")
"""


def modules() -> dict[str, str]:
    """Name → file (or "built-in", "frozen") of every module that has to be there."""
    words = [sys.executable, "-ISXutf8", "-c", LOADER, *wanted(), *LAZY]  # as our launcher starts it
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    found = dict(line.split(" ", 1) for line in lines)
    return found


def main() -> None:
    total = 0
    for name, origin in sorted(modules().items()):
        size = Path(origin).stat().st_size if Path(origin).is_file() else 0
        total += size
        print(f"{size:8} {name}" if "--sizes" in sys.argv else name)
    if "--sizes" in sys.argv:
        print(f"{total:8} in all")


if __name__ == "__main__":
    main()
