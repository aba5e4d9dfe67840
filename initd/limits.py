# SPDX-License-Identifier: MIT
"""The `limits` of an instance → resource limits: "unlimited", "SOFT" or "SOFT HARD" for each name. Pure.

procd leaves a limit out without a word if its text is no number or the hard limit is lower. Here the first is
a fault, and for the second the hard limit goes along.
"""

import resource

from jail.errors import ConfigError
from jail.near import did_you_mean

RESOURCES = {
    "as": resource.RLIMIT_AS,
    "core": resource.RLIMIT_CORE,
    "cpu": resource.RLIMIT_CPU,
    "data": resource.RLIMIT_DATA,
    "fsize": resource.RLIMIT_FSIZE,
    "memlock": resource.RLIMIT_MEMLOCK,
    "msgqueue": resource.RLIMIT_MSGQUEUE,
    "nice": resource.RLIMIT_NICE,
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "rss": resource.RLIMIT_RSS,  # without effect since Linux 2.4.30, but scripts name it
    "rtprio": resource.RLIMIT_RTPRIO,
    "sigpending": resource.RLIMIT_SIGPENDING,
    "stack": resource.RLIMIT_STACK,
}
UNLIMITED = "unlimited"
LARGEST = (1 << 63) - 1  # of what Python can hand to setrlimit(2)


def parse(name: str, text: str) -> tuple[int, int, int | None]:
    """The number of the resource, its soft limit, and its hard one: None to leave that as it is.

    resource.RLIM_INFINITY stands for no limit. Raises ConfigError for an unknown name or another text.
    """
    if name not in RESOURCES:
        raise ConfigError(f'limits: "{name[:40]}" is no limit{did_you_mean(name, RESOURCES)}')
    words = text.split()
    if words == [UNLIMITED]:
        return RESOURCES[name], resource.RLIM_INFINITY, resource.RLIM_INFINITY
    if not 1 <= len(words) <= 2:
        raise ConfigError(f'limits: {name}: "{text[:40]}" is not "unlimited", "SOFT" or "SOFT HARD"')
    soft = _number(name, words[0])
    hard = _number(name, words[1]) if len(words) == 2 else None
    if hard is not None and _rank(soft) > _rank(hard):
        raise ConfigError(f"limits: {name}: {words[0]} is above its own hard limit {words[1]}")
    return RESOURCES[name], soft, hard


def pair(number: int, soft: int, hard: int | None) -> tuple[int, int]:
    """The two limits to set. A hard one that was not given is this process's own, or as high as needed."""
    own = resource.getrlimit(number)[1] if hard is None else hard
    return (soft, own) if _rank(soft) <= _rank(own) else (soft, soft)


def _rank(limit: int) -> int:
    return LARGEST if limit == resource.RLIM_INFINITY else limit


def _number(name: str, word: str) -> int:
    if word == UNLIMITED:
        return resource.RLIM_INFINITY
    if not (word.isascii() and word.isdigit()) or len(word) > 19 or int(word) > LARGEST:
        raise ConfigError(f'limits: {name}: "{word[:40]}" is not a number')
    return int(word)
