# SPDX-License-Identifier: MIT
"""Built as Buildroot's python-package infrastructure builds it, for mipsel: with its variables and none of ours.

That is `python -m build -n -w` with the compiler, its flags and the target's configuration of Python in the
environment, and then what its pyinstaller.py does with the wheel. Needs the guests' compiler, headers and roots, which
`make image ARCH=mipsel` or `make test-guests ARCH=mipsel` bring. Where they are not, it is skipped, but waits for
them where guests run afterwards and they are being made (tests/everything.py).
"""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest import artifacts, toolchain
from tests.guest.arches import ARCHES
from tests.guest.cache import cache_folder
from tests.guest.root import root

ARCH = ARCHES["mipsel"]
EM_MIPS, LITTLE = 8, 1
COMMANDS = ("bin/ujail", "bin/utrace", "bin/jailctl", "bin/initd", "libexec/stockade/ubus")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = {path.name.rpartition("-")[0] for path in cache_folder().glob("*-*")}
    is_there = {f"toolchain-{ARCH.triple}", "python-dev-mipsel", "root-mipsel"} <= there
    if not is_there and "STOCKADE_MAKING" not in os.environ:
        pytest.skip("no compiler for mipsel in the cache of the guests")
    work = tmp_path_factory.mktemp("cross")
    source = work / "source"
    artifacts.copy_source(source)
    # the target's library and headers in staging; that configuration names the headers by their place there
    headers = work / "staging/usr/include/python3.11"
    artifacts.python_headers(ARCH, headers)
    library = work / "staging/usr/lib/python3.11"
    library.mkdir(parents=True)
    data = next((root(ARCH) / "usr/lib/python3.11").glob("_sysconfigdata__*mipsel*.py"))
    text = data.read_text().replace("'/usr/include/python3.11'", repr(str(headers)))
    (library / data.name).write_text(text)
    env = environment(library, work, data.stem)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([*command, work / "dist", "."], cwd=source, env=env, check=True)
    (found,) = (work / "dist").iterdir()
    return found


def environment(library: Path, base: Path, data: str) -> dict[str, str]:
    """What the infrastructure sets, with TARGET_CONFIGURE_OPTS as far as setuptools looks at it."""
    tools = toolchain.toolchain(ARCH.triple, ARCH.name) / "bin"
    prefix = f"{tools}/{ARCH.triple}-"
    return {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "_PYTHON_HOST_PLATFORM": "linux-mipsel",
        "_PYTHON_PROJECT_BASE": str(base),
        "_PYTHON_SYSCONFIGDATA_NAME": data,
        # build's own tools are the host's site-packages there; here they are kept apart
        "PYTHONPATH": f"{library}:{artifacts.build_tools()}",
        "PYTHONNOUSERSITE": "1",
        **{name: f"{prefix}{tool}" for name, tool in (("CC", "gcc"), ("LD", "ld"), ("AR", "ar"))},
        **{name: f"{prefix}{tool}" for name, tool in (("NM", "nm"), ("STRIP", "strip"))},
        "CFLAGS": "-D_LARGEFILE_SOURCE -D_FILE_OFFSET_BITS=64 -Os -g0",
        "CPPFLAGS": "-D_LARGEFILE_SOURCE -D_FILE_OFFSET_BITS=64",
        "LDFLAGS": "",
    }


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as pyinstaller.py does: modules into purelib, data below the prefix."""
    place = tmp_path_factory.mktemp("target")
    site = place / "usr/lib/python3.11/site-packages"
    shutil.unpack_archive(wheel, site, "zip")
    (data,) = site.glob("*.data")
    shutil.copytree(data / "data", place / "usr", dirs_exist_ok=True)
    return place


def machine(path: Path) -> tuple[int, int]:
    """(byte order, machine) of an ELF file."""
    head = path.read_bytes()[:20]
    assert head[:4] == b"\x7fELF", path
    return head[5], struct.unpack_from("<H", head, 18)[0]


def test_wheel_is_for_the_target_by_its_name(wheel: Path) -> None:
    assert wheel.name.startswith("stockade-") and wheel.name.endswith("linux_mipsel.whl")


def test_all_that_is_compiled_is_for_the_target(target: Path) -> None:
    site = target / "usr/lib/python3.11/site-packages"
    programs = [target / "usr" / name for name in COMMANDS]
    native = next((site / "jail").glob("_native*.so"))
    for path in (native, site / "jail/libpreload-seccomp.so", site / "jail/ujail-init", *programs):
        assert machine(path) == (LITTLE, EM_MIPS), path


def test_nothing_of_the_hosts_paths_is_in_it(target: Path) -> None:
    compiler = str(cache_folder()).encode()
    for path in target.rglob("*"):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            assert compiler not in path.read_bytes(), path


def test_manuals_and_filters_come_along(target: Path) -> None:
    assert (target / "usr/share/man/man8/ujail.8").is_file()
    assert (target / "usr/lib/python3.11/site-packages/jail/json-filters/startup-musl.json").is_file()
