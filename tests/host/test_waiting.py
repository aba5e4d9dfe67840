# SPDX-License-Identifier: MIT
"""Who waits for a word that never comes fails after a time, and says what it has heard."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host


def test_line_that_does_not_come_is_given_up_with_what_was_said(host: "Host") -> None:
    process = host.spawn("sh", "-c", "echo the reason >&2; exec sleep 60")
    with pytest.raises(AssertionError, match=r"(?s)no line within 0.2 s.*the reason"):
        host.first_line(process, 0.2)
    assert process.returncode is not None


def test_line_that_comes_is_the_line(host: "Host") -> None:
    process = host.spawn("sh", "-c", "echo one; echo two; exec cat")
    assert [host.first_line(process), host.first_line(process)] == ["one", "two"]
    assert host.finish(process).status == 0
