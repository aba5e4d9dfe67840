# SPDX-License-Identifier: MIT
"""JSON as the `ubus` command and the ACL files have it: read strictly, written as libubox writes it.

The C half of `json` reads: the package itself would load `re` for every command that a shell script runs.
"""

from initd.ubus.blob import INT32_MAX, INT32_MIN, BlobError, Int8, Int64
from jail.errors import ConfigError
from jail.slimjson import SPACE, scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from initd.ubus.blob import Table, Value

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ESCAPES |= {chr(code): f"\\u{code:04x}" for code in range(32) if chr(code) not in _ESCAPES}
_TRANSLATE = str.maketrans(_ESCAPES)
INDENT_MAX = 16


def _integer(text: str) -> int:
    number = int(text[:20])  # int64 has 19 digits and a sign; without a bound the time grows with the square
    if len(text) > 20 or not -(1 << 63) <= number < 1 << 63:
        raise BlobError(f"{text[:20]} does not fit into 64 bits")
    return number if INT32_MIN <= number <= INT32_MAX else Int64(number)


def _constant(name: str) -> "NoReturn":
    raise BlobError(f"{name} is no JSON")


def parse_table(text: str, source: str = "") -> "Table":
    """A JSON object as a table. Raises ConfigError with source:line:column, as far as they are known."""
    start = _skip(text, 0)
    try:
        value, end = scanner(_integer, _constant)(text, start)
    except StopIteration as error:
        raise _wrong(source, text, int(error.value), "a value is missing") from None
    except RecursionError:
        raise _wrong(source, text, start, "nested too deep") from None
    except ValueError as error:
        at = getattr(error, "pos", start)
        raise _wrong(source, text, at, getattr(error, "msg", None) or str(error)) from None
    end = _skip(text, end)
    if end != len(text):
        raise _wrong(source, text, end, "more text after the end")
    if not isinstance(value, dict):
        raise _wrong(source, text, start, "not an object")
    return value


def _skip(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip(SPACE))


def _wrong(source: str, text: str, at: int, what: str) -> ConfigError:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return ConfigError(f"{source}{':' if source else ''}{line}:{column}: {what}")


def format_string(text: str) -> str:
    """A JSON string; only what must be escaped is."""
    return f'"{text.translate(_TRANSLATE)}"'


def format_value(value: "Value", indent: int = -1) -> str:
    """JSON with tabs from level `indent` on, or in one line when that is negative."""
    if isinstance(value, dict):
        space = ":" if indent < 0 else ": "
        inner = -1 if indent < 0 else indent + 1
        # a value of array type has no names, and an empty name is not written
        items = [
            (format_string(name) + space if name else "") + format_value(item, inner)
            for name, item in value.items()
        ]
        return _listed("{}", items, indent)
    if isinstance(value, list):
        return _listed("[]", [format_value(item, -1 if indent < 0 else indent + 1) for item in value], indent)
    if isinstance(value, str):
        return format_string(value)
    if value is None or isinstance(value, bytes):
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:f}"
    return int.__repr__(value) if not isinstance(value, Int8) else "true"


def _listed(ends: str, items: list[str], indent: int) -> str:
    if indent < 0:
        return ends[0] + ",".join(items) + ends[1]
    inner = "\n" + "\t" * min(indent + 1, INDENT_MAX)
    outer = "\n" + "\t" * min(indent, INDENT_MAX)
    return ends[0] + inner + f",{inner}".join(items) + outer + ends[1]
