# SPDX-License-Identifier: MIT
"""What is built from this checkout for a guest: the product by its own setup.py, the tests' C programs."""

import shutil
import sys
import tomllib
from pathlib import Path

from tests.guest import bigendian, compilers
from tests.guest.arches import Arch
from tests.guest.cache import kept
from tests.guest.packages import unpacked
from tests.guest.root import PYTHON, REPOSITORY, packages_folder, precompile
from tests.guest.shell import GuestError, download, output, run

# The tests' C programs lie here; bench/ and fuzz/ have their own
PROGRAM_FOLDERS = ("tests", "tests/host", "tests/attack", "tests/guest/inside")
PROGRAM_FLAGS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wvla", "-Wshadow")


def copy_source(place: Path) -> None:
    """The files of the checkout as they are now: tracked ones, and new ones that git does not ignore."""
    names = output("git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in sorted(set(names.split("\0"))):
        source, target = REPOSITORY / name, place / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def python_headers(arch: Arch, place: Path) -> Path:
    """The target's Python.h with the pyconfig.h that belongs to it, and no header of its C library."""
    if not arch.debian:
        return bigendian.python() / f"usr/include/{PYTHON}"
    there = unpacked(arch.debian, "python-dev", [f"lib{PYTHON}-dev"]) / "usr/include"
    shutil.copytree(there / PYTHON, place)
    config = next(path for path in there.rglob("pyconfig.h") if path.parent.parent != there)
    shutil.copy(config, place / "pyconfig.h")
    return place


def build_tools() -> Path:
    """What pyproject.toml asks for in order to build, kept: pip would fetch it anew for each guest."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], "wheel"]

    def make(place: Path) -> None:
        log = place / "log"
        download(
            sys.executable, "-m", "pip", "install", "-q", "--target", place / "packages", *wanted, log=log
        )

    return kept("build-tools", wanted, make) / "packages"


def install(arch: Arch, source: Path, root: Path, log: Path) -> None:
    """Build the product for a guest and install it into the guest's root."""
    glibc, musl = compilers.glibc(arch), compilers.musl(arch)
    headers = python_headers(arch, source.with_name("python-headers"))
    env = {
        "CC": " ".join(glibc),
        "LDSHARED": " ".join([*glibc, "-shared"]),
        "CFLAGS": f"-Os -I{headers}",
        "LDFLAGS": "",
        "STUB_CC": " ".join(musl),
        "PYTHONPATH": str(build_tools()),
        **({"SHIM32_CC": "gcc -m32"} if arch.name == "x86_64" else {}),
    }
    apart = source.with_name("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-compile"),
        *("--target", apart, source),
        log=log,
        env=env,
    )
    # --target puts the commands and the manual beside the modules
    for name in ("bin", "libexec", "share"):
        if (apart / name).is_dir():
            run("cp", "-a", f"{apart}/{name}", root / "usr", log=log)
            shutil.rmtree(apart / name)
    precompile(apart, apart, f"/{packages_folder(arch)}")
    run("cp", "-a", f"{apart}/.", root / packages_folder(arch), log=log)


def programs(arch: Arch, source: Path, place: Path, log: Path) -> None:
    """Every C program of the tests, in each of the kinds that lib/probes.py knows: NAME-KIND."""
    place.mkdir(parents=True)
    glibc, musl = compilers.glibc(arch), compilers.musl(arch)
    kinds = {
        "glibc": glibc,
        "musl": musl,
        "static-glibc": [*glibc, "-static"],
        "static-musl": [*musl, "-static"],
    }
    if arch.name == "x86_64":
        kinds["i386"] = [*glibc, "-m32"]
    for folder in PROGRAM_FOLDERS:
        for path in sorted((source / folder).glob("*.c")):
            for kind, command in kinds.items():
                program(command, path, place / f"{path.stem}-{kind}", log)


def program(command: list[str], path: Path, out: Path, log: Path) -> None:
    """One program. Not every one is for every architecture: whoever misses it is told why."""
    try:
        run(*command, *PROGRAM_FLAGS, path, "-s", "-o", out, log=log)
    except GuestError as error:
        out.with_suffix(".error").write_text(str(error))
    else:
        if out.name.endswith("-musl") and "-static" not in command and b"libc.so\0" not in out.read_bytes():
            raise GuestError(f"{out.name} was linked statically")
