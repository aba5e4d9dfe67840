# SPDX-License-Identifier: MIT
"""A firmware that has compiled modules only: everything starts without a single .py of ours, as Buildroot and OpenWrt
install it. And the list of library modules that a firmware needs is all that our commands load.
"""

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildroot import python_modules

REPOSITORY = Path(__file__).resolve().parents[2]
RELEASE = f"python{sys.version_info[0]}.{sys.version_info[1]}"
# a command, its words, and what it then says
COMMANDS = (
    ("ujail", ("--explain", "-n", "x", "-p", "-r", "/etc/hosts", "--", "/bin/true"), "execute /bin/true"),
    ("ujail", ("--help",), "usage: ujail"),
    ("utrace", ("--help",), "usage: utrace"),
    ("initd", ("--help",), "usage: initd"),
    ("jailctl", ("policy", "simulate", f"{REPOSITORY}/json-filters/httpd.json", "read"), "allow"),
    ("jailctl", ("policy", "show", "--asm", f"{REPOSITORY}/json-filters/httpd.json"), "ret"),
    ("jailctl", ("policy", "port", "--to", "mips", f"{REPOSITORY}/json-filters/httpd.json"), "names"),
    ("jailctl", ("syscalls",), "openat"),
)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ and lib/ as on a target, made of what is installed beside this interpreter."""
    place = tmp_path_factory.mktemp("pyc")
    site = place / f"lib/{RELEASE}/site-packages"
    installed = Path(sys.prefix) / f"lib/{RELEASE}/site-packages"
    for package in ("jail", "initd"):
        shutil.copytree(installed / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    for backend in installed.glob("_cffi_backend*.so"):
        shutil.copy(backend, site)
    compileall.compile_dir(site, quiet=2, legacy=True, stripdir=site)
    for source in site.rglob("*.py"):
        source.unlink()
    (place / "bin").mkdir()
    for name in ("ujail", "utrace", "jailctl", "initd"):
        shutil.copy(Path(sys.prefix) / "bin" / name, place / "bin")
    (place / "bin/python3").symlink_to(sys.executable)
    assert not list(place.rglob("*.py"))
    return place


@pytest.mark.parametrize(
    ("name", "words", "said"), COMMANDS, ids=[" ".join(row[1][:3])[:24] for row in COMMANDS]
)
def test_command_starts_without_sources(prefix: Path, name: str, words: tuple[str, ...], said: str) -> None:
    done = subprocess.run([prefix / "bin" / name, *words], capture_output=True, text=True, cwd="/")
    assert done.returncode in (0, 1), done
    assert said in done.stdout + done.stderr, done


@pytest.mark.root
def test_jail_starts_without_sources(prefix: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    words: list[str] = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        str(prefix / "bin/ujail"),
        "-n",
        "x",
        "--",
        "/bin/echo",
        "in",
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "in\n"), done


def test_launchers_imports_are_in_the_list() -> None:
    """gc, os, sys of jail/native/start.c, and what cffi's run time asks for."""
    listed = set(python_modules.modules())
    assert {"gc", "os", "sys", "encodings", "encodings.utf_8"} <= listed


def test_list_has_what_the_commands_load_and_nothing_large(prefix: Path) -> None:
    listed = set(python_modules.modules())
    site = prefix / f"lib/{RELEASE}/site-packages"
    ours = [path.relative_to(site).with_suffix("") for path in sorted(site.glob("*/*.pyc"))]
    names = [".".join(path.parts) for path in ours if not path.name.startswith("__")]
    code = f"import sys; sys.path.insert(0, sys.argv[1])\nimport {', '.join(names)}\n"
    code += "print('\\n'.join(name for name in sys.modules if name.split('.')[0] in sys.stdlib_module_names))"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code, site], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split()) - {"__main__"}
    assert loaded <= listed, loaded - listed
    assert not listed & {
        "asyncio",
        "logging",
        "subprocess",
        "argparse",
        "typing",
        "unicodedata",
        "_hashlib",
        "_ssl",
    }


def test_own_sources_are_all_looked_at() -> None:
    looked_at = {path.relative_to(REPOSITORY) for path in python_modules.own_sources()}
    assert Path("initd/main.py") in looked_at and Path("jail/native/build.py") not in looked_at
    assert len(looked_at) > 50
