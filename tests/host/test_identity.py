# SPDX-License-Identifier: MIT
"""Who a service is and what it may: ids, groups, the five capability sets, securebits, no_new_privs."""

import grp
import json
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from result import Result

SETS = ("effective", "permitted", "inheritable", "bounding", "ambient")
NET_RAW = 1 << 13
BIND = 1 << 10
CHOWN = 1
# chown dac_override fowner fsetid kill setgid setuid net_bind_service net_broadcast net_admin net_raw
# ipc_lock sys_chroot sys_nice
ROOT_DEFAULT = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 18, 23))
LOCKED = 0b1010  # NOROOT_LOCKED, NO_SETUID_FIXUP_LOCKED: Unix rules, for good
STRICT = 0b101111  # NOROOT, NO_SETUID_FIXUP, the locks of both and of KEEP_CAPS, which itself ends at exec


def sets(seen: "Result") -> dict[str, int]:
    return {name: int(seen[name], 16) for name in SETS}


def only(**given: int) -> dict[str, int]:
    return {name: given.get(name, 0) for name in SETS}


def same(mask: int) -> dict[str, int]:
    return dict.fromkeys(SETS, mask)


def test_capabilities_of_root_are_the_small_set(host: "Host") -> None:
    seen = host.probe("caps")
    assert sets(seen) == only(effective=ROOT_DEFAULT, permitted=ROOT_DEFAULT, bounding=ROOT_DEFAULT)
    assert int(seen["securebits"], 16) == LOCKED
    outside = host.outside("caps")
    assert int(outside["effective"], 16) & ~ROOT_DEFAULT


def test_capabilities_of_root_survive_exec_and_do_not_grow(host: "Host") -> None:
    probe = host.probes["glibc"]
    assert sets(host.probe("exec", probe, "caps")) == sets(host.probe("caps"))


def test_capabilities_of_another_user_are_none(host: "Host") -> None:
    seen = host.probe("caps", options=["-U", "65534"])
    assert sets(seen) == only()
    assert int(seen["securebits"], 16) == LOCKED
    outside = host.outside("caps", prefix=["setpriv", "--reuid", "65534", "--clear-groups"])
    assert int(outside["bounding"], 16)


@pytest.mark.parametrize("user", [[], ["-U", "65534"]])
def test_capabilities_short_list_is_all_five_sets_also_after_exec(host: "Host", user: list[str]) -> None:
    options = [*user, "-C", "cap_net_raw,cap_net_bind_service", "-p"]
    for verbs in (["caps"], ["exec", host.probes["glibc"], "caps"]):
        seen = host.probe(*verbs, options=options)
        assert sets(seen) == same(NET_RAW | BIND)
        assert int(seen["securebits"], 16) == STRICT


def test_capabilities_none_leaves_root_without_any(host: "Host") -> None:
    probe = host.probes["glibc"]
    for verbs in (["caps"], ["exec", probe, "caps"]):
        assert sets(host.probe(*verbs, options=["-C", "none", "-p"])) == only()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0x401", same(BIND | CHOWN)),
        ("cap_chown+p", only(permitted=0, bounding=CHOWN)),  # exec gives only what is ambient
        ("cap_chown+eipa", same(CHOWN)),
        ("cap_chown=i", only(inheritable=CHOWN, bounding=CHOWN)),
        ("cap_chown,cap_net_raw=eipa cap_net_raw-a", None),
    ],
)
def test_capabilities_forms_give_what_exec_makes_of_them(
    host: "Host", text: str, wanted: dict[str, int] | None
) -> None:
    if wanted is None:
        wanted = same(CHOWN) | {"inheritable": CHOWN | NET_RAW, "bounding": CHOWN | NET_RAW}
    assert sets(host.probe("caps", options=["-C", text, "-p"])) == wanted


def test_capabilities_file_sets_each_and_a_missing_set_is_empty(host: "Host", tmp_path: Path) -> None:
    file = tmp_path / "caps.json"
    names = ["CAP_NET_RAW"]
    both = ["CAP_NET_RAW", "CAP_CHOWN"]
    file.write_text(
        json.dumps(
            {"bounding": both, "permitted": names, "effective": names, "inheritable": names, "ambient": names}
        )
    )
    seen = host.probe("caps", options=["-C", file, "-p"])
    assert sets(seen) == same(NET_RAW) | {"bounding": NET_RAW | CHOWN}
    file.write_text("{}")
    assert sets(host.probe("caps", options=["-C", file, "-p"])) == only()


def test_capabilities_ambient_lets_another_user_use_them(host: "Host") -> None:
    verbs = ["setuid", "0"]
    options = ["-U", "65534", "-p"]
    assert host.probe(*verbs, options=[*options, "-C", "cap_setuid"]).tries() == {"setuid:0": "ok"}
    assert host.probe(*verbs, options=options).tries() == {"setuid:0": "EPERM"}


@pytest.mark.parametrize("options", [[], ["-C", "cap_setpcap,cap_net_raw", "-p"], ["-U", "65534"]])
def test_securebits_are_locked(host: "Host", options: list[str]) -> None:
    for bits in ("0x0", "0x1", "0x4"):
        seen = host.probe("securebits", bits, options=options)
        assert seen[f"securebits:{bits}"] == "EPERM"
    assert host.outside("securebits", "0x1")["securebits:0x1"] == "ok"


def test_no_new_privs_is_always_on(host: "Host") -> None:
    for options in ([], ["-U", "65534"], ["-C", "none"], ["-c"]):
        assert host.probe("modes", options=options)["no_new_privs"] == "1"
    assert host.outside("modes")["no_new_privs"] == "0"


def test_setuid_and_file_capabilities_give_nothing(host: "Host") -> None:
    for kind in ("setuid", "file-capability"):
        program = host.probes[kind]
        seen = host.probe("ids", "caps", kind=kind, options=["-U", "65534"])
        assert (seen["uid"], sets(seen)) == ("65534 65534 65534", only())
        options = ["-U", "65534", "-r", program]
        assert host.probe("exec", program, "ids", "caps", options=options)["uid"] == "65534 65534 65534"
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    assert host.outside("ids", kind="setuid", prefix=nobody)["uid"] == "65534 0 0"
    assert int(host.outside("caps", kind="file-capability", prefix=nobody)["effective"], 16) == NET_RAW


def test_ids_by_number(host: "Host") -> None:
    seen = host.probe("ids", options=["-U", "12345", "-G", "23456"])
    assert (seen["uid"], seen["gid"], seen["groups"]) == ("12345 12345 12345", "23456 23456 23456", "23456")
    seen = host.probe("ids", options=["-U", "12345"])
    assert seen["gid"] == "12345 12345 12345"


def test_ids_of_root_keep_none_of_the_callers_groups(host: "Host") -> None:
    prefix = ["setpriv", "--groups", "4,27"]
    assert host.outside("ids", prefix=prefix)["groups"] == "4 27"
    seen = host.run(*prefix, host.ujail, "-n", "t", "--", host.probes["glibc"], "ids")
    assert seen["groups"] in ("", "0")


def test_ids_by_name_with_supplementary_groups(host: "Host", tmp_path: Path) -> None:
    """With users of the test's own, bound over /etc in a mount namespace of their own."""
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    passwd.write_text(Path("/etc/passwd").read_text() + "jailed:x:4321:4322::/:/bin/false\n")
    group.write_text(
        Path("/etc/group").read_text() + "own:x:4322:\none:x:4400:jailed\ntwo:x:4401:root,jailed\n"
    )
    apart = [*host.apart, "sh", "-ec"]
    bind = f'mount --bind {passwd} /etc/passwd; mount --bind {group} /etc/group; exec "$@"'
    command = [*apart, bind, "sh", host.ujail, "-n", "t"]
    probe = ["--", host.probes["glibc"], "ids"]
    seen = host.run(*command, "-U", "jailed", *probe)
    assert (seen["uid"], seen["gid"]) == ("4321 4321 4321", "4322 4322 4322")
    assert set(seen["groups"].split()) == {"4322", "4400", "4401"}
    seen = host.run(*command, "-U", "jailed", "-G", "two", *probe)
    assert (seen["gid"], set(seen["groups"].split())) == ("4401 4401 4401", {"4400", "4401"})
    seen = host.run(
        *command, "-U", "jailed", "-r", "/etc/passwd", "--", host.probes["glibc"], "cat", "/etc/group"
    )
    assert "two:x:4401:root,jailed" in seen.all("line")


def test_ids_group_alone_keeps_root(host: "Host") -> None:
    group = grp.getgrall()[1]
    seen = host.probe("ids", options=["-G", group.gr_name])
    assert (seen["uid"], seen["gid"]) == ("0 0 0", f"{group.gr_gid} {group.gr_gid} {group.gr_gid}")


def test_ids_nobody_cannot_become_root(host: "Host") -> None:
    user = pwd.getpwuid(65534).pw_name
    assert host.probe("setuid", "0", options=["-U", user])["setuid:0"] == "EPERM"
    assert host.outside("setuid", "0")["setuid:0"] == "ok"


@pytest.mark.parametrize(
    "options",
    [
        ["-U", "no-such-user"],
        ["-U", "-1"],
        ["-U", "4294967295"],
        ["-G", "no-such-group"],
        ["-C", "cap_no_such"],
        ["-C", "/no/such.json"],
        ["-C", "cap_chown+e"],
        ["-S", "/no/such.json"],
        ["-w", "relative"],
        ["-r", "/etc/passwd:/../x"],
        ["-t", "soon"],
        ["-J", "/"],
        ["--no-such-option"],
    ],
)
def test_refusal_is_status_125_and_one_line(host: "Host", options: list[str]) -> None:
    seen = host.probe("ids", options=options)
    assert (seen.status, seen.out) == (125, "")
    assert len(seen.err.splitlines()) == 1 and seen.err.startswith("ujail: "), seen


@pytest.mark.parametrize(
    "text", ["{", '{"ambient": ["CAP_NO_SUCH"]}', '{"ambient": ["CAP_CHOWN"]}', "[]", "", "\0"]
)
def test_refusal_of_a_capability_file_names_the_place(host: "Host", tmp_path: Path, text: str) -> None:
    file = tmp_path / "caps.json"
    file.write_text(text)
    seen = host.probe("ids", options=["-C", file])
    assert (seen.status, seen.out) == (125, "")
    assert len(seen.err.splitlines()) == 1 and str(file) in seen.err


@pytest.mark.parametrize("text", ["{", "{}", '{"defaultAction": "SCMP_ACT_NONE"}', "[]", "", "null"])
def test_refusal_of_a_policy_names_it(host: "Host", tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.json"
    file.write_text(text)
    seen = host.probe("ids", options=["-S", file])
    assert (seen.status, seen.out) == (125, "")
    assert len(seen.err.splitlines()) == 1 and str(file) in seen.err
