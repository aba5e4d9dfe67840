# SPDX-License-Identifier: MIT
"""Resource limits as init scripts write them, and the numbers that the target's headers have."""

import resource

import pytest

from jail.errors import ConfigError
from jail.limits import NUMBERS, UNLIMITED, parse


def test_numbers_are_this_systems() -> None:
    """On mips they are not those of other architectures."""
    for name, number in NUMBERS.items():
        known = getattr(resource, f"RLIMIT_{name.upper()}", None)  # Python has no LOCKS and no RTTIME
        assert known in (None, number), name
    assert len(set(NUMBERS.values())) == len(NUMBERS) == 16


@pytest.mark.parametrize(
    ("text", "soft", "hard"),
    [
        ("unlimited", UNLIMITED, UNLIMITED),
        ("5", 5, None),
        ("0 0", 0, 0),
        (" 1000  2000 ", 1000, 2000),
        ("5 unlimited", 5, UNLIMITED),
        ("unlimited unlimited", UNLIMITED, UNLIMITED),
        (str(1 << 63), 1 << 63, None),
    ],
)
def test_limit_is_read(text: str, soft: int, hard: int | None) -> None:
    limit = parse("nofile", text)
    assert (limit.number, limit.soft, limit.hard) == (resource.RLIMIT_NOFILE, soft, hard)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nofiles", "1", 'unknown limit "nofiles": did you mean "nofile"?'),
        ("", "1", 'unknown limit ""'),
        ("core", "", "is not"),
        ("core", "1 2 3", "is not"),
        ("core", "-1", "neither a number"),
        ("core", "1k", "neither a number"),
        ("core", "99999999999999999999", "neither a number"),
        ("core", "2 1", "above the hard one"),
        ("core", "unlimited 1", "above the hard one"),
    ],
)
def test_wrong_limit_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(name, text)
    assert message in str(error.value)
