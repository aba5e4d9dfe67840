# SPDX-License-Identifier: MIT
"""What `ujail` has of whoever calls it must not come into the jail: each of these would be kept by an exec."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

PERSONA = "/proc/self/personality"
# ADDR_NO_RANDOMIZE, ADDR_COMPAT_LAYOUT, MMAP_PAGE_ZERO; a processor without the means has a fourth set always
WEAK = 0x0040000 | 0x0200000 | 0x0100000
PERSONALITY = (
    "import ctypes, os, sys; ctypes.CDLL(None).personality(int(sys.argv[1]));"
    " os.execv(sys.argv[2], sys.argv[2:])"
)


@pytest.mark.parametrize("options", [(), ("-T", "1m"), ("-U", "65534")])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_directory_in_the_place_of_stdio_is_no_way_out(
    host: "Host", tmp_path: Path, number: int, options: tuple[str, ...]
) -> None:
    (tmp_path / "secret").write_text("x")
    script, read = f'exec "$@" {number}<{tmp_path}', f"/proc/self/fd/{number}/secret"
    words = (host.ujail, "-n", "t", "-p", *options, "--", host.probes["glibc"], "exit", 0)
    assert host.run("sh", "-c", script, "sh", *words).status == 125
    assert host.run(*words).status == 0
    assert host.run("sh", "-c", script, "sh", "test", "-r", read).status == 0


@pytest.mark.parametrize("weak", [0x0040000, WEAK])
def test_layout_of_memory_is_not_the_callers_to_weaken(host: "Host", weak: int) -> None:
    """What sudo and setuid programs leave out, too."""
    weakened = (sys.executable, "-Ic", PERSONALITY, weak)  # as setarch -R does, which BusyBox's cannot
    for words in ((host.ujail, "-n", "t", "-p", "--"), (host.ujail, "-c", "--")):
        inside = host.run(*weakened, *words, host.probes["glibc"], "cat", PERSONA)
        assert int(inside["line"], 16) & WEAK == 0, inside
    outside = host.run(*weakened, host.probes["glibc"], "cat", PERSONA)
    assert int(outside["line"], 16) & WEAK
