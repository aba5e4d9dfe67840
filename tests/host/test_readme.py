# SPDX-License-Identifier: MIT
"""What README.md tells to type, typed."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

README = Path(__file__).resolve().parents[2] / "README.md"


def commands(title: str) -> str:
    """The indented lines of a section."""
    section = README.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return "".join(f"{line[4:]}\n" for line in section.splitlines() if line.startswith("    "))


def test_policy_in_five_minutes_is_made_and_holds(host: "Host", tmp_path: Path) -> None:
    for program in ("dnsmasq", "dig", "ip"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip(f"{program} is not installed")
    path = f"{Path(host.ujail).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    script = f"set -e; ip link set lo up; cd {tmp_path}\n{commands('A policy in five minutes')}"
    result = host.run("timeout", 45, "unshare", "-n", "sh", "-c", script, env={**os.environ, "PATH": path})
    assert result.status == 0, result
    assert "status: NOERROR" in result.out and "192.0.2.1" in result.out
    assert "no other programs" in result.out and result.out.splitlines()[-1] == "killed"
    assert (tmp_path / "dns-mipsel.json").exists()
