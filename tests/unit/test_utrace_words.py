# SPDX-License-Identifier: MIT
"""What utrace reads in the command line of the ujail that it is to record."""

import pytest

from jail.utrace import has_policy


@pytest.mark.parametrize(
    ("words", "is_there"),
    [
        ("ujail -S p.json -- sh", True),
        ("/usr/sbin/ujail -n x --seccomp=p.json sh", True),
        ("ujail -S p.json -m enforce sh", True),
        ("ujail -S p.json -m complain sh", False),
        ("ujail -n x sh -S p.json", False),
        ("ujail --no-such-option -S p.json", False),
        ("env -S p.json", False),
    ],
)
def test_policy_of_ujail_is_found(words: str, is_there: bool) -> None:
    assert has_policy(words.split()) == is_there
