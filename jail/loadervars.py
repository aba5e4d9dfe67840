# SPDX-License-Identifier: MIT
"""The variables in names that a loader looks for: $ORIGIN, $LIB, $PLATFORM. Imported where a name has one."""

import os

from jail.loader import FALLBACK_DIRS, absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.loader import Object, Program


def expand(program: "Program", text: str, owner: "Object") -> list[str]:
    """A name with the loader's variables replaced; several where its choice depends on the processor."""
    names = {
        "ORIGIN": lambda: [_origin(program, owner)],
        "LIB": lambda: [_lib_name(program)],
        "PLATFORM": lambda: _platforms(program),
    }
    results = [""]
    rest = text
    uses_origin = False
    while rest:
        plain, dollar, rest = rest.partition("$")
        results = [done + plain for done in results]
        if not dollar:
            break
        word, after = _variable(rest)
        if word not in names or (program.libc == "musl" and word != "ORIGIN"):
            if program.libc == "musl":
                return []  # musl drops a path with any other variable
            results = [done + "$" for done in results]
            continue
        results = [done + value for done in results for value in names[word]()][:4]
        rest = after
        uses_origin = uses_origin or (word == "ORIGIN" and owner is program.main)
    if uses_origin:
        program.from_origin.update(absolute(path) for path in results)
    return results


def _origin(program: "Program", owner: "Object") -> str:
    if owner is not program.main:
        return os.path.dirname(owner.path)
    if not program.real:  # /proc/self/exe, not the name that was called
        program.real = program.tree.real(program.path)
    return os.path.dirname(program.real) or "/"


def _lib_name(program: "Program") -> str:
    first = (program.built_in or FALLBACK_DIRS[program.elf.bits])[0]
    return first.removeprefix("/usr").lstrip("/")


def _platforms(program: "Program") -> list[str]:
    abi = program.elf.abi
    base = {"i386": "i686", "arm": "v7l"}.get(abi, abi)
    # glibc calls an x86-64 processor of level 3 by this name
    return ["haswell", base] if abi == "x86_64" and "x86-64-v3" in program.levels() else [base]


def _variable(text: str) -> tuple[str, str]:
    """The name after a `$`, with or without braces, and what follows it; "" if it is none."""
    if text.startswith("{"):
        word, brace, after = text[1:].partition("}")
        return (word, after) if brace else ("", text)
    end = 0
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[:end], text[end:]
