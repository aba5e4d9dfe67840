# SPDX-License-Identifier: MIT
"""Words with parts: where a backslash keeps a letter, and what --tmpfs takes."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from jail.errors import UsageError
from jail.fileargs import read_bind, read_device, read_mask, read_share, read_tmpfs
from jail.spec import JailSpec
from jail.words import cut, for_shell, kept, plain


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
        (f"/{'b' * 255}:size=1k,mode=700,inodes=9", f"/{'b' * 255}", "mode=0700,size=1k,nr_inodes=9"),
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
        ("/a" * 3000, "longer than a path can be"),
        (f"/a/{'b' * 256}", "longer than a path can be"),
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


def flags(word: str) -> tuple[object, ...]:
    share = read_bind(word)
    return share.writable, share.required, share.is_noexec, share.has_devices, share.is_slave, share.is_live


@pytest.mark.parametrize(
    ("word", "source", "target", "expected"),
    [
        ("/a", "/a", "/a", (False, True, False, None, False, False)),
        ("/a:/b:rw,noexec,nodev", "/a", "/b", (True, True, True, False, False, False)),
        ("/a::slave,dev,optional", "/a", "/a", (False, False, False, True, True, False)),
        (r"/a\:b:/c\:d:live", "/a:b", "/c:d", (False, True, False, None, False, True)),
    ],
)
def test_bind(word: str, source: str, target: str, expected: tuple[object, ...]) -> None:
    share = read_bind(word)
    assert (share.source, share.target, flags(word)) == (source, target, expected)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("/a:/b:readonly", "unknown flag 'readonly'"),
        ("/a:/b:slav", r'unknown flag .*did you mean "slave"'),
        ("/a:/b:ro,rw", "ro and rw do not go together"),
        ("/a:/b:slave,live", "slave and live"),
    ],
)
def test_bind_that_is_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_bind(word)


def test_share_with_letters_that_have_a_meaning() -> None:
    [share] = read_share(r"/a\*\:b:/c", True)
    assert (share.source, share.target, share.writable, share.is_pattern) == ("/a*:b", "/c", True, False)
    [share] = read_share(r"/a\:/*", False)
    assert (share.source, share.is_pattern) == (r"/a\:/*", True)
    with pytest.raises(UsageError, match="cannot have a target"):
        read_share("/a*:/b", False)


def test_presets() -> None:
    assert "/etc/ssl/certs" in [share.source for share in read_share("@tls", False)]
    assert all(share.is_quiet and not share.required for share in read_share("@tz", False))
    [socket] = read_share("@ubus", False, "/elsewhere")
    assert (socket.source, socket.target, socket.writable, socket.required) == (
        "/elsewhere", "/var/run/ubus/ubus.sock", True, True,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r'no such preset.*did you mean "@resolver"'):
        read_share("@resolve", False)
    with pytest.raises(UsageError, match="is read-only"):
        read_share("@tls", True)


def test_devices_and_masks() -> None:
    assert read_device("ttyUSB0").source == read_device("/dev/ttyUSB0").source == "/dev/ttyUSB0"
    assert read_mask(r"/a\:b/") == "/a:b"
    for word in ("/dev", "x", "/"):
        with pytest.raises(UsageError):
            read_mask(word)


def test_spec_needs_namespaces_for_what_is_mounted() -> None:
    for name in ("binds", "devices", "masks", "tmpfs"):
        spec = JailSpec("x", ["p"])
        setattr(spec, name, ["/a"])
        spec.validate()
        spec.isolate = False
        with pytest.raises(UsageError, match="needs a jail with namespaces"):
            spec.validate()


NAMES = [
    "/a",
    "/a b",
    "/it's",
    "/$HOME`x`",
    "/a\\b:c*?[d]",
    "/a\n-r /etc/shadow",
    "/\x1b[31m\u2028'\\",
    "/\udcff\u00e9\t1",
    "",
]


def test_a_word_for_a_shell_is_one_line_and_comes_out_as_it_was() -> None:
    words = [for_shell(name) for name in NAMES]
    assert all(word.isprintable() for word in words)
    assert words[0] == "/a"  # what needs no quotes has none
    assert [read_word(word) for word in words] == NAMES
    if shutil.which("bash"):
        command = ["bash", "-c", "printf '%s\\0' " + " ".join(words)]
        said = subprocess.run(command, check=True, capture_output=True, env={"LC_ALL": "C"}).stdout
        assert [os.fsdecode(word) for word in said.split(b"\0")[:-1]] == NAMES


def read_word(word: str) -> str:
    """As bash and BusyBox's ash read it."""
    if not word.startswith("$'"):
        return "".join(shlex.split(word))
    parts = re.split(r"\\([0-7]{3}|.)", word[2:-1])
    read = [os.fsencode(part) for part in parts]
    for at in range(1, len(parts), 2):
        read[at] = bytes([int(parts[at], 8)]) if parts[at].isdigit() else os.fsencode(parts[at])
    return os.fsdecode(b"".join(read))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_kept_path_is_no_pattern_and_has_no_target(name: str) -> None:
    spec = JailSpec("x", ["/bin/true"])
    spec.share(kept(name))
    assert [(share.source, share.target, share.is_pattern) for share in spec.shares] == [(name, name, False)]
