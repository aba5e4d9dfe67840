# SPDX-License-Identifier: MIT
"""The shim and the stub: size, relocations, and what the shim adds to a program's start, in instructions."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from programs import big_policy
from report import Row, Section
from workshop import Workshop

from jail.doors import SHIM
from jail.privilege import STUB

TRUE = "/bin/true"


def measure(shop: Workshop, rounds: int) -> list[Section]:
    return [_sizes(), _start_up(shop)]


def _sizes() -> Section:
    section = Section("Size of the shim and the stub", "readelf of what is installed")
    for name, path in (("shim", SHIM), ("stub", STUB)):
        section.add(Row(f"{name}: file", Path(path).stat().st_size / 1024, "KiB"))
        if not shutil.which("readelf"):
            section.say("readelf is not installed: no more than the file sizes")
            continue
        sections = _readelf("-SW", path)
        for wanted in (".text", ".rodata", ".data", ".bss"):
            found = re.search(rf" \{wanted} +\w+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)", sections)
            section.add(Row(f"{name}: {wanted}", int(found[1], 16) if found else 0, "bytes"))
        relocations = re.findall(r"contains (\d+) entr", _readelf("-rW", path))
        section.add(Row(f"{name}: dynamic relocations", sum(map(int, relocations)), ""))
    return section


def _readelf(option: str, path: str) -> str:
    return subprocess.run(["readelf", option, path], capture_output=True, text=True, check=True).stdout


def _start_up(shop: Workshop) -> Section:
    section = Section(
        "What the shim adds to a start",
        "callgrind, instructions up to the seccomp call (which valgrind does not have), beyond those of"
        " /bin/true alone",
        ratio_to="to true alone",
    )
    loader = _interpreter(TRUE)
    if not shutil.which("valgrind") or not loader:
        section.say("valgrind or readelf is not installed: not measured")
        return section
    big = shop.root / "big.json"
    big.write_bytes(big_policy())
    alone = count_instructions(shop, [loader, TRUE])
    if alone is None:
        section.say("valgrind does not run here: not measured")
        return section
    section.add(Row("true alone", alone / 1e3, "k", ratio=1))
    for name, policy in (("small policy", shop.policy), ("big policy", str(big))):
        with_shim = count_instructions(shop, [loader, "--preload", SHIM, TRUE], policy)
        if with_shim is not None:
            size = Path(policy).stat().st_size / 1024
            note = f"{size:.1f} KiB of JSON"
            section.add(
                Row(f"the shim, {name}", (with_shim - alone) / 1e3, "k", None, with_shim / alone, note=note)
            )
    return section


def _interpreter(path: str) -> str:
    found = re.search(r"interpreter: (\S+)\]", _readelf("-lW", path)) if shutil.which("readelf") else None
    return found[1] if found else ""


def count_instructions(shop: Workshop, argv: list[str], policy: str = "") -> int | None:
    """Run a program under callgrind by its loader, so that valgrind itself does not load the shim."""
    out = f"--callgrind-out-file={shop.root}/callgrind"
    env = {**os.environ, **({"SECCOMP_FILE": policy} if policy else {})}
    line = ["valgrind", "--tool=callgrind", out, *argv]
    said = subprocess.run(line, capture_output=True, text=True, env=env).stderr
    found = re.search(r"Collected : (\d+)", said)
    return int(found[1]) if found else None
