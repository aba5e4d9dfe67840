# SPDX-License-Identifier: MIT
"""What is traced decides how much there is to be remembered, and not how much memory that takes."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utraced import trace

if TYPE_CHECKING:
    from jails import Host
    from probes import Probes

FEW = "STOCKADE_GUEST" in os.environ  # an emulated machine takes its time
NUMBERS = (8000, 16000)  # that no kernel has
KEPT_COUNTS = 131072
KEPT_PROGRAMS = 512
KEPT_BYTES = 8 << 20


def many(busy: "Probes", folder: Path, count: int) -> str:
    """A program under many names, of which each is one for the tracer; a pattern for them."""
    folder.mkdir()
    first = shutil.copy2(busy["static-musl"], folder / "p000")  # it may be on another file system
    for number in range(1, count):
        os.link(first, folder / f"p{number:03}")
    return f"{folder}/p*"


def called(programs: dict[str, Any], name: str) -> int:
    return int(programs[name]["counts"]["getppid"])


def test_programs_past_a_bound_are_one(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    count = KEPT_PROGRAMS + 8
    names = many(busy, tmp_path / "d", count)
    traced = trace(host, tmp_path / "t", "/bin/sh", "-c", f"for p in {names}; do $p calls 2; done")
    programs = traced.policy["programs"]
    assert len(programs) == KEPT_PROGRAMS + 1
    # the shell is one of those that are kept
    assert called(programs, "others") == 2 * 9
    assert sum(called(programs, name) for name in programs if name.startswith(f"{tmp_path}/")) == 2 * 511
    assert "more programs were executed than are told apart" in traced.err
    few = trace(host, tmp_path / "t", "/bin/sh", "-c", f"for p in {tmp_path}/d/p00*; do $p calls 2; done")
    assert "others" not in few.policy["programs"] and "told apart" not in few.err


def test_calls_past_a_bound_are_lost_and_that_is_said(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    count = 2 if FEW else KEPT_COUNTS // (NUMBERS[1] - NUMBERS[0]) + 1
    names = many(busy, tmp_path / "d", count)
    loop = f"for p in {names}; do $p calls 1 wild {NUMBERS[0]} {NUMBERS[1]}; done"
    traced = trace(host, tmp_path / "t", "/bin/sh", "-c", loop)
    assert ("some are missing in the policy" in traced.err) == (not FEW)
    assert traced.counts["getppid"] >= count  # shells may call it as well
    # nor is the line long that tells of them
    assert max(map(len, traced.err.splitlines())) < 1000 and " more\n" in traced.err


def test_names_of_files_past_a_bound_are_lost_and_that_is_said(host: "Host", tmp_path: Path) -> None:
    length, count = 4000, KEPT_BYTES // 4000 + 100
    script = f"name=$(printf /%0{length - 5}d 0); i=1000; while [ $i -lt $((1000 + $1)) ]; do"
    script += ' { true <"$name$i"; } 2>/dev/null; i=$((i + 1)); done'
    said = {}
    for number in (count, 10):
        traced = trace(host, tmp_path / "t", "/bin/sh", "-c", script, "sh", number, options=("--paths",))
        said[number] = traced.err
    assert "more files were used than are kept" in said[count]
    assert KEPT_BYTES - length < said[count].count("0" * (length - 6)) * length <= KEPT_BYTES
    assert said[10].count("0" * (length - 6)) == 10 and "are kept" not in said[10]
