# SPDX-License-Identifier: MIT
"""The recipes keep to the rules of those who read them: Buildroot's manual and its check-package, and each other."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from jail.version import VERSION

REPOSITORY = Path(__file__).resolve().parents[2]
TREE = REPOSITORY / "buildroot"
PACKAGE = TREE / "package/stockade"
CONFIG = PACKAGE / "Config.in"
RECIPE = PACKAGE / "stockade.mk"
FRAGMENT = TREE / "board/stockade/linux.fragment"
FEED = TREE / "openwrt/stockade/Makefile"
DEFCONFIGS = sorted((TREE / "configs").glob("*_defconfig"))
TEXTS = [
    *(TREE / "Config.in", TREE / "external.mk", TREE / "external.desc", CONFIG, RECIPE, FRAGMENT, FEED),
    *(PACKAGE / "stockade.hash", *DEFCONFIGS),
]
SERVICES = ("log", "dnsmasq", "dropbear", "httpd", "ntpd")
# of a symbol in Config.in, in this order
ORDER = {"bool": 1, "prompt": 1, "string": 1, "default": 2, "depends": 3, "select": 4, "help": 5}
ENTRIES = (
    "choice",
    "comment",
    "config",
    "endchoice",
    "endif",
    "endmenu",
    "if",
    "menu",
    "menuconfig",
    "source",
)
HELP = re.compile(r"\t  .{0,62}")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_text_is_clean(path: Path) -> None:
    text = path.read_text()
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert "\n\n\n" not in text.replace("NEWLINE\n\n\n", "")
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert text.isascii()
    assert not os.access(path, os.X_OK)


def test_config_is_in_kconfigs_and_buildroots_form() -> None:
    state, in_help, continued = 0, False, False
    for line in CONFIG.read_text().splitlines():
        word = line.split()[0] if line.strip() else ""
        if continued:
            assert line.startswith("\t"), line
        elif word in ENTRIES and not line.startswith("\t"):
            state, in_help = 0, False
        elif in_help and word:
            assert HELP.fullmatch(line), line
        elif word in ORDER:
            assert line.startswith(f"\t{word}"), line
            assert state <= ORDER[word], f"type, default, depends on, select, help: {line}"
            state, in_help = ORDER[word], word == "help"
            assert line != "\tdefault n"
        else:
            assert not word or word.startswith("#"), line
        continued = line.endswith("\\")


def test_every_select_names_what_it_depends_on() -> None:
    """Kconfig selects without asking: what the selected one depends on has to be asked for here."""
    text = CONFIG.read_text()
    needed = {
        "PYTHON3": ("BR2_USE_WCHAR", "BR2_USE_MMU", "BR2_TOOLCHAIN_HAS_THREADS", "!BR2_STATIC_LIBS"),
        "UBUS": ("BR2_TOOLCHAIN_HAS_SYNC_4",),
        "LIBUBOX": ("BR2_TOOLCHAIN_HAS_SYNC_4",),
    }
    for block in re.split(r"\n(?=(?:menu)?config )", text):
        for selected in re.findall(r"\tselect BR2_PACKAGE_(\w+)", block):
            for symbol in needed.get(selected, ()):
                assert f"\tdepends on {symbol}" in block, f"select {selected} without {symbol}"


def test_recipe_is_in_buildroots_form() -> None:
    lines = RECIPE.read_text().splitlines()
    assert lines[0] == lines[4] == "#" * 80
    assert lines[1:4] == ["#", "# stockade", "#"] and lines[5] == ""
    inside = continued = False
    for line in lines[6:]:
        if line.startswith(("define ", "endef")):
            inside, continued = line.startswith("define "), False
            continue
        conditional = line.startswith(("ifeq", "ifneq", "else", "endif"))
        if line and not line.startswith("#") and not (conditional and not continued):
            assert line.startswith("\t") == (inside or continued), line
        assert "  \\" not in line and "\t\\" not in line and "${" not in line, line
        continued = line.endswith("\\")
    for name in re.findall(r"^(?:define )?([A-Z0-9_]+_[A-Z0-9_]+)", RECIPE.read_text(), re.MULTILINE):
        assert name.startswith("STOCKADE_"), name


def test_recipe_and_configurations_use_symbols_that_exist() -> None:
    known = set(re.findall(r"^(?:menu)?config (\w+)", CONFIG.read_text(), re.MULTILINE))
    for path in (RECIPE, *DEFCONFIGS):
        used = set(re.findall(r"BR2_PACKAGE_STOCKADE\w*", path.read_text()))
        assert used and used <= known, path.name


def test_four_machines() -> None:
    names = [path.name.removeprefix("stockade_qemu_") for path in DEFCONFIGS]
    assert names == [f"{arch}_defconfig" for arch in ("mips32r2_malta", "mips32r2el_malta", "x86_64", "x86")]
    for path in DEFCONFIGS:
        lines = path.read_text().splitlines()
        assert {"BR2_INIT_NONE=y", "BR2_PACKAGE_STOCKADE_INITD_PID1=y"} <= set(lines)
        names = [line.split("=")[0] for line in lines if line.startswith("BR2_")]
        assert len(names) == len(set(names))
        for own in re.findall(r"\$\(BR2_EXTERNAL_STOCKADE_PATH\)/([\w./-]+)", path.read_text()):
            assert (TREE / own).is_file()


def test_versions_and_licence_are_the_products() -> None:
    assert f"STOCKADE_VERSION = {VERSION}\n" in RECIPE.read_text()
    assert f"PKG_VERSION:={VERSION}\n" in FEED.read_text()
    digest = hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest()
    lines = (PACKAGE / "stockade.hash").read_text().splitlines()
    assert f"sha256  {digest}  LICENSE" in lines


def test_kernel_fragment_is_what_the_recipe_switches_on() -> None:
    fixups = set(re.findall(r"KCONFIG_ENABLE_OPT,(CONFIG_\w+)\)", RECIPE.read_text()))
    there = set(re.findall(r"^(CONFIG_\w+)=y$", FRAGMENT.read_text(), re.MULTILINE))
    assert fixups <= there
    assert {"CONFIG_SECCOMP_FILTER", "CONFIG_PID_NS", "CONFIG_UTS_NS", "CONFIG_IPC_NS"} <= fixups


def test_kernel_of_the_guests_has_what_the_recipe_switches_on() -> None:
    """One that boots into the suites with these is known."""
    guest = set((REPOSITORY / "tests/guest/mips.config").read_text().splitlines())
    fixups = re.findall(r"KCONFIG_ENABLE_OPT,(CONFIG_\w+)\)", RECIPE.read_text())
    assert not [name for name in fixups if f"{name}=y" not in guest]


@pytest.mark.parametrize("name", SERVICES)
def test_service_names_only_files_that_are_shipped(name: str) -> None:
    script = (TREE / "files/etc/init.d" / name).read_text()
    for path in re.findall(r"/etc/capabilities/[\w.]+", script):
        assert (TREE / "files" / path.lstrip("/")).is_file()
    for policy in re.findall(r"procd_set_param seccomp /etc/seccomp/([\w.]+)", script):
        assert (REPOSITORY / "json-filters" / policy).is_file()
    for package in re.findall(r"config_load (\w+)", script):
        assert (TREE / "files/etc/config" / package).is_file()
    assert re.search(r"^START=\d\d$", script, re.MULTILINE) and os.access(
        TREE / "files/etc/init.d" / name, os.X_OK
    )


def test_feeds_files_exist() -> None:
    text = FEED.read_text()
    for name in re.findall(r"\./files/([\w.-]+)", text):
        assert (FEED.parent / "files" / name).is_file()
    assert "PROVIDES:=procd-ujail procd-seccomp" in text and "CONFLICTS:=procd-ujail procd-seccomp" in text
