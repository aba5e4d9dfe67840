# SPDX-License-Identifier: MIT
"""What the maker of a network loads of pyroute2: what encodes its messages, which are then the same as ever."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jail
from jail import pyroute

pytest.importorskip("pyroute2")
# each of these is most of pyroute2's import, or of its memory
HEAVY = ("asyncio", "ssl", "sqlite3", "subprocess", "socket", "pyroute2.iproute", "pyroute2.ndb")
LOADING = "import sys; from jail import pyroute; pyroute.load({names}); {then}; print(*sys.modules)"
LINKS, ALL = "*pyroute.LINKS", "*pyroute.LINKS, pyroute.RULES"
ENCODED = f"""
from jail import netlink, netrules, nftables, pyroute, rtnetlink
from jail.networds import parse
pyroute.load({ALL})
network = parse([], ["tcp:53", "udp:1-9"], ["tcp:10.0.0.0/8:443", "tcp:[fd00::/8]:443"], "j")
peer = rtnetlink.attributes({{"ifname": "eth0", "net_ns_fd": 5, "address": "02:00:00:00:00:09", "mtu": 1400}})
messages = [
    *[nftables.message(*command) for command in netrules.commands(network)],
    rtnetlink.new_link("veth", {{"VETH_INFO_PEER": {{"attrs": peer}}}}, {{"ifname": "outer"}}),
    rtnetlink.new_link("macvlan", {{"IFLA_MACVLAN_MODE": "private"}}, {{"link": 3, "net_ns_fd": 4}}),
    rtnetlink.link({{"up": True, "ifalias": "jail t eth0", "master": 3}}),
    *[rtnetlink.address(3, text) for text in ("10.9.0.2/24", "fd09::2/64")],
    *[rtnetlink.route(3, *words) for words in (("0.0.0.0/0", "10.9.0.1"), ("fd00::/8", ""))],
]
for message in messages:
    print(netlink.encode(message, 1, 2, 3).hex())
"""


def python(code: str, *options: str) -> str:
    words = [sys.executable, "-I", *options, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def modules(names: str, then: str = "pass", before: str = "pass") -> set[str]:
    return set(python(f"{before}\n{LOADING.format(names=names, then=then)}").split())


@pytest.mark.parametrize("names", [LINKS, ALL])
def test_messages_come_without_the_rest_of_pyroute2(names: str) -> None:
    loaded = modules(names)
    assert "pyroute2.netlink.rtnl.rtmsg" in loaded
    assert ("pyroute2.netlink.nfnetlink.nftsocket" in loaded) == (names == ALL)
    assert loaded.isdisjoint({*HEAVY, *pyroute.UNUSED})


def test_messages_are_those_of_the_whole_pyroute2() -> None:
    """Twin: what is imported then is what was left out."""
    *whole, names = python(f"import sys, pyroute2\n{ENCODED}\nprint(*sys.modules)").splitlines()
    assert {"pyroute2.iproute", "pyroute2.ndb", *pyroute.UNUSED} <= set(names.split())
    assert len(whole) > 20 and python(ENCODED).splitlines() == whole


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        # takes a name from the package itself, as some of pyroute2's did long ago
        ("WORD = 'whole'", "from pyroute2 import WORD", "whole"),
        ("", "import logging, typing\nWORD: typing.Any = logging.INFO + 1", "21"),
        ("", "import threading\nWORD = 'other' if threading.local() else ''", "other"),
    ],
)
def test_version_that_needs_more_is_imported_whole(
    tmp_path: Path, whole: str, part: str, expected: str
) -> None:
    package = tmp_path / "pyroute2"
    package.mkdir()
    (package / "__init__.py").write_text(f"{whole}\n")
    (package / "part.py").write_text(f"{part}\n")
    then = (
        f"from pyroute2.part import WORD; assert str(WORD) == {expected!r}; import logging; logging.INFO + 1"
    )
    before = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]"
    assert "pyroute2.part" in modules("'pyroute2.part'", then, before)


def test_what_is_left_out_is_no_value() -> None:
    unused: Any = pyroute.Unused()

    class Derived(unused.Base[unused.Any]):  # type: ignore[misc]
        pass

    assert Derived.__bases__ == (object,) and list(unused.some(unused)) == []
    for use in (bool, int, len, str, bytes.fromhex, lambda value: struct.pack("I", value)):
        with pytest.raises((TypeError, struct.error)):
            use(unused)


def test_places_are_found_without_site(tmp_path: Path) -> None:
    """As our commands are started: with the folder of stockade, which need not be that of pyroute2."""
    import _cffi_backend  # type: ignore[import-untyped]

    for path in (Path(jail.__file__).parent, Path(_cffi_backend.__file__)):
        (tmp_path / path.name).symlink_to(path)
    assert "pyroute2.netlink.rtnl.rtmsg" in python(
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n{LOADING.format(names=LINKS, then='pass')}", "-S"
    )


def test_none_is_an_import_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        modules(LINKS, before="import sys; from jail import pyroute; pyroute.PACKAGE = 'pyroute_none'")
    assert "ImportError: no module named pyroute_none" in caught.value.stderr
