# SPDX-License-Identifier: MIT
"""Names with `*`, `?` and `[a-z]` → the host's files that have them. Only reads directories.

As in a shell: a star does not match a slash, and a dot at the beginning has to be written. The standard library's
glob would bring `re` into every start that has a pattern.
"""

import os

from jail.errors import ConfigError
from jail.words import plain

MATCHES_MAX = 1000
SPECIAL = "*?["


def is_pattern(text: str) -> bool:
    """Whether there is a letter with a meaning, one without a backslash before it."""
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in SPECIAL:
            return True
        at += 1
    return False


def expand(text: str) -> list[str]:
    """The paths that an absolute pattern matches now, sorted. Raises ConfigError if they are too many."""
    found = [""]
    for part in text.split("/")[1:]:
        if not is_pattern(part):
            found = [f"{base}/{plain(part)}" for base in found]
            continue
        found = [f"{base}/{name}" for base in found for name in _entries(base) if matches(name, part)]
        if len(found) > MATCHES_MAX:
            raise ConfigError(f"{text}: matches more than {MATCHES_MAX} names")
    return sorted(path for path in found if os.path.lexists(path))


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder or "/")
    except OSError:
        return []  # no directory, or gone


def matches(name: str, pattern: str) -> bool:
    """Whether one name, without slashes, matches one part of a pattern."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    tokens = _tokens(pattern)
    states = _with_stars({0}, tokens)
    for letter in name:
        after = {
            at if tokens[at] == "*" else at + 1
            for at in states
            if at < len(tokens) and _fits(letter, tokens[at])
        }
        states = _with_stars(after, tokens)
    return len(tokens) in states


def _tokens(pattern: str) -> list[str]:
    """`*`, `?`, a class as `[…`, or a backslash and a letter for the letter itself."""
    out = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        # a bracket that comes first in a class is a member of it
        first = at + 2 + (pattern[at + 1 : at + 2] in ("!", "^"))
        end = pattern.find("]", first) if letter == "[" else -1
        if letter == "\\" and at + 1 < len(pattern):
            at += 1
            out.append("\\" + pattern[at])
        elif letter in "*?":
            out.append(letter)
        elif end > 0:
            out.append(pattern[at:end])
            at = end
        else:
            out.append("\\" + letter)
        at += 1
    return out


def _with_stars(states: set[int], tokens: list[str]) -> set[int]:
    """A star also matches nothing."""
    out = set(states)
    for at in range(len(tokens)):
        if at in out and tokens[at] == "*":
            out.add(at + 1)
    return out


def _fits(letter: str, token: str) -> bool:
    if token in ("*", "?"):
        return True
    if token[0] == "\\":
        return letter == token[1]
    body = token[1:]
    if body[:1] in ("!", "^"):
        return not _is_in_class(letter, body[1:])
    return _is_in_class(letter, body)


def _is_in_class(letter: str, body: str) -> bool:
    at = 0
    while at < len(body):
        if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
            if body[at] <= letter <= body[at + 2]:
                return True
            at += 3
        elif letter == body[at]:
            return True
        else:
            at += 1
    return False
