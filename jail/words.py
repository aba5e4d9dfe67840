# SPDX-License-Identifier: MIT
"""Words with parts, `SOURCE:TARGET:flag,flag`: where they are cut, and the backslash that keeps a letter.

A backslash before one of `: , \\ * ? [` takes the letter for what it is; before any other it is a backslash.
"""

KEPT = ":,\\*?["


def cut(text: str, separator: str, most: int = -1) -> list[str]:
    """The parts between separators, of which `most` count if that is not negative. Backslashes stay."""
    if "\\" not in text:
        return text.split(separator, most)
    parts: list[str] = []
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator and most != len(parts):
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def plain(text: str) -> str:
    """A part as it was meant, with the backslashes taken away that only kept a letter."""
    if "\\" not in text:
        return text
    out = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] and text[at + 1] in KEPT:
            at += 1
        out.append(text[at])
        at += 1
    return "".join(out)
