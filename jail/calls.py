# SPDX-License-Identifier: MIT
"""What is known of system calls: names and numbers, which are the compiler's, and the tables of json-filters.

For the tools; not on the path of a start.
"""

import json
from functools import cache

from jail._native import ffi, lib
from jail.doors import FILTERS
from jail.errors import ConfigError, UsageError
from jail.near import did_you_mean
from jail.policy import ARCHES, call_number, native_arch

NATIVE = native_arch()


class Equivalents:
    """One row: names that are used in place of each other, older ones first; `same` have the same arguments."""

    __slots__ = ("names", "same")

    def __init__(self, names: list[str], same: list[str]) -> None:
        self.names = names
        self.same = same


def check_arch(arch: str) -> str:
    """The same name. Raises UsageError with a near match."""
    if arch not in ARCHES:
        hint = did_you_mean(arch, ARCHES) or f", known are {' '.join(ARCHES)}"
        raise UsageError(f"unknown architecture {arch!r}{hint}")
    return arch


@cache
def all_names() -> tuple[str, ...]:
    """Every call that any architecture has, sorted."""
    names: list[str] = []
    while name := lib.call_at(len(names)):
        names.append(ffi.string(name).decode())
    return tuple(names)


@cache
def numbers(arch: str) -> dict[str, int]:
    """Names and numbers of one architecture, by number."""
    found = {name: call_number(arch, name) for name in all_names()}
    return dict(sorted(((n, k) for n, k in found.items() if k >= 0), key=lambda item: item[1]))


def is_wide(arch: str) -> bool:
    return bool(lib.arch_kind(arch.encode()) & lib.ARCH_WIDE)


def scmp_name(arch: str) -> str:
    return ffi.string(lib.arch_scmp(arch.encode())).decode()


def check_call(name: str) -> str:
    """The same name. Raises UsageError with a near match."""
    if name not in all_names():
        raise UsageError(f"unknown system call {name!r}{did_you_mean(name, all_names())}")
    return name


@cache
def _table(name: str) -> dict[str, object]:
    path = f"{FILTERS}/tables/{name}.json"
    try:
        with open(path, "rb") as file:
            table: dict[str, object] = json.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return table


def _groups() -> dict[str, dict[str, object]]:
    groups = _table("groups")["groups"]
    assert isinstance(groups, dict)
    return groups


def group_names() -> list[str]:
    return sorted(_groups())


def group_text(group: str) -> str:
    return str(_groups()[group]["text"])


@cache
def members(group: str) -> tuple[str, ...]:
    """The calls of a group, those of its groups too, each once. Raises KeyError."""
    names = _groups()[group]["names"]
    assert isinstance(names, list)
    flat: dict[str, None] = {}
    for name in names:
        flat.update(dict.fromkeys(members(name) if name.startswith("@") else (name,)))
    return tuple(flat)


@cache
def equivalents() -> tuple[Equivalents, ...]:
    rows = _table("equivalents")["equivalents"]
    assert isinstance(rows, list)
    return tuple(Equivalents(row["names"], row.get("same_arguments", row["names"])) for row in rows)


def multiplexers() -> dict[str, dict[str, list[str]]]:
    """By the one call, the `names` that it stands for and the `arches` on which a libc uses it."""
    found = _table("equivalents")["multiplexers"]
    assert isinstance(found, dict)
    return found


def libc_habits(libc: str) -> dict[str, list[str]]:
    """What a libc calls besides, by the call that it is seen with. Raises UsageError."""
    libcs = _table("equivalents")["libc"]
    assert isinstance(libcs, dict)
    if libc not in libcs:
        hint = did_you_mean(libc, libcs) or f", known are {' '.join(libcs)}"
        raise UsageError(f"unknown libc {libc!r}{hint}")
    habits: dict[str, list[str]] = libcs[libc]
    return habits


def describe(name: str) -> tuple[str, str]:
    """What a call does and the capability that it may need, each "" where that is not written down."""
    rows = _table("calls")["calls"]
    assert isinstance(rows, list)
    for row in rows:
        if name in row["names"]:
            return row["text"], row.get("capability", "")
    return "", ""
