# SPDX-License-Identifier: MIT
"""What the formats mean: actions, errnos, dialects, names that a target does not have, start-up rules."""

import json
from typing import Any

import pytest
from bpf import Program
from naive import ALLOW, ERRNO, KILL_PROCESS, KILL_THREAD, LOG, NOTIFY, TARGETS, TRACE, TRAP, verdict

from jail.errors import ConfigError
from jail.policy import compile_filter, lint

BY_NAME = {target.name: target for target in TARGETS}
X86_64 = BY_NAME["x86_64"]
# SECCOMP_FILTER_FLAG_*
FLAG_TSYNC, FLAG_LOG, FLAG_SPEC_ALLOW, FLAG_WAIT_KILLABLE_RECV = 1, 2, 4, 32
ZERO = (0,) * 6


def rule(names: list[str], action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    return {"names": names, "action": action, **more}


def policy(*rules: dict[str, Any], default: str = "SCMP_ACT_KILL_PROCESS", **more: Any) -> dict[str, Any]:
    return {"defaultAction": default, "syscalls": list(rules), **more}


def verdicts(made: dict[str, Any], *names: str, arch: str = "x86_64", **options: Any) -> list[int]:
    """Return the filter's value for each named call, all arguments 0."""
    target = BY_NAME[arch]
    program = Program(
        compile_filter(json.dumps(made).encode(), arch, path="p", **options).code, target.big_endian
    )
    return [program.run(target.audit, target.numbers[name])[0] for name in names]


def reason(made: dict[str, Any] | str, arch: str = "x86_64", **options: Any) -> str:
    """Return the text of the refusal."""
    text = made if isinstance(made, str) else json.dumps(made)
    with pytest.raises(ConfigError) as caught:
        compile_filter(text.encode(), arch, path="p", **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("KILL", KILL_THREAD),
        ("KILL_THREAD", KILL_THREAD),
        ("KILL_PROCESS", KILL_PROCESS),
        ("TRAP", TRAP),
        ("ERRNO", ERRNO | 1),
        ("ERROR", ERRNO | 1),
        ("TRACE", TRACE | 1),
        ("ALLOW", ALLOW),
        ("LOG", LOG),
        ("NOTIFY", NOTIFY),
    ],
)
def test_action_becomes_the_kernels_value(action: str, value: int) -> None:
    assert verdicts(policy(rule(["read"], f"SCMP_ACT_{action}")), "read", "write") == [value, KILL_PROCESS]
    assert verdicts(policy(default=f"SCMP_ACT_{action}"), "read") == [value]


def test_errno_is_taken_from_rule_and_default() -> None:
    made = policy(
        rule(["read"], "SCMP_ACT_ERRNO", errnoRet=38),
        rule(["write"], "SCMP_ACT_TRACE", errnoRet=65535),
        default="SCMP_ACT_ERRNO",
        defaultErrnoRet=4095,
    )
    assert verdicts(made, "read", "write", "close") == [ERRNO | 38, TRACE | 65535, ERRNO | 4095]


def test_flags_come_out_as_the_kernels_bits() -> None:
    words = ["LOG", "SPEC_ALLOW", "TSYNC", "WAIT_KILLABLE_RECV"]
    made = policy(flags=[f"SECCOMP_FILTER_FLAG_{word}" for word in words])
    flags = compile_filter(json.dumps(made).encode(), "mips", path="p").flags
    assert flags == FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_TSYNC | FLAG_WAIT_KILLABLE_RECV


def test_first_matching_rule_wins() -> None:
    only_8 = [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]
    made = policy(
        rule(["read"], "SCMP_ACT_TRAP", args=only_8), rule(["read"]), rule(["read"], "SCMP_ACT_LOG")
    )
    program = Program(compile_filter(json.dumps(made).encode(), "x86_64", path="p").code, False)
    assert program.run(X86_64.audit, 0, (8, 0, 0, 0, 0, 0))[0] == TRAP
    assert program.run(X86_64.audit, 0, (0x100000008, 0, 0, 0, 0, 0))[0] == ALLOW


def test_same_argument_twice_makes_all_conditions_alternatives() -> None:
    args = [
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 1, "value": 7, "op": "SCMP_CMP_EQ"},
        {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"},
    ]
    made = policy(rule(["read"], args=args))
    program = Program(compile_filter(json.dumps(made).encode(), "x86_64", path="p").code, False)
    found = [program.run(X86_64.audit, 0, (a, b, 0, 0, 0, 0))[0] for a, b in [(1, 0), (2, 0), (0, 7), (3, 3)]]
    assert found == [ALLOW, ALLOW, ALLOW, KILL_PROCESS]


@pytest.mark.parametrize("arch", ["mips", "x86_64"])
def test_repeated_tests_of_one_value_keep_their_meaning(arch: str) -> None:
    """What is known from the test before is jumped over; nothing may be left hanging where both ways meet."""
    target = BY_NAME[arch]
    equal, other = ({"index": 0, "value": 5, "op": op} for op in ("SCMP_CMP_EQ", "SCMP_CMP_NE"))
    rules = {
        "NE or EQ": [rule(["read"], args=[other, equal])],
        "EQ or NE": [rule(["read"], args=[equal, other])],
        "EQ, EQ": [rule(["read"], args=[equal]), rule(["read"], "SCMP_ACT_LOG", args=[equal])],
        "NE, NE": [rule(["read"], args=[other]), rule(["read"], "SCMP_ACT_LOG", args=[other])],
        "NE, EQ": [rule(["read"], args=[other]), rule(["read"], "SCMP_ACT_LOG", args=[equal])],
        "EQ, NE": [rule(["read"], args=[equal]), rule(["read"], "SCMP_ACT_LOG", args=[other])],
    }
    for made in (policy(*of) for of in rules.values()):
        program = Program(compile_filter(json.dumps(made).encode(), arch, path="p").code, target.big_endian)
        for value in (4, 5, 6, *([2**32 + 5] if target.bits == 64 else [])):
            args = (value, 0, 0, 0, 0, 0)
            expected = verdict(made, target, target.audit, target.numbers["read"], args)
            assert program.run(target.audit, target.numbers["read"], args)[0] == expected


@pytest.mark.parametrize("arch", sorted(BY_NAME))
def test_classic_form_allows_its_list(arch: str) -> None:
    assert verdicts({"whitelist": ["read"]}, "read", "write", arch=arch) == [ALLOW, KILL_PROCESS]
    assert verdicts({"whitelist": ["read"], "policy": 0}, "write", arch=arch) == [KILL_PROCESS]
    made = {"whitelist": ["read"], "policy": 38}
    assert verdicts(made, "write", arch=arch) == [ERRNO | 38]
    assert compile_filter(json.dumps(made).encode(), arch, path="p").flags == FLAG_LOG


def test_docker_dialect_is_understood() -> None:
    made = policy(
        {"name": "read", "action": "SCMP_ACT_ALLOW", "args": None, "comment": "", "includes": {}},
        rule(["bpf"], includes={"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]}),
        rule(["bpf"], "SCMP_ACT_ERRNO", excludes={"caps": ["CAP_BPF"]}),
        rule(["ptrace"], includes={"minKernel": "4.8"}),
        rule(["arch_prctl"], includes={"arches": ["amd64", "x32"]}),
        archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    )
    names = ("read", "bpf", "ptrace", "arch_prctl")
    old = verdicts(made, *names, kernel=4 << 16 | 7)
    assert old == [ALLOW, ERRNO | 1, KILL_PROCESS, ALLOW]
    one_of_two = verdicts(made, "bpf", capabilities=1 << 39)
    assert one_of_two == [KILL_PROCESS]
    new = verdicts(made, *names, kernel=4 << 16 | 8, capabilities=1 << 39 | 1 << 21)
    assert new == [ALLOW, ALLOW, ALLOW, ALLOW]
    assert verdicts(made, "arch_prctl", arch="i386") == [KILL_PROCESS]
    assert "SCMP_ARCH_MIPS is missing" in reason(made, "mips")


def test_mistake_in_an_excluded_rule_is_still_refused() -> None:
    made = policy(rule(["raed"], includes={"caps": ["CAP_BPF"]}))
    assert 'unknown system call "raed"' in reason(made)


def test_name_of_another_architecture_is_skipped() -> None:
    made = policy(rule(["mmap2", "read"]), rule(["arch_prctl"], "SCMP_ACT_LOG"))
    assert verdicts(made, "mmap", "read", "arch_prctl") == [KILL_PROCESS, ALLOW, LOG]
    assert verdicts(made, "mmap2", "read", "mmap", arch="mips") == [ALLOW, ALLOW, KILL_PROCESS]


@pytest.mark.parametrize("names", [[], ["mmap2", "set_tls", "cacheflush"]])
def test_rule_without_names_never_matches_everything(names: list[str]) -> None:
    assert verdicts(policy(rule(names)), "read", "mmap", "write") == [KILL_PROCESS] * 3


def test_unknown_name_in_the_shim_only_ever_takes_rights_away() -> None:
    allows = policy(rule(["a_new_call", "read"]))
    assert verdicts(allows, "read", "write", lenient=True) == [ALLOW, KILL_PROCESS]
    logs = policy(rule(["a_new_call"], "SCMP_ACT_LOG"), default="SCMP_ACT_ALLOW")
    assert verdicts(logs, "read", lenient=True) == [ALLOW]
    softer = policy(rule(["a_new_call"], "SCMP_ACT_ERRNO"), default="SCMP_ACT_KILL_PROCESS")
    assert verdicts(softer, "read", lenient=True) == [KILL_PROCESS]
    restricts = policy(rule(["a_new_call"], "SCMP_ACT_ERRNO"), default="SCMP_ACT_ALLOW")
    assert reason(restricts, lenient=True).endswith('unknown system call "a_new_call"')
    assert "a_new_call" in reason(allows)


def test_two_names_of_one_number_keep_the_order_of_their_rules() -> None:
    for names in (["arm_sync_file_range", "sync_file_range2"], ["sync_file_range2", "arm_sync_file_range"]):
        made = policy(rule(names[:1], "SCMP_ACT_TRAP"), rule(names[1:]))
        assert verdicts(made, "sync_file_range2", arch="arm") == [TRAP]


def test_foreign_abi_is_killed_before_anything_else() -> None:
    made = policy(default="SCMP_ACT_ALLOW")
    program = Program(compile_filter(json.dumps(made).encode(), "x86_64", path="p").code, False)
    x32 = 0x40000000
    found = [program.run(X86_64.audit, nr)[0] for nr in (0, x32 - 1, x32, x32 + 1, 0x80000000, 0xFFFFFFFF)]
    assert found == [ALLOW, ALLOW] + [KILL_PROCESS] * 4
    assert program.run(BY_NAME["i386"].audit, 0)[0] == KILL_PROCESS


def startup(*rules: dict[str, Any]) -> bytes:
    return json.dumps(policy(*rules)).encode()


SHIM_AND_LIBC = startup(rule(["openat"], comment="shim"), rule(["brk"], comment="libc"))
PIN = (0x1111111122222222, 0x3333333344444444, 0x5555555566666666)


def door1(made: dict[str, Any], arch: str = "x86_64", **options: Any) -> Program:
    mask = 2 ** BY_NAME[arch].bits - 1
    pin = (PIN[0] & mask, PIN[1] & mask, PIN[2] & mask)
    compiled = compile_filter(
        json.dumps(made).encode(), arch, path="p", startup=SHIM_AND_LIBC, door1=True, exec_pin=pin, **options
    )
    return Program(compiled.code, BY_NAME[arch].big_endian)


@pytest.mark.parametrize("arch", sorted(BY_NAME))
def test_door_1_adds_start_up_rules_and_one_execve(arch: str) -> None:
    target = BY_NAME[arch]
    program = door1(policy(rule(["openat", "brk"], "SCMP_ACT_TRAP"), rule(["write"])), arch)
    mask = 2**target.bits - 1
    pin = tuple(word & mask for word in PIN)
    numbers = target.numbers
    assert [program.run(target.audit, numbers[name])[0] for name in ("openat", "brk", "write", "read")] == [
        ALLOW,
        ALLOW,
        ALLOW,
        KILL_PROCESS,
    ]
    execve = numbers["execve"]
    assert program.run(target.audit, execve, (*pin, 9, 9, 9))[0] == ALLOW
    for place in range(3):
        for step in (1, -1, 1 << 31, *([1 << 32, 1 << 63] if target.bits == 64 else [])):
            other = list(pin)
            other[place] = (other[place] + step) & mask
            assert program.run(target.audit, execve, (*other, 0, 0, 0))[0] == KILL_PROCESS


@pytest.mark.parametrize("arch", sorted(BY_NAME))
def test_pinned_words_are_compared_one_by_one_for_equality(arch: str) -> None:
    """The launcher writes the real pointers over them."""
    words = [word >> shift & 0xFFFFFFFF for word in PIN for shift in (0, 32)]
    if BY_NAME[arch].bits == 32:
        words = words[::2]
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (0, PIN[0] >> 32)]
    made = policy(rule(["execve"], "SCMP_ACT_TRAP", args=args), rule(["execve"], "SCMP_ACT_LOG"))
    program = door1(made, arch)
    for word in words:
        found = [code for code, _, _, k in program.insns if k == word]
        assert found.count(0x15) == 1 or word == PIN[0] >> 32
        assert set(found) == {0x15}


def test_door_2_has_no_start_up_rules() -> None:
    made = policy(rule(["read"]), startup=["brk"])
    assert verdicts(made, "read", "brk", "openat", "execve") == [ALLOW] + [KILL_PROCESS] * 3


def test_own_start_up_list_replaces_all_but_the_shims_rules() -> None:
    program = door1(policy(startup=["mmap"]))
    names = ("mmap", "openat", "brk")
    found = [program.run(X86_64.audit, X86_64.numbers[name])[0] for name in names]
    assert found == [ALLOW, ALLOW, KILL_PROCESS]


def test_policy_that_allows_execve_needs_no_pin() -> None:
    program = door1(policy(rule(["execve"])))
    assert program.run(X86_64.audit, X86_64.numbers["execve"])[0] == ALLOW


def test_mistake_in_the_start_up_text_names_that_text() -> None:
    bad = startup(rule(["raed"]))
    text = json.dumps(policy()).encode()
    with pytest.raises(ConfigError, match=r'^s:1:\d+: unknown system call "raed"'):
        compile_filter(text, "x86_64", path="p", startup=bad, startup_path="s", door1=True)
    compile_filter(text, "x86_64", path="p", startup=bad)


def test_start_up_list_is_checked_without_door_1_too() -> None:
    assert 'unknown system call "brrk", did you mean "brk"' in reason(policy(startup=["brrk"]))
    assert reason(policy(startup="brk")).endswith("startup must be an array")
    for call in ("execve", "execveat"):
        assert reason(policy(startup=["brk", call])).endswith(f"startup cannot hold {call}")
        with pytest.raises(ConfigError, match=f"startup cannot hold {call}"):
            door1(policy(startup=[call]))


def test_lint_finds_rules_that_never_match() -> None:
    text = json.dumps(
        policy(
            rule(["read", "write"]),
            rule(["read"], "SCMP_ACT_LOG"),
            rule(["close"], args=[{"index": 0, "value": 2**32, "op": "SCMP_CMP_EQ"}]),
            rule(["mmap2", "write", "close"]),
            rule([]),
            rule(["write"], includes={"caps": ["CAP_BPF"]}),
        ),
        indent=0,
    ).encode()
    assert lint(text, "x86_64", path="p") == [
        "p:11:1: this rule can never match: earlier rules decide all its calls"
    ]
    assert lint(text, "mips", path="p") == [
        "p:11:1: this rule can never match: earlier rules decide all its calls",
        "p:17:1: this rule can never match: no argument is like that on mips",
    ]
    with pytest.raises(ConfigError):
        lint(b"{}", "x86_64", path="p")


def test_lint_sees_a_condition_that_an_earlier_rule_has_word_for_word() -> None:
    args = [{"index": 0, "value": 1, "op": "SCMP_CMP_GT"}]
    made = policy(rule(["read"], args=args), rule(["read"], "SCMP_ACT_LOG", args=args))
    assert len(lint(json.dumps(made).encode(), "x86_64", path="p")) == 1
