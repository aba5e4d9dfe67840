# SPDX-License-Identifier: MIT
"""Values out of a table that came over ubus: each with the type that it must have, and a fault where it has not.

procd treats a value of the wrong type as absent; a `seccomp` or a `user` that is absent is a service without
protection, so here it is a fault. Numbers may be text and flags may be 0 and 1, as shells write them.
"""

from jail.near import did_you_mean, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from initd.ubus.blob import Table, Value

NUMBER_DIGITS = 10  # more is no number that anybody means, and int() of a megabyte takes its time
SHOWN = 60  # characters of somebody else's text in a message
# of what comes: the list of services tells it three levels deeper at most, and ubus has room for 31
NESTED_MAX = 24


class Fields:
    """One table being read. `where` begins each fault: "" or "jail "; nested tables share the lists."""

    __slots__ = ("_table", "_where", "faults", "warnings")

    def __init__(
        self,
        table: "Table",
        where: str = "",
        faults: list[str] | None = None,
        warnings: list[str] | None = None,
    ) -> None:
        self._table = table
        self._where = where
        self.faults: list[str] = [] if faults is None else faults
        self.warnings: list[str] = [] if warnings is None else warnings

    def _fault(self, key: str, text: str) -> None:
        self.faults.append(f"{self._where}{key}: {text}")

    def unknown(self, known: "Iterable[str]", protections: "Iterable[str]") -> None:
        """Warn of each key that nobody will read; one that may have been meant to protect is a fault."""
        names = tuple(known)
        for key in self._table:
            if key in names:
                continue
            if near(key, protections):
                self.faults.append(f"{self._where}{show(key)}: unknown{did_you_mean(key, names)}")
            else:
                self.warnings.append(f"{self._where}{show(key)}: unknown, ignored{did_you_mean(key, names)}")

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        value = self._table.get(key, default)
        if isinstance(value, str) and "\0" not in value:
            return value
        self._fault(key, "not a string")
        return default

    def flag(self, key: str) -> bool:
        """A boolean, or 0 or 1 as a number or as text."""
        value = as_flag(self._table.get(key, False))
        if value is None:
            self._fault(key, "neither true nor false")
        return bool(value)

    def number(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`, maybe as text."""
        if key not in self._table:
            return default
        number = as_number(self._table[key])
        if number is None or not low <= number <= high:
            self._fault(key, f"{show(self._table[key])} is not a number from {low} to {high}")
            return default
        return number

    def numbers(self, key: str, defaults: "Mapping[str, int]") -> tuple[int, ...] | None:
        """An array of numbers, maybe as text; an empty text or a missing one is the default. None: no such key.

        Each has its place in the order of `defaults`, or comes as NAME=NUMBER: scripts say `respawn retry=60`.
        """
        if key not in self._table:
            return None
        values = self._table[key]
        if not isinstance(values, list):
            self._fault(key, "not an array")
            return None
        if len(values) > len(defaults):
            self._fault(key, f"{len(values)} values where there are {len(defaults)} at most")
            return None
        out = dict(defaults)
        for name, value in zip(defaults, values, strict=False):
            text = value
            if isinstance(value, str) and value.partition("=")[0] in defaults:
                name, _, text = value.partition("=")
            number = defaults[name] if text == "" else as_number(text)
            if number is None:
                self._fault(key, f"{show(value)} is not a number")
                return None
            out[name] = max(0, number)  # scripts write -1 for "never" where procd reads 0
        return tuple(out.values())

    def texts(self, key: str) -> list[str]:
        """An array of strings."""
        values = self._table.get(key, [])
        if isinstance(values, list):
            out = [value for value in values if isinstance(value, str) and "\0" not in value]
            if len(out) == len(values):
                return out
        self._fault(key, "not an array of strings")
        return []

    def _named(self, key: str) -> "list[tuple[str, Value]]":
        values = self._table.get(key, {})
        if isinstance(values, dict):
            return list(values.items())
        self._fault(key, "not a table")
        return []

    def words(self, key: str) -> dict[str, str]:
        """A table of strings; whole numbers become strings."""
        out = {}
        for name, value in self._named(key):
            if isinstance(value, bool) or not isinstance(value, int | str):
                self._fault(key, f"{show(name)} is not a string")
            else:
                out[name] = str(value)
        return out

    def flags(self, key: str) -> dict[str, bool]:
        """A table of flags."""
        out = {}
        for name, value in self._named(key):
            flag = as_flag(value)
            if flag is None:
                self._fault(key, f'{show(name)} is neither "0" nor "1"')
            out[name] = bool(flag)
        return out

    def table(self, key: str) -> "Table | None":
        """A table as it is; None: no such key."""
        value = self._table.get(key)
        if isinstance(value, dict):
            return value
        if key in self._table:
            self._fault(key, "not a table")
        return None

    def array(self, key: str) -> "list[Value]":
        """An array as it is."""
        value = self._table.get(key, [])
        if isinstance(value, list):
            return value
        self._fault(key, "not an array")
        return []


def as_flag(value: "Value") -> bool | None:
    """A boolean of what stands for one; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str) and str(value) in ("0", "1"):
        return str(value) == "1"
    return None


def as_number(value: "Value") -> int | None:
    """A whole number, maybe written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, str):
        return None
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > NUMBER_DIGITS:
        return None
    return int(value)


def too_deep(table: "Table") -> str:
    """Where something is nested deeper than NESTED_MAX, for a message; "" for nowhere."""
    todo: list[tuple[str, Value, int]] = [("", table, 0)]
    while todo:
        where, value, depth = todo.pop()
        if depth > NESTED_MAX:
            return show(where)
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, each in inner:
            if isinstance(each, dict | list):
                todo.append((f"{where}.{key}"[: SHOWN + 1] if where else str(key), each, depth + 1))
    return ""


def show(value: "Value") -> str:
    """Somebody else's text inside a message: one line, bounded."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() and text else ascii(text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
