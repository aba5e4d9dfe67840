# SPDX-License-Identifier: MIT
"""procd.sh(7) names every function, parameter and flag that a script can use, and none that there is not."""

import re
from pathlib import Path

from initd import jailparams
from initd.definition import FLAGS, KEYS

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "initd/files"
PAGE = (ROOT / "man/procd.sh.7").read_text()
# made by other functions than procd_set_param, or keys of the message alone
MADE = {"jail", "triggers", "trace"}
NOT_OF_SCRIPTS = {"console", "immediately"}  # flags on the bus, parameters in a script


def section(title: str) -> set[str]:
    """The items of one part of the page."""
    text = PAGE.partition(f".Ss {title}\n")[2].partition("\n.S")[0]
    return set(re.findall(r"^\.It Li (\S+)", text, re.MULTILINE))


def test_functions() -> None:
    shell = [FILES / "lib/functions/procd.sh", *(FILES / "usr/libexec/stockade").glob("*.sh")]
    found = {
        name
        for path in shell
        for name in re.findall(r"^((?:procd|uci)_[a-z_]+)\(\)", path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"Ic ((?:procd|uci)_[a-z_]+)", PAGE)) == found


def test_parameters() -> None:
    assert section("Parameters") == set(KEYS) - MADE


def test_flags_and_parameters_of_a_jail() -> None:
    assert section("Flags of a jail") == set(FLAGS) - NOT_OF_SCRIPTS
    own = {"hostname", "pidfile", "setns"}
    assert section("Parameters of a jail") == {*jailparams.KEYS, *own, *NOT_OF_SCRIPTS}
