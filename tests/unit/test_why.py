# SPDX-License-Identifier: MIT
"""Records of the kernel log in words."""

import pytest

from jail.why import Denial, describe, parse_record

RECORD = (
    "5,1234,2501502660,-;audit: type=1326 audit(1795301809.321:11): auid=4294967295 uid=0 gid=0 ses=1"
    ' pid=15403 comm="hello" exe="/tmp/hello" sig=31 arch={arch} syscall={number} compat=0 ip=0x7f4e code=0x0'
)


@pytest.mark.parametrize(
    ("arch", "number", "name", "call"),
    [
        ("c000003e", 318, "x86_64", "getrandom"),
        ("40000003", 355, "i386", "getrandom"),
        ("40000028", 384, "arm", "getrandom"),
        ("c00000b7", 278, "aarch64", "getrandom"),
        ("c00000f3", 278, "riscv64", "getrandom"),
        ("8", 4353, "mips", "getrandom"),
        ("40000008", 4353, "mipsel", "getrandom"),
        ("c000003e", 0x40000001, "x86_64", ""),  # x32
        ("dead", 1, "", ""),
    ],
)
def test_record_names_the_call_of_its_own_architecture(arch: str, number: int, name: str, call: str) -> None:
    denial = parse_record(RECORD.format(arch=arch, number=number))
    assert denial is not None
    assert (denial.arch, denial.call, denial.pid, denial.program) == (name, call, 15403, "hello")


def test_program_names_with_odd_characters_are_decoded() -> None:
    denial = parse_record(RECORD.format(arch="c000003e", number=0).replace('"hello"', "612062"))
    assert denial is not None and denial.program == "a b"


@pytest.mark.parametrize(
    "line",
    ["", "6,1,2,-;usb 1-1: new device", "audit: type=1300 syscall=1", "type=1326 syscall=x pid=1 arch=1"],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert parse_record(line) is None


def test_line_names_the_call_and_the_change() -> None:
    line = describe("web", "/etc/web.json", Denial("x86_64", 318, "getrandom", 7, "httpd"))
    assert line == (
        "ujail: web: httpd[7] was killed for getrandom (x86_64 system call 318), which /etc/web.json does not"
        ' allow; to allow it, add "getrandom" to the names of its SCMP_ACT_ALLOW rule'
    )


def test_line_without_a_record_says_how_to_find_out() -> None:
    assert "strace" in describe("web", "/etc/web.json", None)


def test_line_without_a_policy_does_not_blame_one() -> None:
    assert "it has none" in describe("web", "", None)
