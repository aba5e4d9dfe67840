# SPDX-License-Identifier: MIT
"""The capability file: a JSON object of arrays of names, read with the place of each name.

Strict JSON of this one shape and nothing else; the json module would neither say the places nor load as fast.
"""

import os
import stat

from jail.errors import ConfigError
from jail.near import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Member: TypeAlias = tuple[str, str]  # name, path:line:column
    Set: TypeAlias = tuple[str, list[Member]]

FILE_BYTES = 65536


def read_sets(path: str, known: tuple[str, ...]) -> "list[Set]":
    """The sets of the file in their order, each with its members and their places.

    Raises ConfigError, with the place, for an unknown set and for what is no such file.
    """
    return _Text(path, _read(path), known).sets()


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
            data = os.read(fd, FILE_BYTES + 1) if is_regular else b""
        finally:
            os.close(fd)
    except (OSError, ValueError) as e:
        raise ConfigError(f"{path}: {getattr(e, 'strerror', None) or e}") from e
    if not is_regular:
        raise ConfigError(f"{path}: not a regular file")
    if len(data) > FILE_BYTES:
        raise ConfigError(f"{path}: longer than {FILE_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as e:
        good = data[: e.start].decode()
        raise ConfigError(f"{path}:{_place(good, len(good))}: not UTF-8") from e


def _place(text: str, at: int) -> str:
    """line:column of a character, both from 1."""
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


class _Text:
    """A capability file while it is read."""

    __slots__ = ("at", "known", "path", "text")

    def __init__(self, path: str, text: str, known: tuple[str, ...]) -> None:
        self.path = path
        self.text = text
        self.known = known
        self.at = 0

    def sets(self) -> "list[Set]":
        found: list[Set] = []
        self._take("{", "an object of capability sets")
        while not self._end(found, "}"):
            at = self._peek()
            name = self._string("the name of a set")
            if name not in self.known:
                raise self._wrong(f'unknown set "{name[:60]}"{did_you_mean(name, self.known)}', at)
            if name in [earlier for earlier, _ in found]:
                raise self._wrong(f"{name} is there twice", at)
            self._take(":", f'":" after {name}')
            found.append((name, self._members(name)))
        self._peek()
        if self.at < len(self.text):
            raise self._wrong("something follows the object", self.at)
        return found

    def _members(self, name: str) -> "list[Member]":
        members: list[Member] = []
        self._take("[", f"an array of capability names for {name}")
        while not self._end(members, "]"):
            place = f"{self.path}:{_place(self.text, self._peek())}"
            members.append((self._string("the name of a capability"), place))
        return members

    def _end(self, before: "list[Set] | list[Member]", mark: str) -> bool:
        """Step over the mark that ends a list, or over the comma between two members."""
        at = self._peek()
        if self.text.startswith(mark, at):
            self.at += 1
            return True
        if before:
            self._take(",", f'"," or "{mark}"')
        return False

    def _peek(self) -> int:
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1
        return self.at

    def _take(self, mark: str, what: str) -> None:
        if not self.text.startswith(mark, self._peek()):
            raise self._expected(what)
        self.at += 1

    def _string(self, what: str) -> str:
        """A string of printable characters; one with an escape is no known name, whatever it spells."""
        self._take('"', what)
        end = self.text.find('"', self.at)
        text = self.text[self.at : end]
        if end < 0 or not text.isprintable():
            raise self._wrong("a string without an end", self.at - 1)
        if "\\" in text:
            raise self._wrong("a name with a backslash", self.at - 1)
        self.at = end + 1
        return text

    def _expected(self, what: str) -> ConfigError:
        found = ascii(self.text[self.at]) if self.at < len(self.text) else "the end"
        return self._wrong(f"{what} is needed here, not {found}", self.at)

    def _wrong(self, what: str, at: int) -> ConfigError:
        return ConfigError(f"{self.path}:{_place(self.text, at)}: {what}")
