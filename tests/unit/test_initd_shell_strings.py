# SPDX-License-Identifier: MIT
"""Any text without NUL goes through the shell into JSON and comes back the same."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from initd_shell import AVAILABLE, FILES, World

QUOTE = """_procd_libexec=$STOCKADE_LIBEXEC
. "$_procd_libexec/json.sh"
for text; do
	_procd_quote "$text"
	printf "%s\\0" "$_procd_q"
done"""
LIBEXEC = str(FILES / "usr/libexec/stockade")
ODD = [
    *(chr(code) for code in range(1, 256)),
    *(
        f"{before}{chr(code)}{after}"
        for code in (*range(1, 33), 34, 39, 92, 127)
        for before in ("", "a\n")
        for after in ("", "b", "\n")
    ),
    *(
        "",
        "-n",
        "-e",
        "--",
        "%s",
        "$HOME",
        "`id`",
        "$(id)",
        "*",
        "?",
        "[a-z]",
        "~",
        "\\n",
        "\\\\",
        '\\"',
        "a b",
        " ",
        "\n\n",
        "\t\t",
    ),
    *("ä€😀", "e\u0301", "\u0085", "\u2028", "\ufeff", "\U0010ffff", "x" * 3000, "ü" * 600),
    *(
        "%s" % ('"\\\n\t\x01\x1f' * 100),
        '"' * 600,
        "\\" * 601,
        "\n" * 700,
        "a" * 512 + '"',
        "a" * 511 + '"' + "\x7f",
    ),
]


def quoted(world: World, shell: str, texts: list[bytes], **environment: str) -> list[bytes]:
    ran = world.run(shell, "-c", QUOTE, "sh", *texts, STOCKADE_LIBEXEC=LIBEXEC, **environment)
    assert ran.status == 0, ran
    return [text.encode("utf-8", "surrogateescape") for text in ran.out.split("\0")[:-1]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("strings"))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("shell", AVAILABLE)
def test_odd_strings_survive(world: World, shell: str, locale: str) -> None:
    got = quoted(world, shell, [text.encode() for text in ODD], LC_ALL=locale)
    assert [json.loads(text) for text in got] == ODD


# What is no UTF-8 stays as it is, byte for byte: file names are bytes, and blobs carry them
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("shell", AVAILABLE)
def test_bytes_that_are_no_text_survive(world: World, shell: str, locale: str) -> None:
    texts = [bytes([code]) for code in range(128, 256)]
    texts += [b'\xff"\x80\n\xc3(', b"\xed\xa0\x80\\", b'"\xf8\x88\x80\x80\x80"', b'\xff"' * 400]
    texts += [b"X\xaa\xcf\xcf\x0b\xf3\\\x02<"]
    got = quoted(world, shell, texts, LC_ALL=locale)
    assert [json.loads(text.decode("utf-8", "surrogateescape")) for text in got] == [
        text.decode("utf-8", "surrogateescape") for text in texts
    ]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary().map(lambda text: text.replace(b"\0", b"")), min_size=20, max_size=40))
@pytest.mark.parametrize("shell", AVAILABLE)
def test_any_string_survives(world: World, shell: str, texts: list[bytes]) -> None:
    got = quoted(world, shell, texts, LC_ALL="C.UTF-8")
    assert [json.loads(text.decode("utf-8", "surrogateescape")) for text in got] == [
        text.decode("utf-8", "surrogateescape") for text in texts
    ]


@pytest.mark.parametrize("shell", AVAILABLE)
def test_odd_strings_survive_in_every_place(world: World, shell: str) -> None:
    """Names and values, in both kinds of JSON that are made: procd.sh's and jshn.sh's."""
    texts = [text for text in ODD[255:] if text and len(text) < 100][::3]
    ran = world.source(
        shell,
        'procd_open_service "$1"\nprocd_open_instance "$2"\nprocd_set_param command "$@"\n'
        'for text; do procd_append_param env "$text=$text=$text"; done\nprocd_open_data\n'
        'for text; do json_add_string "x$text" "$text"; done\nprocd_close_data\n'
        'procd_add_jail "$2"\nprocd_set_jail_param hostname "$3"\nprocd_close_instance\n'
        'procd_add_raw_trigger "$1" 0 "$@"\nprocd_close_service',
        *texts,
    )
    sent = ran.sent
    instance = sent["instances"][texts[1]]
    assert sent["name"] == texts[0]
    assert instance["command"] == texts
    assert instance["env"] == {text: f"{text}={text}" for text in texts}
    assert instance["data"] == {f"x{text}": text for text in texts}
    assert instance["jail"] == {"name": texts[1], "hostname": texts[2]}
    assert sent["triggers"] == [[texts[0], [["run_script", *texts]]]]


TEXT = st.text(max_size=20).map(lambda text: text.replace("\0", ""))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=30,
)
LOAD = '. "$STOCKADE_ROOT/usr/share/libubox/jshn.sh"; for text; do json_load "$text" || echo bad; json_dump; done'


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=5), min_size=1, max_size=8), st.booleans())
@pytest.mark.parametrize("shell", AVAILABLE)
def test_jshn_keeps_any_tree(world: World, shell: str, trees: list[object], ensure_ascii: bool) -> None:
    ran = world.source(shell, LOAD, *(json.dumps(tree, ensure_ascii=ensure_ascii) for tree in trees))
    assert [json.loads(line) for line in ran.out.split("\n")[:-1]] == trees


BAD = (
    "",
    "1",
    "[1]",
    "null",
    "{",
    "}",
    '{"a":}',
    '{"a" 1}',
    '{"a":1,}',
    '{,"a":1}',
    '{"a":1 "b":2}',
    '{"a":"\\x"}',
    '{"a":"\\u12"}',
    '{"a":tru}',
    '{"a":01}',
    '{"a":1]',
    '{"a":"b',
    '{"a":"b\\"}',
    '{"a":"b\nc"}',
    "{} {}",
    '{"a":[1,]}',
    "{'a':1}",
)


@pytest.mark.parametrize("shell", AVAILABLE)
def test_jshn_refuses_what_is_no_json_object(world: World, shell: str) -> None:
    ran = world.source(shell, LOAD, *BAD)
    assert ran.out.splitlines() == ["bad", "{ }"] * len(BAD), dict(
        zip(BAD, ran.out.split("{ }"), strict=False)
    )


@pytest.mark.parametrize("shell", AVAILABLE)
def test_jshn_reads_what_json_can_say(world: World, shell: str, tmp_path: Path) -> None:
    value = {
        "a b": ODD,
        "n": -12,
        "f": 1.5,
        "t": True,
        "o": {"x": {"y": [1, [], {}]}},
        "z": None,
        "": "empty",
    }
    for ensure_ascii in (True, False):
        text = tmp_path / "text"
        text.write_text(json.dumps(value, ensure_ascii=ensure_ascii, indent=1 if ensure_ascii else None))
        ran = world.source(
            shell, '. "$STOCKADE_ROOT/usr/share/libubox/jshn.sh"; json_load_file "$1"; json_dump', str(text)
        )
        assert json.loads(ran.out) == value
