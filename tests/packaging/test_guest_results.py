# SPDX-License-Identifier: MIT
"""What a guest has written of its tests: all of it is read, if it is of this run, and nothing is put anywhere else."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.guest import qemu
from tests.guest.shell import GuestError


def archive(path: Path, **names: str) -> Path:
    with tarfile.open(path, "w") as made:
        top = tarfile.TarInfo(".")
        top.type = tarfile.DIRTYPE
        made.addfile(top)
        for name, text in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_results_are_read_by_the_oldest_python_that_is_promised(tmp_path: Path) -> None:
    made = archive(
        tmp_path / "image", **{"./token": "t\n", "./junit-unit.xml": "<x/>", "./numbers/a.json": "{}"}
    )
    qemu.unpack_results(made, tmp_path / "into", "t")
    found = {
        str(path.relative_to(tmp_path / "into")) for path in (tmp_path / "into").rglob("*") if path.is_file()
    }
    assert found == {"token", "junit-unit.xml", "numbers/a.json"}
    assert (tmp_path / "into/junit-unit.xml").read_text() == "<x/>"


@pytest.mark.parametrize("name", ["../out", "a/../../out", "{top}/out"])
def test_results_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    made = archive(tmp_path / "image", **{"./token": "t\n", name.format(top=tmp_path): "x"})
    with pytest.raises(GuestError, match="out"):
        qemu.unpack_results(made, tmp_path / "into", "t")
    assert not (tmp_path / "out").exists()


def test_results_of_another_run_are_none(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="not of this run"):
        qemu.unpack_results(archive(tmp_path / "image", token="other\n"), tmp_path / "into", "t")
