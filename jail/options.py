# SPDX-License-Identifier: MIT
"""Command lines: one table of options, from which both the parser and the usage text are made.

A row is (short, long, metavar, help); a row of one text starts a group. "" as short: there is none; "" as
metavar: the option takes no argument. On the path of every start: imports are counted.
"""

from jail.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Rows: TypeAlias = tuple[tuple[str, ...], ...]


class Options:
    """What the command line said: flags and values by long name, lists in their order."""

    __slots__ = ("argv", "given", "pairs")

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        self.pairs: list[tuple[str, str]] = []
        self.argv: list[str] = []


def parse(args: list[str], rows: "Rows", not_yet: str = "") -> Options:
    """Read options up to the first operand or `--`. Raises UsageError, with a near match for long ones.

    `not_yet` has the letters of those that are known and refused.
    """
    table = _by_spelling(rows)
    out = Options()
    rest = args[::-1]
    while rest:
        arg = rest.pop()
        if arg == "--":
            break
        if arg == "-" or not arg.startswith("-"):
            rest.append(arg)
            break
        key, value = arg, None
        if arg.startswith("--"):
            key, equals, text = arg.partition("=")
            value = text if equals else None
        elif len(arg) > 2:
            key, value = arg[:2], arg[2:]
        row = table.get(key)
        if row is None:
            raise UsageError(f"unknown option {key}{_suggest(key, table)}")
        if not row[2]:
            if value is not None and key.startswith("--"):
                raise UsageError(f"{key} takes no argument")
            if value is not None:
                rest.append(f"-{value}")  # -ps is -p -s
            value = ""
        elif value is None:
            if not rest:
                raise UsageError(f"{key} needs {row[2]}")
            value = rest.pop()
        if row[0] and row[0] in not_yet:
            raise UsageError(f"-{row[0]} (--{row[1]}) is not yet there: {row[3]}")
        out.given[row[1]] = value or ""
        out.pairs.append((row[1], value or ""))
    out.argv = rest[::-1]
    return out


def _by_spelling(rows: "Rows") -> dict[str, tuple[str, ...]]:
    rows = tuple(row for row in rows if len(row) > 1)
    table = {f"--{row[1]}": row for row in rows}
    table.update({f"-{row[0]}": row for row in rows if row[0]})
    return table


def _suggest(key: str, table: dict[str, tuple[str, ...]]) -> str:
    from jail.near import did_you_mean

    return did_you_mean(key, list(table)) if key.startswith("--") else ""


def usage(head: str, rows: "Rows", foot: str = "") -> str:
    """The help text, grouped as the table is."""
    lines = [head]
    for row in rows:
        if len(row) == 1:
            lines += ["", f"{row[0]}:"]
            continue
        short = f"-{row[0]}, " if row[0] else "    "
        lines.append(f"  {short}--{row[1] + (' ' + row[2] if row[2] else ''):<28} {row[3]}")
    return "\n".join([*lines, "", foot] if foot else lines)


def number(option: str, text: str) -> int:
    """The value of an option that takes a number. Raises UsageError."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"{option} takes a number, not {text!r}")
    return int(text)


def signed(option: str, text: str) -> int:
    """The same, of one that may be negative."""
    return -number(option, text[1:]) if text.startswith("-") else number(option, text)
