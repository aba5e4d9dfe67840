# SPDX-License-Identifier: MIT
"""The rules for configuration that services bring along, merged: package → type → option → rule. Pure."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from initd.ubus.blob import Table, Value


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
