# SPDX-License-Identifier: MIT
"""`nofile=1000 2000` → a resource limit. Words only: whether the kernel takes it, the launcher sees."""

from jail._native import lib
from jail.errors import ConfigError

# procd's fourteen names and the two that it does not know
NUMBERS = {
    name: int(getattr(lib, f"RLIMIT_{name.upper()}"))
    for name in (
        *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
        *("rss", "rtprio", "rttime", "sigpending", "stack"),
    )
}
UNLIMITED = (1 << 64) - 1  # RLIM64_INFINITY, the same on every architecture


class Limit:
    """hard: None leaves the hard limit as it is."""

    __slots__ = ("hard", "name", "number", "soft")

    def __init__(self, name: str, soft: int, hard: int | None) -> None:
        self.name = name
        self.number = NUMBERS[name]
        self.soft = soft
        self.hard = hard


def parse(name: str, text: str) -> Limit:
    """Read a limit as init scripts write it: `unlimited` (both), `N` (soft only), or `SOFT HARD`.

    Raises ConfigError.
    """
    if name not in NUMBERS:
        from jail.near import did_you_mean

        raise ConfigError(f'unknown limit "{name[:40]}"{did_you_mean(name, list(NUMBERS))}')
    words = text.split()
    if not 1 <= len(words) <= 2:
        raise ConfigError(f'limit {name}: "{text[:40]}" is not "unlimited", "N" or "SOFT HARD"')
    values = [_value(name, word) for word in words]
    if words == ["unlimited"]:
        return Limit(name, UNLIMITED, UNLIMITED)
    if len(values) == 2 and values[0] > values[1]:
        raise ConfigError(f'limit {name}: the soft limit of "{text[:40]}" is above the hard one')
    return Limit(name, values[0], values[1] if len(values) == 2 else None)


def _value(name: str, word: str) -> int:
    if word == "unlimited":
        return UNLIMITED
    if not (word.isascii() and word.isdigit()) or len(word) > 20 or int(word) > UNLIMITED:
        raise ConfigError(f'limit {name}: "{word[:40]}" is neither a number nor "unlimited"')
    return int(word)
