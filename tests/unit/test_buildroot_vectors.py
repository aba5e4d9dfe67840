# SPDX-License-Identifier: MIT
"""The drop-in contract: every argument vector that procd builds for its ujail is understood, and means the same."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail.errors import UsageError
from jail.ujail import NOT_YET, make_spec, parse_options

COMMAND = ["/usr/sbin/dnsmasq", "-C", "/etc/dnsmasq.conf", "-k", "--", "-S"]
# in the order in which procd writes them: letter, and its word if it has one
VECTOR: tuple[tuple[str, str], ...] = (
    *(("t", "5"), ("n", "dnsmasq"), ("h", "router"), ("S", "/etc/seccomp/dnsmasq.json"), ("U", "dnsmasq")),
    *(("G", "dnsmasq"), ("C", "/etc/capabilities/dnsmasq.json"), ("c", ""), ("p", ""), ("s", ""), ("u", "")),
    *(("D", ""), ("l", ""), ("o", ""), ("N", ""), ("f", ""), ("F", ""), ("y", ""), ("R", "/srv/root")),
    *(("O", "/srv/overlay"), ("T", "1M"), ("i", ""), ("P", "/var/run/dnsmasq.pid"), ("J", "/srv/bundle")),
    *(("E", ""), ("e", "TZ"), ("e", "LANG"), ("r", "/etc/hosts"), ("r", "/etc/resolv.conf:/etc/upstream")),
    *(("w", "/tmp/dhcp.leases"), ("w", "/var/run/dnsmasq"), ("j", "1:net,ipc")),
)
# procd writes these together only, or never: one overlay, one network
APART = ({"O", "T"}, {"N", "j"})


def argv(vector: "list[tuple[str, str]] | tuple[tuple[str, str], ...]") -> list[str]:
    words = [
        word for letter, value in vector for word in ((f"-{letter}", value) if value else (f"-{letter}",))
    ]
    return [*words, "--", *COMMAND]


def subsets() -> "st.SearchStrategy[list[tuple[str, str]]]":
    """Vectors with any of the options, in procd's order; -t is always there."""
    return st.sets(st.sampled_from(VECTOR[1:])).map(
        lambda some: [VECTOR[0], *(pair for pair in VECTOR[1:] if pair in some)]
    )


def refused(vector: list[tuple[str, str]]) -> str:
    """The option that is known and refused, or ""."""
    return next((letter for letter, _ in vector if letter in NOT_YET), "")


def check(vector: list[tuple[str, str]]) -> None:
    """The JailSpec has what the vector says and nothing else."""
    letters = {letter for letter, _ in vector}
    value = dict(vector)
    spec = make_spec(parse_options(argv(vector)))
    assert spec.argv == COMMAND
    assert spec.name == value.get("n", "dnsmasq")
    assert spec.grace_s == 5
    assert (spec.hostname, spec.user, spec.group) == (
        value.get("h", ""),
        value.get("U", ""),
        value.get("G", ""),
    )
    assert (spec.seccomp, spec.capabilities) == (value.get("S", ""), value.get("C"))
    assert (spec.procfs, spec.sysfs, spec.ronly, spec.required) == tuple(name in letters for name in "psoE")
    assert (spec.extroot, spec.overlay_dir) == (value.get("R", ""), value.get("O", ""))
    assert spec.overlay_size == value.get("T", "")
    assert (spec.netns, spec.userns) == ("N" in letters, "f" in letters)
    assert spec.no_new_privs and spec.console == ("y" in letters)
    assert spec.joins == ([(1, ["net", "ipc"])] if "j" in letters else [])
    shown = {(share.source, share.target, share.writable) for share in spec.shares}
    for letter, word in vector:
        source, _, target = word.partition(":")
        if letter in "rw":
            assert (source, target or source, letter == "w") in shown
    for letter, path in (("l", "/dev/log"), ("u", "/var/run/ubus/ubus.sock"), ("D", "/var/run/udebug.sock")):
        assert ((path, path, True) in shown) == (letter in letters)


@settings(max_examples=50)
@given(subsets())
def test_every_vector_of_procd_makes_the_jail_that_it_says(vector: list[tuple[str, str]]) -> None:
    letters = {letter for letter, _ in vector}
    for pair in APART:
        if pair <= letters:
            vector = [item for item in vector if item[0] != max(pair)]
    if letter := refused(vector):
        with pytest.raises(UsageError, match=f"-{letter} .* not yet"):
            parse_options(argv(vector))
        return
    check(vector)


@pytest.mark.parametrize("letter", sorted({letter for letter, _ in VECTOR}))
def test_each_option_of_procd_is_known(letter: str) -> None:
    vector = [pair for pair in VECTOR if pair[0] in ("t", "n", letter)]
    if letter in NOT_YET:
        with pytest.raises(UsageError, match="not yet"):
            parse_options(argv(vector))
    else:
        options = parse_options(argv(vector))
        assert options.argv == COMMAND
        assert len(options.pairs) == len(vector)


def test_wrapper_vectors_make_no_namespace() -> None:
    """What procd writes for a service with capabilities and a jail that names no flag and no file."""
    wrapper = [pair for pair in VECTOR if pair[0] in "tnUGCceS"]
    for count in range(len(wrapper) + 1):
        for some in combinations(wrapper, count):
            letters = {letter for letter, _ in some}
            spec = make_spec(parse_options(argv(some)))
            assert spec.isolate == (not letters & {"C", "c"})


@pytest.mark.parametrize("words", [["-t"], ["-Q", "--", "/bin/true"], ["-t", "x", "--", "/bin/true"]])
def test_vector_that_procd_never_builds_is_an_error(words: list[str]) -> None:
    """The twin: not just anything is accepted."""
    with pytest.raises(UsageError):
        make_spec(parse_options(words))
