# SPDX-License-Identifier: MIT
"""uci_load_validate and the types that it knows, where there is no validate_data."""

from pathlib import Path

import pytest
from initd_shell import AVAILABLE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


VALIDATION = r"""
config server 'good'
	option enabled 'yes'
	option port '53'
	list dns '1.1.1.1'
	list dns 'fe80::1'
	option file '/etc'
config server 'bad'
	option enabled 'perhaps'
	option port '70000'
	list dns '1.1.1.1'
	list dns 'nonsense'
"""
RULES = "'enabled:bool:0' 'port:or(port, \"auto\"):auto' 'dns:list(ipaddr)' 'name:string:a:b c' 'file:file'"


@pytest.mark.parametrize("shell", AVAILABLE)
class TestValidation:
    def check(self, world: World, shell: str, section: str) -> tuple[list[str], str]:
        world.config("srv", VALIDATION)
        ran = world.source(
            shell,
            f'done_() {{ printf \'%s|\' "$@" "$enabled" "$port" "$dns" "$name" "$file"; }}\n'
            f'uci_load_validate srv server {section} done_ {RULES}\n[ -z "$port" ]',
        )
        assert ran.status == 0, ran  # the variables were local
        assert ran.calls == []
        return ran.out.split("|")[:-1], ran.err

    def test_good(self, world: World, shell: str) -> None:
        words, err = self.check(world, shell, "good")
        assert words == ["good", "1", "1", "53", "1.1.1.1 fe80::1", "a:b c", ""]
        assert err == "srv.good.file=/etc is not file\n"

    def test_bad_values_are_empty_and_said(self, world: World, shell: str) -> None:
        words, err = self.check(world, shell, "bad")
        assert words == ["bad", "1", "", "", "", "a:b c", ""]
        assert err.splitlines() == [
            "srv.bad.enabled=perhaps is not bool",
            'srv.bad.port=70000 is not or(port, "auto")',
            "srv.bad.dns=1.1.1.1 nonsense is not list(ipaddr)",
        ]

    def test_no_section_has_the_defaults(self, world: World, shell: str) -> None:
        words, err = self.check(world, shell, "none")
        assert words == ["none", "0", "0", "auto", "", "a:b c", ""]
        assert err == ""

    def test_the_systems_own_is_used_where_there_is_one(self, world: World, shell: str) -> None:
        (world.root / "sbin").unlink()
        (world.root / "sbin").mkdir()
        program = world.root / "sbin/validate_data"
        program.write_text("#!/bin/sh\necho \"port='$1.$2.$3.$4'\"\nexit 3\n")
        program.chmod(0o755)
        ran = world.source(shell, "uci_validate_section p t s port:port\necho $? $port")
        assert ran.out == "3 p.t.s.port:port\n"


TYPES = {
    "bool": ("1 0 yes no on off true false enabled disabled", "2 YES x"),
    "uinteger": ("0 12", "-1 1.5 x"),
    "integer": ("0 -12", "1.5 - x"),
    "float": ("1 -1.5 .5", "x 1.2.3 ."),
    "port": ("0 53 65535", "65536 -1 http"),
    "portrange": ("53 1-65535", "5-3 1-70000 a-b"),
    "ip4addr": ("1.2.3.4 10.0.0.0/8 10.0.0.0/255.0.0.0", "1.2.3 1.2.3.256 1.2.3.4/33 ::1"),
    "ip6addr": (
        ":: ::1 fe80::1 2001:db8::/32 1:2:3:4:5:6:7:8 ::ffff:1.2.3.4 1::",
        "1.2.3.4 1:2:3 1::2::3 12345::1 :1 1: fe80::g ::/129 1:2:3:4:5:6:7:8:9 ::: 1:2:3:4:5:6:7:8::",
    ),
    "ipaddr": ("1.2.3.4 ::1", "x 1.2.3"),
    "cidr4": ("10.0.0.0/8", "10.0.0.0"),
    "cidr6": ("fe80::/10", "fe80::"),
    "netmask4": ("255.255.255.0", "255.255.255 x"),
    "macaddr": ("02:00:00:00:00:01", "02:00:00:00:00 02:00:00:00:00:0g x"),
    "hostname": ("a a.b router.lan a-b", "-a a..b a/b 1.2.3.4"),
    "host": ("router.lan 1.2.3.4 ::1", "a/b 1.2.3.400"),
    "network": ("lan wan_6", "a-b a.b"),
    "uciname": ("lan_1", "a-b"),
    "device": ("eth0 br-lan eth0.1", "a/b 1234567890123456"),
    "directory": ("/ /etc", "/nonexistent /etc/passwd"),
    "file": ("/etc/passwd", "/etc /nonexistent"),
    "range(1,10)": ("1 5 10", "0 11 x"),
    "range(-5,5)": ("-5 0 5", "-6 6"),
    "min(5)": ("5 100", "4 x"),
    "max(5)": ("5 -1", "6"),
    "string": ("x", ""),
    "string(2,3)": ("ab abc", "a abcd"),
    "minlength(2)": ("ab", "a"),
    "maxlength(2)": ("ab", "abc"),
    "rangelength(2,3)": ("ab", "a abcd"),
    'or("auto", port)': ("auto 53", "manual"),
    "and(port, min(1024))": ("1024", "53"),
    "not(port)": ("x", "53"),
    "neg(port)": ("!53 53", "!x"),
    "list(port)": ("53", "x"),
    'or(and(uinteger,min(1),max(2)),"x,(y")': ("1 2 x,(y", "3 0"),
    "hexstring": ("00ff", "0 0g"),
    "wpakey": ("12345678 " + "a" * 63 + " " + "0" * 64, "1234567 " + "x" * 64),
    'regex("^a+$")': ("aaa", "b"),
    "nonsense": ("", "x 1"),
}


@pytest.mark.parametrize("shell", AVAILABLE[:1])
def test_types(world: World, shell: str) -> None:
    cases = [
        (kind, text, is_good)
        for kind, both in TYPES.items()
        for is_good, words in zip((True, False), both, strict=True)
        for text in words.split()
    ]
    config = "config t s\n" + "".join(f"\toption o{i} '{text}'\n" for i, (_, text, _) in enumerate(cases))
    world.config("types", config)
    rules = [f"o{i}:{kind}" for i, (kind, _, _) in enumerate(cases)]
    ran = world.source(shell, 'uci_validate_section types t s "$@"', *rules)
    wrong = {line.split("=")[0].rsplit(".", 1)[1] for line in ran.err.splitlines()}
    assert [case for i, case in enumerate(cases) if case[2] == (f"o{i}" in wrong)] == []
