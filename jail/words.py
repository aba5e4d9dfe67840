# SPDX-License-Identifier: MIT
"""Words with parts, `SOURCE:TARGET:flag,flag`: where they are cut, and the backslash that keeps a letter.

A backslash before one of `: , \\ * ? [` takes the letter for what it is; before any other it is a backslash.
"""

KEPT = ":,\\*?["
PLAIN_IN_SHELL = "/._-+@%=:,"  # beside letters and digits


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


def kept(path: str) -> str:
    """A path as a word of which no part is cut and that is no pattern, for an option that takes PATH:TARGET."""
    return "".join([f"\\{letter}" if letter in KEPT and letter != "," else letter for letter in path])


def in_one_line(text: str) -> str:
    """A line in which nothing commands the terminal or begins a line of its own, wherever its words come from."""
    if text.isprintable():
        return text
    return "".join(
        [letter if letter.isprintable() or letter == "\t" else ascii(letter)[1:-1] for letter in text]
    )


def for_shell(text: str) -> str:
    """A word as a shell reads it, in one printable line whatever is in it."""
    if text and all(letter.isascii() and (letter.isalnum() or letter in PLAIN_IN_SHELL) for letter in text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "'\\''") + "'"
    out = []
    for letter in text:
        if letter in "\\'":
            out.append(f"\\{letter}")
        elif letter.isprintable():
            out.append(letter)
        else:  # in octal, which cannot run into what follows; bytes that are no UTF-8 are surrogates
            out += [f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape")]
    return "$'" + "".join(out) + "'"
