# SPDX-License-Identifier: MIT
"""What the documents say of the tree is so: the map of files, names of files, links, the form of decisions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "json-filters").glob("*.md"),
        *(ROOT / "buildroot").glob("*.md"),
    )
] + ["tests/README.md", "tests/bench/README.md"]
# a part of DESIGN.md's map: where it begins and ends, the directory, the files
MAPS = [
    ("**Who holds what in `jail/`.**", "**Who holds what in `initd/`.**", "jail", "*.py"),
    ("**Who holds what in `initd/`.**", "In `initd/ubus/`:", "initd", "*.py"),
    ("In `initd/ubus/`:", "**Who holds what in C.**", "initd/ubus", "*.py"),
    ("**Who holds what in C.**", "`preload/`:\n", "jail/native", "*.c"),
    ("`preload/`:\n", "## Decisions", "preload", "*.c"),
]
# where a name without its directory may be
PLACES = [
    "",
    "tests",
    "tests/unit",
    "tests/host",
    "tests/packaging",
    "jail",
    "jail/native",
    "initd",
    "json-filters/tables",
    "preload",
]
QUESTIONS = ["*Question:*", "*Choice:*", "*Reason:*", "*Would change our mind:*"]


@pytest.mark.parametrize(("begin", "end", "folder", "files"), MAPS, ids=[each[2] for each in MAPS])
def test_the_map_names_each_file(begin: str, end: str, folder: str, files: str) -> None:
    text = (ROOT / "DESIGN.md").read_text().partition(begin)[2].partition(end)[0]
    named = set(re.findall(r"`([\w*]+\.[a-z]+)`", text))
    there = {path.name for path in (ROOT / folder).glob(files)} - {"__init__.py", "_native.c"}
    patterns = [name for name in named if "*" in name]
    unnamed = {name for name in there - named if not any(Path(name).match(each) for each in patterns)}
    assert there and not unnamed
    assert {name for name in named if Path(name).match(files)} - {*patterns, "build.py"} <= there


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    assert [each for each in targets if "://" not in each and not (path.parent / each).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_exist(document: str) -> None:
    """Those with a directory of ours before them, and tests; not what tests write."""
    path = ROOT / document
    named = set(re.findall(r"`([\w./-]*?(?:/|test_)[\w./-]*\.(?:py|c|h|sh|json|md|awk))\b", path.read_text()))
    ours = {each for each in named if not each.startswith(("/", ".", "tests/results/"))}
    folders = [*PLACES, path.parent.relative_to(ROOT).as_posix()]
    missing = {each for each in ours if not any((ROOT / folder / each).exists() for folder in folders)}
    assert missing == set()


def test_each_decision_answers_the_four_questions() -> None:
    decisions = (
        (ROOT / "DESIGN.md").read_text().partition("## Decisions")[2].partition("### Where we differ")[0]
    )
    found = re.split(r"^\*\*(\d{4}-\d\d-\d\d · .*?)\*\*$", decisions, flags=re.MULTILINE | re.DOTALL)[1:]
    assert len(found) > 2
    for title, body in zip(found[::2], found[1::2], strict=True):
        text = " ".join(body.split())
        assert [each for each in QUESTIONS if each not in text] == [], title
