# SPDX-License-Identifier: MIT
"""Who holds a lease on a file has all others wait who open it: root in a jail owns what it is shown of the host's."""

import sys
from typing import TYPE_CHECKING

import pytest

from jail._native import lib
from jail.policy import native_arch

if TYPE_CHECKING:
    from jails import Host

SETLEASE, SETDELEG = 1024, 1040  # of fcntl(2); the second one is known from Linux 6.19 on


@pytest.mark.parametrize("kind", ["glibc", "static-glibc"])
def test_no_lease_is_had_on_what_a_jail_is_shown(host: "Host", kind: str) -> None:
    shown = host.folder / "shown"
    shown.write_text("x")
    words, options = ("lease", shown), ("-r", shown)
    assert host.probe(*words, options=options, kind=kind).tries() == {f"lease:{shown}": "EPERM"}
    for more in (("--no-default-filter",), ("-C", "cap_lease")):
        assert host.probe(*words, options=(*options, *more), kind=kind).tries() == {f"lease:{shown}": "ok"}
    assert host.outside(*words).tries() == {f"lease:{shown}": "ok"}


@pytest.mark.parametrize("command", [SETLEASE, SETDELEG])
def test_lease_is_denied_by_32_bits_of_its_number(host: "Host", command: int) -> None:
    """The kernel drops the others."""
    for name in ("fcntl", "fcntl64"):
        number = lib.call_number(native_arch().encode(), name.encode())
        wide = (command, command | 1 << 32) if sys.maxsize > 1 << 32 else (command,)
        for each in wide if number >= 0 else ():
            words = ("call", number, f"0,{each},1")
            assert list(host.probe(*words).tries().values()) == ["EPERM"]
            assert list(host.outside(*words).tries().values()) == ["EINVAL"]  # stdin is /dev/null
