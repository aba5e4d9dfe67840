# SPDX-License-Identifier: MIT
"""The policies in json-filters: each compiles for each architecture and door, and looks as it should."""

import json
from pathlib import Path
from typing import Any

import pytest

from jail.policy import ARCHES, compile_filter

FOLDER = Path(__file__).resolve().parents[2] / "json-filters"
STARTUP = sorted(FOLDER.glob("startup-*.json"))
POLICIES = sorted(set(FOLDER.glob("*.json")) - set(STARTUP) - {FOLDER / "schema.json"})


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("path", [*POLICIES, *STARTUP], ids=lambda path: path.stem)
def test_policy_compiles_for_every_architecture(path: Path, arch: str) -> None:
    # not lenient: a name that no architecture has is an error
    assert compile_filter(path.read_bytes(), arch, path=str(path)).code


@pytest.mark.parametrize("startup", STARTUP, ids=lambda path: path.stem)
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_policy_compiles_with_every_start_up_set(path: Path, startup: Path) -> None:
    pin = (1, 2, 3)
    for arch in ARCHES:
        text = path.read_bytes()
        assert compile_filter(
            text, arch, path=str(path), startup=startup.read_bytes(), door1=True, exec_pin=pin
        )


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_policy_has_each_name_once_and_the_watched_ones_by_frequency(path: Path) -> None:
    policy = read(path)
    names = [name for rule in policy["syscalls"] for name in rule["names"]]
    assert len(names) == len(set(names))
    watched = policy["syscalls"][0]
    assert watched["comment"] == "watched"
    assert watched["names"] == list(policy["counts"])
    counts = list(policy["counts"].values())
    assert counts == sorted(counts, reverse=True)
    assert all(rule.get("comment") for rule in policy["syscalls"]), "a rule without its reason"


@pytest.mark.parametrize("path", [*POLICIES, *STARTUP], ids=lambda path: path.stem)
def test_policy_follows_the_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")  # not of Python alone: guests go without
    jsonschema.Draft202012Validator(read(FOLDER / "schema.json")).validate(read(path))


@pytest.mark.parametrize("call", ["mount", "ptrace", "bpf", "init_module", "reboot", "setns", "keyctl"])
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_policy_allows_no_call_that_administers_the_machine(path: Path, call: str) -> None:
    for rule in read(path)["syscalls"]:
        assert rule["action"] != "SCMP_ACT_ALLOW" or call not in rule["names"]
