# SPDX-License-Identifier: MIT
"""The argument of -C in all its forms, and the sets without it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail import capabilities
from jail.capabilities import (
    BITS,
    NAMES,
    ROOT_DEFAULT,
    SETS,
    CapabilitySets,
    default_for,
    describe,
    mask_of,
    parse,
)
from jail.errors import ConfigError

LAST = 40
ALL = (1 << 41) - 1
HEADER = Path("/usr/include/linux/capability.h")


def masks(sets: CapabilitySets) -> dict[str, int]:
    return {name: getattr(sets, name) for name in SETS if getattr(sets, name)}


def refusal(text: str, last: int = LAST) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, last)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "caps.json"


def told(file: Path, text: str | bytes, last: int = LAST) -> str:
    """The refusal of a file with this text, without the path."""
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return refusal(str(file), last).removeprefix(f"{file}:")


# --- the table --------------------


@pytest.mark.skipif(not HEADER.exists(), reason="no kernel headers")
def test_table_is_the_one_of_the_kernel_headers() -> None:
    words = [line.split() for line in HEADER.read_text().splitlines() if line.startswith("#define CAP_")]
    theirs = {line[1]: int(line[2]) for line in words if len(line) == 3 and line[2].isdigit()}
    ours = {f"CAP_{name.upper()}": number for name, number in BITS.items()}
    assert theirs.items() <= ours.items()


def test_last_capability_is_read_from_the_kernel() -> None:
    assert capabilities.last_capability() == int(Path(capabilities.LAST_CAPABILITY).read_text())


def test_last_capability_without_proc_is_the_last_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "LAST_CAPABILITY", "/nonexistent")
    assert capabilities.last_capability() == len(NAMES) - 1


# --- without -C --------------------


def test_user_without_an_argument_has_nothing() -> None:
    sets = default_for(1000)
    assert (masks(sets), sets.keep) == ({}, False)


def test_root_without_an_argument_keeps_the_small_set() -> None:
    sets = default_for(0)
    assert masks(sets) == {"bounding": ROOT_DEFAULT, "effective": ROOT_DEFAULT, "permitted": ROOT_DEFAULT}
    assert not sets.keep


def test_root_default_has_none_that_leads_out() -> None:
    forbidden = (
        "sys_admin sys_module sys_rawio sys_ptrace sys_boot sys_time mknod mac_override mac_admin"
        " dac_read_search syslog bpf perfmon"
    )
    assert not ROOT_DEFAULT & mask_of(forbidden)


# --- short forms --------------------


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("cap_net_raw,cap_net_bind_service", mask_of("net_raw net_bind_service")),
        ("NET_RAW", mask_of("net_raw")),
        ("Cap_Bpf", mask_of("bpf")),
        ("all", ALL),
        ("none", 0),
        ("0x1400", 0x1400),
        ("0X0", 0),
        ("0x1ffffffffff", ALL),
    ],
)
def test_short_form_gives_all_five_sets_the_same(text: str, mask: int) -> None:
    sets = parse(text, LAST)
    assert [getattr(sets, name) for name in SETS] == [mask] * 5
    assert sets.keep


@pytest.mark.parametrize(
    ("text", "effective", "inheritable", "permitted", "ambient"),
    [
        ("cap_chown+eip", 1, 1, 1, 0),
        ("cap_chown=ep cap_kill=eipa", 0x21, 0x20, 0x21, 0x20),
        ("cap_chown,cap_kill=ep  cap_chown-e", 0x20, 0, 0x21, 0),
        ("cap_chown=eip cap_chown=p", 0, 0, 1, 0),
        ("cap_chown=p+e", 1, 0, 1, 0),
        ("=ep cap_kill-ep", ALL - 0x20, 0, ALL - 0x20, 0),
        ("all=p none+e", 0, 0, ALL, 0),
        ("cap_chown=", 0, 0, 0, 0),
    ],
)
def test_clauses_give_each_set_its_own(
    text: str, effective: int, inheritable: int, permitted: int, ambient: int
) -> None:
    sets = parse(text, LAST)
    assert (sets.effective, sets.inheritable, sets.permitted, sets.ambient) == (
        effective, inheritable, permitted, ambient)  # fmt: skip
    assert sets.bounding == permitted | inheritable


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cap_chwon", 'unknown capability "cap_chwon": did you mean "cap_chown"?'),
        ("net_rwa", 'unknown capability "net_rwa": did you mean "net_raw"?'),
        ("cap_x\ny", 'unknown capability "cap_x\\ny"'),
        ("", 'a name is missing in ""'),
        ("cap_chown,,cap_kill", 'a name is missing in "cap_chown,,cap_kill"'),
        ("cap_chown,chown", "chown is there twice"),
        ("0xgg", '"0xgg" is not a mask of at most 64 bits'),
        ("0x11111111111111111", '"0x11111111111111111" is not a mask of at most 64 bits'),
        ("+ep", 'a name is missing in "+ep"'),
        ("cap_chown=ep cap_kill", '"cap_kill" needs one of = + - and then some of e, i, p, a'),
        ("cap_chown+x", '"x" in "+x" is none of e, i, p and a'),
        ("cap_chown+e", "cap_chown is in effective, but not in permitted"),
        ("cap_chown=ia", "cap_chown is in ambient, but not in permitted"),
        ("cap_chown=pa", "cap_chown is in ambient, but not in inheritable"),
    ],
)
def test_wrong_short_form_is_refused(text: str, reason: str) -> None:
    assert refusal(text) == f"capabilities: {reason}"


@pytest.mark.parametrize("text", ["cap_bpf", "cap_bpf+ep", "0x8000000000"])
def test_capability_that_the_kernel_does_not_have_is_named(text: str) -> None:
    assert (
        refusal(text, 37) == "capabilities: cap_bpf is not in this kernel, whose last one is cap_audit_read"
    )


def test_all_ends_at_the_last_of_the_kernel() -> None:
    assert parse("all", 37).bounding == (1 << 38) - 1
    assert parse("all", 41).bounding == (1 << 42) - 1


# --- the file --------------------


def test_file_sets_what_it_names_and_nothing_else(file: Path) -> None:
    file.write_text('{"bounding": ["CAP_CHOWN", "kill"],\n "permitted": ["cap_chown"], "ambient": []}')
    sets = parse(str(file), LAST)
    assert (masks(sets), sets.keep) == ({"bounding": 0x21, "permitted": 1}, True)


def test_empty_object_is_no_capability_at_all(file: Path) -> None:
    file.write_text(" {\n}\n ")
    sets = parse(str(file), LAST)
    assert (masks(sets), sets.keep) == ({}, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"bounding": ["CAP_CHWON"]}', '1:15: unknown capability "CAP_CHWON": did you mean "cap_chown"?'),
        ('{\n  "bounding": ["CAP_CHOWN",\n    "CAP_X"]}', '3:5: unknown capability "CAP_X"'),
        ('{\n\t"efective": []}', '2:2: unknown set "efective": did you mean "effective"?'),
        ('{"ambient": [],\n "ambient": []}', "2:2: ambient is there twice"),
        ('{"ambient": ["kill", "CAP_KILL"]}', "1:22: cap_kill is in ambient twice"),
        ('{"ambient": "kill"}', "1:13: an array of capability names for ambient is needed here, not '\"'"),
        ('{"ambient": [1]}', "1:14: the name of a capability is needed here, not '1'"),
        ('{"ambient": null}', "1:13: an array of capability names for ambient is needed here, not 'n'"),
        ('["kill"]', "1:1: an object of capability sets is needed here, not '['"),
        ("", "1:1: an object of capability sets is needed here, not the end"),
        ('{"ambient": []', '1:15: "," or "}" is needed here, not the end'),
        ('{"ambient": [],}', "1:16: the name of a set is needed here, not '}'"),
        ('{"bounding": ["kill",]}', "1:22: the name of a capability is needed here, not ']'"),
        ('{"ambient" []}', "1:12: \":\" after ambient is needed here, not '['"),
        ("{} x", "1:4: something follows the object"),
        ('{"ambient: []}', "1:2: a string without an end"),
        ('{"ambient": ["a\nb"]}', "1:14: a string without an end"),
        ('{"ambient": ["\\u0061"]}', "1:14: a name with a backslash"),
        (b'{"\xc3\xa4": 1,\n "\xff": 2}', "2:3: not UTF-8"),
        ("\ufeff{}", "1:1: an object of capability sets is needed here, not '\\ufeff'"),
        ('{"effective": ["kill"]}', "1:16: cap_kill is in effective, but not in permitted"),
        ('{"bounding": [],\n"permitted": ["kill"]}', "2:15: cap_kill is in permitted, but not in bounding"),
        ('{"inheritable": ["kill"]}', "1:18: cap_kill is in inheritable, but not in bounding"),
    ],
)
def test_wrong_file_is_refused_with_its_place(file: Path, text: str | bytes, reason: str) -> None:
    assert told(file, text) == reason


def test_capability_that_the_kernel_does_not_have_is_placed(file: Path) -> None:
    reason = told(file, '{"bounding": [ "CAP_BPF" ]}', 37)
    assert reason == "1:16: cap_bpf is not in this kernel, whose last one is cap_audit_read"


def test_file_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (f"{tmp_path}/x", "./x", "../x/y", "x.json", "a/b"):
        assert refusal(path) == f"{path}: No such file or directory"


def test_file_that_is_not_regular_is_refused(tmp_path: Path) -> None:
    assert refusal(f"{tmp_path}/.") == f"{tmp_path}/.: not a regular file"


def test_file_that_is_too_long_is_refused(file: Path) -> None:
    assert told(file, " " * 70000) == " longer than 65536 bytes"


def test_path_with_a_nul_is_refused() -> None:
    assert refusal("/a\0b").endswith("embedded null byte")


NAME = st.sampled_from(["chown", "CAP_KILL", "cap_net_raw", "bogus"])


@settings(max_examples=60, deadline=None)
@given(
    content=st.dictionaries(st.sampled_from(SETS), st.lists(NAME, max_size=3)),
    indent=st.none() | st.integers(0, 3),
    cut=st.none() | st.integers(0, 80),
)
def test_file_is_read_as_json_has_it_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    content: dict[str, list[str]],
    indent: int | None,
    cut: int | None,
) -> None:
    file = tmp_path_factory.getbasetemp() / "random.json"
    text = json.dumps(content, indent=indent)
    file.write_text(text[:cut])
    try:
        sets = parse(str(file), LAST)
    except ConfigError:
        return
    expected = {
        name: mask_of(" ".join(member.lower().removeprefix("cap_") for member in members))
        for name, members in json.loads(text[:cut]).items()
        if members
    }
    assert masks(sets) == expected


# --- in words --------------------


@pytest.mark.parametrize(
    ("mask", "text"), [(0, "none"), (0x21, "cap_chown,cap_kill"), (1 << 45, "capability 45")]
)
def test_mask_is_described_by_names(mask: int, text: str) -> None:
    assert describe(mask) == text


def test_full_mask_is_described_as_all() -> None:
    assert describe((2 << capabilities.last_capability()) - 1) == "all"


@settings(max_examples=60, deadline=None)
@given(mask=st.integers(0, ALL - 1))
def test_description_is_read_back_as_the_same_mask(mask: int) -> None:
    assert parse(describe(mask), LAST).bounding == mask
