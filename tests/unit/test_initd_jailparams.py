# SPDX-License-Identifier: MIT
"""The parameters of a jail: the shell's list and initd's are one, and each lands where its row says."""

import re
from pathlib import Path

import pytest

from initd import jailparams
from initd.definition import Definition
from initd.jailspec import make_spec
from jail.spec import JailSpec

FILES = Path(__file__).resolve().parents[2] / "initd/files"
SHAPES = {"texts": "arrays", "words": "tables", "text": "strings", "flag": "bools"}
WRONG = {"texts": "x", "words": "x", "text": 1, "flag": "maybe"}
every_row = pytest.mark.parametrize("row", jailparams.PARAMETERS, ids=lambda row: row[0])


def define(jail: dict[str, object]) -> Definition:
    table = {"command": ["/bin/true"], "jail": {"name": "x", **jail}}
    return Definition.read("svc", "one", table)  # type: ignore[arg-type]


def test_shell_and_initd_know_the_same_parameters() -> None:
    text = (FILES / "usr/libexec/stockade/jail.sh").read_text()
    for shape, name in SHAPES.items():
        found = re.search(rf"^_procd_jail_{name}=(?:'([^']*)')?$", text, re.MULTILINE)
        assert found, name
        assert (found[1] or "").split() == [row[0] for row in jailparams.PARAMETERS if row[1] == shape]


@every_row
def test_row_names_an_attribute_of_its_shape(row: tuple[str, str, str, bool]) -> None:
    kinds = {"texts": list, "words": dict, "text": str, "flag": bool}
    assert isinstance(getattr(JailSpec("x", ["p"]), row[2]), kinds[row[1]])


@every_row
def test_wrong_shape_is_a_fault(row: tuple[str, str, str, bool]) -> None:
    assert any(fault.startswith(f"jail {row[0]}: ") for fault in define({row[0]: WRONG[row[1]]}).faults)


def test_parameter_lands_in_the_spec_and_makes_namespaces() -> None:
    definition = define({"tmpfs": ["/a", "/b:1m"]})
    spec = make_spec(definition)
    assert (definition.faults, spec.tmpfs, spec.isolate) == ([], ["/a", "/b:1m"], True)
    assert make_spec(define({"tmpfs": []})).isolate is False


def test_other_value_is_another_identity() -> None:
    first, second = define({"tmpfs": ["/a"]}), define({"tmpfs": ["/b"]})
    assert first.identity()[0] != second.identity()[0]
    assert first.identity() == define({"tmpfs": ["/a"]}).identity()


def test_parameter_in_the_wrong_table_is_a_fault() -> None:
    table = {"command": ["/bin/true"], "tmpfs": ["/a"]}
    assert Definition.read("svc", "one", table).faults == ["tmpfs: unknown"]  # type: ignore[arg-type]
