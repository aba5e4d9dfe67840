# SPDX-License-Identifier: MIT
"""What a failed step is said to mean."""

import errno
from pathlib import Path

import pytest

from jail.hints import hint


@pytest.mark.parametrize(
    ("step", "number", "words"),
    [
        ("clone the jail", errno.EPERM, "containers"),
        ("clone the jail", errno.EINVAL, "/proc/self/ns"),
        ("clone the jail", errno.ENOSPC, "/proc/sys/user"),
        ("go into a user namespace with the host's uids 1-1", errno.EPERM, "unprivileged_userns_clone"),
    ],
)
def test_what_namespaces_fail_of(step: str, number: int, words: str) -> None:
    assert words in hint(step, number)


@pytest.mark.parametrize("step", ["clone the jail", "mount a tmpfs", "execute /bin/sh"])
def test_other_errors_speak_for_themselves(step: str) -> None:
    assert hint(step, errno.ENOMEM) == ""


def test_a_file_that_is_there_lacks_its_loader(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert "interpreter or loader" in hint(f"execute {tmp_path}/x", errno.ENOENT)
    assert hint(f"execute {tmp_path}/y", errno.ENOENT) == ""
