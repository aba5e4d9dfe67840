# SPDX-License-Identifier: MIT
"""The rules for configuration that services bring along, merged: package → type → option → rule. Pure."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from initd.ubus.blob import Table, Value


def as_listed(rules: "list[Value]") -> "list[Value]":
    """What procd.sh sends, with `data`, as what is listed, with `rules`."""
    out: list[Value] = []
    for entry in rules:
        if isinstance(entry, dict) and "data" in entry and "rules" not in entry:
            entry = {("rules" if key == "data" else key): value for key, value in entry.items()}
        out.append(entry)
    return out


def merged(rules: "Iterable[Value]", package: str | None, type: str | None) -> "Table":
    """What `service validate` answers; each rule is a table with package, type and rules."""
    out: dict[str, dict[str, Table]] = {}
    for entry in rules:
        if not isinstance(entry, dict):
            continue
        where, kind, options = entry.get("package"), entry.get("type"), entry.get("rules")
        if not (isinstance(where, str) and isinstance(kind, str) and isinstance(options, dict)):
            continue
        if package in (None, where) and type in (None, kind):
            out.setdefault(where, {}).setdefault(kind, {}).update(options)
    return {where: dict(kinds) for where, kinds in out.items()}
