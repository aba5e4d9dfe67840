# SPDX-License-Identifier: MIT
"""What a service leaves where somebody of the host's opens or ends something must not hold him up."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host


@pytest.mark.parametrize("options", [(), ("--notify",)], ids=["stub", "stays"])
def test_fifo_in_the_place_of_a_pidfile_is_refused(
    host: "Host", tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Who opens one for writing waits for a reader, and `ujail` has all signals held by then."""
    fifo, file = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    policy = ("-S", host.policy(default="SCMP_ACT_ALLOW")) if options else ()
    words = ("-n", "t", *options, *policy, "--", host.probes["glibc"], "exit", 0)
    seen = host.run(host.ujail, "-P", fifo, *words)
    assert seen.status == 125 and str(fifo) in seen.err, seen
    twin = host.run(host.ujail, "-P", file, *words)
    assert twin.status == 0 and int(file.read_text()) > 0, twin


@pytest.mark.parametrize("call", ["pidfd_open", "pidfd_getfd:when=2+"])
def test_service_whose_listener_cannot_be_had_ends(host: "Host", call: str) -> None:
    """It waits in a call that only the holder of the listener could answer."""
    if not shutil.which("strace"):
        pytest.skip("no strace")
    name, _, rest = call.partition(":")
    fault = f"--inject={name}:error=EMFILE" + (f":{rest}" if rest else "")
    words = ("-n", "t", "--notify", "-S", host.policy(default="SCMP_ACT_ALLOW"), "--")
    probe = (host.probes["static-musl"], "exit", 0)
    seen = host.run("strace", "-f", "-o", "/dev/null", fault, host.ujail, *words, *probe)
    assert seen.status == 125 and "Too many open files" in seen.err, seen
    assert host.run(host.ujail, *words, *probe).status == 0
