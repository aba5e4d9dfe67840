# SPDX-License-Identifier: MIT
"""Which kernel a guest gets: what both byte orders of mips are built from, and where newer packages come from."""

from pathlib import Path

import pytest

from tests.guest import kernel, packages
from tests.guest.arches import ARCHES
from tests.guest.shell import GuestError


def test_byte_orders_differ_in_that_alone() -> None:
    big, little = (kernel.fragment(ARCHES[name]).splitlines() for name in ("mips", "mipsel"))
    assert set(big) ^ set(little) == {"CONFIG_CPU_BIG_ENDIAN=y", "CONFIG_CPU_LITTLE_ENDIAN=y"}
    assert "CONFIG_PAGE_SIZE_64KB=y" in big and "# CONFIG_VT is not set" in big
    assert all("CONFIG_" in line for line in big)  # a comment makes no new kernel


def test_option_that_kconfig_dropped_is_an_error() -> None:
    wanted = "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n"
    kernel.check_config(wanted, "CONFIG_B=y\nCONFIG_A=y\n")
    with pytest.raises(GuestError, match=r"lost CONFIG_B=y$"):
        kernel.check_config(wanted, "CONFIG_A=y\n# CONFIG_B is not set\n")


def test_backports_are_those_of_each_release() -> None:
    sources = [("http://one/debian/", "bookworm"), ("http://one/debian/", "bookworm-updates")]
    assert packages.backports(sources) == [("http://one/debian/", "bookworm-backports")]


def module(folder: Path, name: str, depends: str) -> None:
    (folder / f"{name}.ko").write_bytes(b"\x7fELF\0depends=" + depends.encode() + b"\0name=x\0")


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    module(tmp_path, "bridge", "stp,llc")
    module(tmp_path, "stp", "llc")
    module(tmp_path, "llc", "")
    module(tmp_path, "nf-tables", "")
    found = kernel.in_order(tmp_path, ("built_in", "nf_tables", "bridge"))
    assert [path.stem for path in found] == ["nf-tables", "llc", "stp", "bridge"]
