# SPDX-License-Identifier: MIT
"""Names with stars: what they match, by the standard library's own rules, and on the disk."""

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jail import patterns
from jail.errors import ConfigError
from jail.patterns import expand, is_pattern, matches


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.conf", "*.conf", True),
        ("a.conf.bak", "*.conf", False),
        (".conf", "*conf", False),
        (".conf", ".*", True),
        ("abc", "a?c", True),
        ("ac", "a?c", False),
        ("a1", "a[0-9]", True),
        ("ax", "a[!0-9x]", False),
        ("a-", "a[x-]", True),
        ("a[", "a[", True),
        ("a]", "a[]]", True),
        ("[!]", "[!]", True),
        ("a", "[!]]", True),
        ("a*", r"a\*", True),
        ("ab", r"a\*", False),
        ("", "*", True),
    ],
)
def test_match(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


@given(st.text("ab-]![c", max_size=6), st.text("ab*?[]!-c", max_size=8))
def test_same_as_the_standard_library(name: str, pattern: str) -> None:
    assert matches(name, pattern) is fnmatch.fnmatchcase(name, pattern)


def test_long_row_of_stars_ends() -> None:
    assert not matches("a" * 200, "a*" * 100 + "b")


@pytest.mark.parametrize(
    ("text", "expected"), [("/a/*", True), (r"/a/\*", False), (r"/a/\\*", True), ("/a", False)]
)
def test_which_text_is_a_pattern(text: str, expected: bool) -> None:
    assert is_pattern(text) is expected


def test_paths_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x/a.conf", "x/b.conf", "y/a.conf", "y/.c.conf", "z*/a.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "file").write_text("")
    (tmp_path / "x/dangling.conf").symlink_to("nowhere")

    def found(pattern: str) -> list[str]:
        return [path.removeprefix(f"{tmp_path}/") for path in expand(f"{tmp_path}/{pattern}")]

    assert found("x/*.conf") == ["x/a.conf", "x/b.conf", "x/dangling.conf"]
    assert found("[xy]/a*") == ["x/a.conf", "y/a.conf"]
    assert found(r"z\*/*") == ["z*/a.conf"]
    assert found("*/none*") == found("file/*") == []
    monkeypatch.setattr(patterns, "MATCHES_MAX", 2)
    with pytest.raises(ConfigError, match="matches more than 2"):
        found("x/*")
