# SPDX-License-Identifier: MIT
"""A program that an operator has enter a jail must get no more than its service had, whatever that makes of itself."""

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail.policy import call_number, native_arch

if TYPE_CHECKING:
    from jails import Host

JAILCTL = (
    Path(os.environ.get("STOCKADE_UJAIL") or f"{sysconfig.get_path('scripts')}/ujail").parent / "jailctl"
)
NEW_USER = 0x10000000
OPTIONS = ("-p", "--allow-userns")


@pytest.mark.parametrize("options", [(), ("-f",), ("-U", "65534")], ids=["root", "-f", "nobody"])
def test_service_in_a_user_namespace_of_its_own_lends_nobody_its_capabilities(
    host: "Host", options: tuple[str, ...]
) -> None:
    """It has all of them there, and here the same numbers would be those of the host's root."""
    unshare = ("call", call_number(native_arch(), "unshare"), NEW_USER)
    jail = host.start(*unshare, "caps", "stay", options=(*OPTIONS, *options))
    line = host.first_line(jail)
    if not line.endswith(" ok"):
        host.finish(jail)
        pytest.skip(f"no user namespace for it: {line}")
    host.wait_ready(jail)
    [pid] = host.children_of(jail.pid)
    seen = host.run(JAILCTL, "exec", pid, "--", host.probes["glibc"], "caps")
    host.finish(jail)
    assert seen.status == 125 and "user namespace of its own making" in seen.err, seen


def test_who_enters_has_the_capabilities_of_a_service_that_made_none(host: "Host") -> None:
    jail = host.start("stay", options=OPTIONS)
    host.wait_ready(jail)
    [pid] = host.children_of(jail.pid)
    seen = host.run(JAILCTL, "exec", pid, "--", host.probes["glibc"], "caps")
    host.finish(jail)
    assert seen["permitted"] == host.probe("caps", options=OPTIONS)["permitted"]
    assert seen["permitted"] != host.outside("caps")["permitted"]
