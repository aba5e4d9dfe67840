# SPDX-License-Identifier: MIT
"""JSON by the C half of `json` alone, for processes that stay.

The package itself brings `re`, `enum`, `functools` and `collections`, a megabyte in whoever loads it once.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

SPACE = " \t\n\r"


class _Context:
    """What the scanner of `_json` asks for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float

    def __init__(self, parse_int: "Callable[[str], int]", parse_constant: "Callable[[str], object]") -> None:
        self.parse_int = parse_int
        self.parse_constant = parse_constant


def _no_constant(name: str) -> "NoReturn":
    raise ValueError(f"{name} is no JSON")


def scanner(
    parse_int: "Callable[[str], int]" = int, parse_constant: "Callable[[str], object]" = _no_constant
) -> "Callable[[str, int], tuple[Any, int]]":
    """What reads one value at an index, without blanks before it, and returns it with the index behind it.

    That raises StopIteration where there is none, ValueError for one that is wrong.
    """
    try:
        from _json import make_scanner
    except ImportError:  # an interpreter without the extension
        import json

        decoder = json.JSONDecoder(parse_int=parse_int, parse_constant=parse_constant)
        return decoder.scan_once  # type: ignore[attr-defined, no-any-return]
    scan = make_scanner(_Context(parse_int, parse_constant))  # type: ignore[arg-type]

    def read(text: str, start: int) -> "tuple[Any, int]":
        try:
            return scan(text, start)
        except SystemError:
            # until Python 3.12 it has no error to raise while the module of that error is not loaded
            import json.decoder  # noqa: F401

            return scan(text, start)

    return read


def loads(text: bytes) -> "Any":
    """The one value of a text in UTF-8. Raises ValueError."""
    words = text.decode()
    start = len(words) - len(words.lstrip(SPACE))
    try:
        value, end = scanner()(words, start)
    except StopIteration:
        raise ValueError("a value is missing") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    if words[end:].strip(SPACE):
        raise ValueError("more text after the end")
    return value


def dumps(value: object) -> str:
    """One line, of ASCII alone. Raises TypeError or ValueError for what is no JSON."""
    try:
        from _json import encode_basestring_ascii, make_encoder
    except ImportError:
        import json

        return json.dumps(value, allow_nan=False)
    encode = make_encoder({}, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, False)
    return "".join(encode(value, 0))


def _refuse(value: object) -> "NoReturn":
    raise TypeError(f"{type(value).__name__} is no JSON")
