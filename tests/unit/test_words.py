# SPDX-License-Identifier: MIT
"""Words with parts: where a backslash keeps a letter, and what --tmpfs takes."""

import pytest

from jail.errors import UsageError
from jail.fileargs import read_tmpfs
from jail.words import cut, plain


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/a", ["/a"]),
        ("/a:/b", ["/a", "/b"]),
        ("/a:/b:ro:x", ["/a", "/b", "ro:x"]),
        (r"/a\:b:/c", ["/a:b", "/c"]),
        (r"/a\\:/c", ["/a\\", "/c"]),
        (r"/a\,b\*\?\[:", ["/a,b*?[", ""]),
        (r"/a\b:/c" + "\\", [r"/a\b", "/c\\"]),
        ("", [""]),
    ],
)
def test_parts(text: str, parts: list[str]) -> None:
    assert [plain(part) for part in cut(text, ":", 2)] == parts


@pytest.mark.parametrize(
    ("word", "path", "options"),
    [
        ("/a", "/a", "mode=1777,size=4m,nr_inodes=4096"),
        ("/a/:8m", "/a", "mode=1777,size=8m,nr_inodes=4096"),
        ("/a//b:size=1k,mode=700,inodes=9", "/a/b", "mode=0700,size=1k,nr_inodes=9"),
        (r"/a\:b:10%", "/a:b", "mode=1777,size=10%,nr_inodes=4096"),
    ],
)
def test_tmpfs(word: str, path: str, options: str) -> None:
    got = read_tmpfs(word)
    assert (got.path, got.options, got.executable) == (path, options, False)
    assert read_tmpfs(f"{word}{',' if ':' in word[3:] else ':'}exec").executable


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a", "is not an absolute path"),
        ("", "is not an absolute path"),
        ("/", "the root itself"),
        ("/a/../b", '".." in a target'),
        ("/proc", "is the kernel's"),
        ("/dev/", "is the kernel's"),
        ("/a:0", "is no size"),
        ("/a:1m,huge=always", "'huge=always' is not"),
        ("/a:mode=8", "'mode=8' is not"),
        ("/a:inodes=0", "'inodes=0' is not"),
        ("/a:", "'' is not"),
        ("/a:size=1m,size=", "is no size"),
    ],
)
def test_tmpfs_that_is_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_tmpfs(word)
