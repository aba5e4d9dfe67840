# SPDX-License-Identifier: MIT
"""What the maker of a network imports: of pyroute2 its messages and nothing that is not needed for them."""

import subprocess
import sys

import pytest

pytest.importorskip("pyroute2")
# each of these is most of pyroute2's import, or of its memory
HEAVY = ("asyncio", "ssl", "sqlite3", "pyroute2.iproute", "pyroute2.ndb")
LOADING = "import sys; from jail import rtnetlink; rtnetlink.load({names}); {then}; print(*sys.modules)"


def modules(names: str, then: str = "pass", before: str = "pass") -> set[str]:
    code = f"{before}\n{LOADING.format(names=names, then=then)}"
    done = subprocess.run([sys.executable, "-Ic", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_messages_come_without_the_rest_of_pyroute2() -> None:
    loaded = modules("rtnetlink.MODULES")
    assert "pyroute2.netlink.rtnl.rtmsg" in loaded
    assert [name for name in HEAVY if name in loaded] == []
    whole = modules("['pyroute2']", before="import pyroute2")
    assert {"pyroute2.iproute", "pyroute2.ndb"} <= whole and 2 * len(loaded) < len(whole)


def test_rules_come_without_the_rest_of_pyroute2() -> None:
    loaded = modules("[*rtnetlink.MODULES, rtnetlink.RULES]", "from pyroute2.nftables.main import NFTables")
    assert [name for name in ("sqlite3", "pyroute2.iproute", "pyroute2.ndb") if name in loaded] == []


def test_version_that_needs_its_names_is_imported_whole(tmp_path: object) -> None:
    """A package whose module takes a name from the package itself, as some of pyroute2's did long ago."""
    from pathlib import Path

    package = Path(str(tmp_path)) / "pyroute2"
    package.mkdir()
    (package / "__init__.py").write_text("WORD = 'whole'\n")
    (package / "part.py").write_text("from pyroute2 import WORD\n")
    then = "from pyroute2.part import WORD; assert WORD == 'whole'"
    assert "pyroute2.part" in modules(
        "['pyroute2.part']", then, f"import sys; sys.path[:0] = [{str(tmp_path)!r}]"
    )


def test_none_is_an_import_error() -> None:
    before = "import sys; from jail import rtnetlink; rtnetlink.PACKAGE = 'pyroute_none'"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        modules("rtnetlink.MODULES", before=before)
    assert "ImportError: no module named pyroute_none" in caught.value.stderr
