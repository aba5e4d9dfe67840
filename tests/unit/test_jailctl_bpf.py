# SPDX-License-Identifier: MIT
"""The product's BPF interpreter against the tests' own, jailctl policy simulate, show and compile."""

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from bpf import Program as Oracle

from jail import calls, policyfile
from jail._native import lib
from jail.bpf import Program, listing, verdict_text
from jail.errors import ConfigError, UsageError
from jail.jailctl import main
from jail.policy import ARCHES, compile_filter, is_big_endian
from jail.policy_show import rules, simulate

FILTERS = Path(__file__).resolve().parents[2] / "json-filters"
X86_64 = 0xC000003E
RULES: list[dict[str, Any]] = [
    {"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "input"},
    {
        "names": ["socket"],
        "action": "SCMP_ACT_ALLOW",
        "args": [
            {"index": 0, "op": "SCMP_CMP_EQ", "value": 1},
            {"index": 0, "op": "SCMP_CMP_EQ", "value": 2},
        ],
    },
    {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
    {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095},
    {
        "names": ["lseek"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 1, "op": "SCMP_CMP_GT", "value": 1 << 32}],
    },
]


def policy(**head: Any) -> policyfile.Policy:
    text = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": RULES, **head}
    return policyfile.parse(json.dumps(text).encode(), "p")


def insn(code: int, k: int = 0, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, true, false, k)


@pytest.mark.parametrize("arch", ARCHES)
def test_interpreter_agrees_with_the_one_of_the_tests(arch: str) -> None:
    code = compile_filter((FILTERS / "startup-glibc.json").read_bytes(), arch, path="p").code
    big = is_big_endian(arch)
    ours, theirs = Program(code, big_endian=big), Oracle(code, big)
    audit = lib.arch_audit(arch.encode())
    chance = random.Random(1)
    for number in [*calls.numbers(arch).values(), 0x40000000, 0xFFFFFFFF]:
        args = tuple(chance.choice((0, 1, 38, 1 << 32, (1 << 64) - 1)) for _ in range(6))
        assert ours.run(audit, number, args).value == theirs.run(audit, number, args)[0]
    assert not ours.run(audit ^ 1, 0).permits


def test_instructions_of_other_compilers() -> None:
    steps = [
        insn(0x20, 0), insn(0x07), insn(0x04, 5), insn(0x24, 3), insn(0x02, 1), insn(0x61, 1), insn(0x87),
        insn(0x1C), insn(0x44, 0x7FFF0000), insn(0x74, 16), insn(0x64, 16), insn(0x16),
    ]  # fmt: skip
    # (n + 5) * 3 stored and subtracted from itself; or ALLOW; two shifts that cut the lower half off
    verdict = Program(b"".join(steps), big_endian=False).run(X86_64, 7)
    assert verdict.value == 0x7FFF0000 and verdict.permits and not verdict.depends
    assert len(listing(Program(b"".join(steps), big_endian=False), "x86_64")) == len(steps)


@pytest.mark.parametrize(
    "code",
    [
        b"", insn(0x06)[:7], insn(0x20), insn(0x05, 9) + insn(0x06), insn(0x15, 0, 1, 0) + insn(0x06),
        insn(0x20, 64) + insn(0x06), insn(0x20, 2) + insn(0x06), insn(0x28, 0) + insn(0x06),
        insn(0x34, 0) + insn(0x06), insn(0x60, 16) + insn(0x06), insn(0x02, 16) + insn(0x06),
        insn(0x94, 1) + insn(0x06), insn(0x55, 1) + insn(0x06), insn(0x0F) + insn(0x06), insn(0x06) * 4097,
    ],
)  # fmt: skip
def test_program_that_the_kernel_would_refuse(code: bytes) -> None:
    with pytest.raises(ConfigError):
        Program(code, big_endian=False)


def test_any_bytes_are_run_or_refused() -> None:
    chance = random.Random(2)
    taken = 0
    for _ in range(3000):
        body = [insn(chance.choice((0x20, 0x15, 0x05, 0x07, 0x0C, 0x35, 0x60, 0x02, 0x7C)), chance.randrange(8) * 4,
                     chance.randrange(3), chance.randrange(3)) for _ in range(4)]  # fmt: skip
        try:
            program = Program(b"".join([*body, insn(0x06, 0x7FFF0000)]), big_endian=False)
        except ConfigError:
            continue
        taken += 1
        assert program.run(X86_64, 1).permits
    assert taken


@pytest.mark.parametrize(
    ("name", "args", "permitted", "verdict", "decides"),
    [
        ("read", [], True, "allow", "rule 1: allow  # input"),
        ("socket", ["AF_INET"], True, "allow", "rule 2: allow if arg0 == 1 or arg0 == 2"),
        ("socket", ["16"], False, "errno EPERM", "rule 3: errno"),
        ("mount", [], False, "errno 4095", "rule 4: errno 4095"),
        ("lseek", ["3", "0x100000001"], True, "allow", "rule 5: allow if arg1 > 0x100000000"),
        ("lseek", ["3", "1"], False, "kill process", "no rule matches"),
        ("lseek", ["3", "-1"], True, "allow", "rule 5"),
        ("reboot", [], False, "kill process", "no rule matches"),
    ],
)
def test_simulate_says_verdict_and_rule(
    name: str, args: list[str], permitted: bool, verdict: str, decides: str
) -> None:
    result, lines = simulate(policy(), "x86_64", name, args)
    assert result == permitted and f"on x86_64: {verdict}" in lines[0] and lines[1].startswith(decides)


def test_simulate_takes_architectures_as_they_are() -> None:
    assert simulate(policy(), "mips", "lseek", ["3", "-1"])[0] is False  # 32 bits wide there
    with pytest.raises(UsageError, match="aarch64 has no system call open"):
        simulate(policy(), "aarch64", "open", [])


@pytest.mark.parametrize("args", [["x"], ["1 2"], ["0x1_0000_0000_0000_0000"], ["1"] * 7, ["AF_NONE"]])
def test_simulate_refuses_arguments_that_are_none(args: list[str]) -> None:
    with pytest.raises(UsageError):
        simulate(policy(), "x86_64", "read", args)


def test_show_says_the_rules_in_words() -> None:
    lines = rules(policy())
    assert lines[0] == "1. allow:  # input" and lines[1] == "   read"
    assert lines[-1] == "anything else: kill process"


def test_verdicts_in_words() -> None:
    assert verdict_text(0x7FFF0000, "i386") == "allow"
    assert [verdict_text(0x50001, arch) for arch in ("mips", "arm")] == ["errno EPERM"] * 2
    # 97 is EAFNOSUPPORT or, on mips, EMSGSIZE
    assert [verdict_text(0x50061, arch) for arch in ("mips", "arm")].count("errno 97") == 1
    assert verdict_text(0x7FF00007, "arm") == "trace 7"


def test_compile_writes_what_the_compiler_makes(tmp_path: Path) -> None:
    out, source = tmp_path / "out", FILTERS / "httpd.json"
    assert main(["jailctl", "policy", "compile", "--arch", "mips", "-o", str(out), str(source)]) == 0
    assert out.read_bytes() == compile_filter(source.read_bytes(), "mips", path="p").code


def test_status_of_simulate_is_the_answer(capfd: pytest.CaptureFixture[str]) -> None:
    source = str(FILTERS / "httpd.json")
    assert main(["jailctl", "policy", "simulate", source, "read"]) == 0
    assert main(["jailctl", "policy", "simulate", source, "mount"]) == 1
    assert main(["jailctl", "policy", "simulate", source, "raed"]) == 125
    assert 'did you mean "read"' in capfd.readouterr()[1]


def test_asm_names_what_is_looked_at(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": RULES}))
    assert main(["jailctl", "policy", "show", "--asm", "--arch", "x86_64", str(path)]) == 0
    out = capfd.readouterr()[0]
    assert "ld   arch" in out and "ld   number" in out and "ld   arg0.low" in out and "ret  allow" in out
