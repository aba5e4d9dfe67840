# SPDX-License-Identifier: MIT
"""The installed commands: one launcher, which looks at its name."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

BIN = Path(os.environ.get("STOCKADE_UJAIL") or Path(sysconfig.get_path("scripts"), "ujail")).parent
UBUS = BIN.parent / "libexec/stockade/ubus"


def said(program: Path, *args: str, **options: object) -> tuple[int, str]:
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=30, **options)  # type: ignore[call-overload]
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ujail", "utrace", "jailctl", "initd"])
def test_each_command_runs_the_module_of_its_name(name: str) -> None:
    status, text = said(BIN / name, "--version")
    assert status == 0 and text.startswith(f"{name} (Stockade) ")


def test_ubus_finds_its_interpreter_from_libexec(tmp_path: Path) -> None:
    assert said(UBUS, "-s", f"{tmp_path}/none", "list") == (255, "Failed to connect to ubus\n")


def test_a_link_named_init_is_initd(tmp_path: Path) -> None:
    (tmp_path / "init").symlink_to(BIN / "initd")
    assert said(tmp_path / "init", "--version")[1].startswith("initd ")


def test_a_link_of_another_name_runs_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "procd").symlink_to(BIN / "initd")
    assert said(tmp_path / "procd", "--version")[1].startswith("initd ")


def test_the_name_that_is_called_comes_first(tmp_path: Path) -> None:
    (tmp_path / "initd").symlink_to(BIN / "ujail")
    assert said(tmp_path / "initd", "--version")[1].startswith("initd ")


def test_a_name_without_a_command_is_refused(tmp_path: Path) -> None:
    shutil.copy(BIN / "initd", tmp_path / "stray")
    status, text = said(tmp_path / "stray")
    assert status == 125 and "no command of that name" in text


def test_a_python_without_cffi_is_told_what_it_lacks(tmp_path: Path) -> None:
    """As a system's own is, to which `make install` has brought the commands."""
    hide = (
        "import sys\nfinder = sys.meta_path[-1]\nfind = finder.find_spec\n"
        "finder.find_spec = lambda name, *rest: None if name == '_cffi_backend' else find(name, *rest)\n"
    )
    (tmp_path / "python3").write_text(
        f"#!{sys.executable}\nimport os, sys\nwords = sys.argv[1:]\nwords[2] = {hide!r} + words[2]\n"
        f"os.execv({sys.executable!r}, ['python3', *words])\n"
    )
    (tmp_path / "python3").chmod(0o755)
    shutil.copy(BIN / "ujail", tmp_path)
    status, text = said(tmp_path / "ujail", "-n", "x", "/bin/true")
    assert status == 125 and text.startswith(f"{tmp_path}/ujail: ") and text.count("\n") == 1
    assert "has no cffi run time (Debian: python3-cffi-backend, OpenWrt: python3-cffi)" in text


def test_closed_descriptors_are_filled() -> None:
    command = f"exec '{BIN}/initd' --version 0<&- 2<&-"
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout.startswith("initd ")


def test_all_that_is_printed_arrives() -> None:
    status, text = said(BIN / "jailctl", "--help")
    assert status == 0 and text.startswith("usage: ") and text.endswith("\n") and len(text) > 1000


def test_output_that_is_lost_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [BIN / "ujail", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30
        )
    assert done.returncode == 125 and done.stderr.endswith("No space left on device\n")
