# SPDX-License-Identifier: MIT
"""jailctl policy: reading, merging, comparing, porting and checking policies; no kernel is asked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail import calls, policyfile
from jail.errors import ConfigError, UsageError
from jail.jailctl import main
from jail.policy import ARCHES, call_number, compile_filter
from jail.policy_lint import AROUND, DANGEROUS, NEEDS, TWINS, explain, lint
from jail.policy_merge import diff, merge, rule_text
from jail.policy_port import port

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
HEAD = b'{"defaultAction": "SCMP_ACT_KILL",\n"syscalls": ['
SHIPPED = sorted((Path(__file__).resolve().parents[2] / "json-filters").glob("[a-z]*.json"))
SHIPPED = [path for path in SHIPPED if path.stem != "schema"]


def rule(*names: str, action: str = ALLOW, **more: Any) -> dict[str, object]:
    return {"names": [*names], "action": action, **more}


def equals(index: int, value: int) -> dict[str, object]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def policy(*rules: dict[str, object], path: str = "p", **head: Any) -> policyfile.Policy:
    text = json.dumps({"defaultAction": policyfile.KILL, "syscalls": [*rules], **head})
    return policyfile.parse(text.encode(), path)


def names(made: policyfile.Policy, at: int = 0) -> list[str]:
    return policyfile.names_of(made.rules[at])


# ---- reading ----


def test_group_stands_for_its_calls_on_the_same_line() -> None:
    text = HEAD + b'{"names": ["@memory", "read"],\n"action": "SCMP_ACT_ALLOW"}]}'
    made = policyfile.parse(text, "p")
    assert names(made) == [*calls.members("@memory"), "read"]
    assert made.text.count(b"\n") == text.count(b"\n")


def test_mistake_behind_a_group_has_its_place_in_the_file() -> None:
    text = HEAD + b'{"names": ["@file-read", "raed"], "action": "SCMP_ACT_ALLOW"}]}'
    with pytest.raises(ConfigError) as caught:
        policyfile.parse(text, "p")
    column = text.split(b"\n")[1].index(b'"raed"') + 1
    assert str(caught.value).startswith(f"p:2:{column}: unknown system call")


def test_unknown_group_has_a_place_and_a_near_match() -> None:
    with pytest.raises(ConfigError, match=r'^p:1:.*unknown group "@netwrok": did you mean "@network"'):
        policy(rule("read", "@netwrok"))


def test_group_in_a_comment_is_a_word() -> None:
    assert policy(rule("read", comment="@file-read")).rules[0]["comment"] == "@file-read"


def test_group_as_a_single_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="@memory"):
        policyfile.parse(
            b'{"defaultAction":"SCMP_ACT_KILL","syscalls":[{"name":"@memory","action":"SCMP_ACT_ALLOW"}]}',
            "p",
        )


def test_policy_of_2015_becomes_one_of_today() -> None:
    made = policyfile.parse(b'{"whitelist": ["read"], "policy": 1}', "p")
    assert made.head["defaultAction"] == ERRNO and made.head["defaultErrnoRet"] == 1
    assert names(made) == ["read"]
    before = compile_filter(made.text, "mips", path="p")
    after = compile_filter(policyfile.render(made).encode(), "mips", path="p")
    assert (before.code, before.flags) == (after.code, after.flags)


def test_policy_for_another_architecture_can_be_read() -> None:
    assert policy(rule("read"), architectures=["SCMP_ARCH_MIPSEL"]).head["architectures"] == [
        "SCMP_ARCH_MIPSEL"
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_fmt_changes_nothing_that_counts(path: Path) -> None:
    made = policyfile.load(str(path))
    text = policyfile.render(made)
    assert json.loads(text) == json.loads(path.read_text())
    for arch in ARCHES:
        old, new = (compile_filter(each, arch, path="p").code for each in (path.read_bytes(), text.encode()))
        assert old == new


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_damaged_policy_is_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(
        b'{"defaultAction": "SCMP_ACT_KILL", "syscalls": [{"names": ["@memory", "read"], "action": "SCMP_ACT_ALLOW",'
        b' "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 2}]}], "counts": {"read": 1}}'
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=3))
    try:
        made = policyfile.parse(bytes(text), "p")
    except ConfigError as error:
        assert str(error).startswith("p:")
    else:
        assert policyfile.parse(policyfile.render(made).encode(), "p").rules == made.rules


# ---- merge and diff ----


def test_merge_adds_names_and_counts() -> None:
    one = policy(rule("read", "open", comment="a"), rule("brk", comment="b"), counts={"read": 2, "open": 1})
    two = policy(
        rule("open", "write", comment="a"), rule("mmap", comment="b"), counts={"open": 5, "write": 1}
    )
    made, notes = merge([one, two])
    assert made.counts == {"open": 6, "read": 2, "write": 1}
    assert names(made) == ["open", "read", "write"] and names(made, 1) == ["brk", "mmap"]
    assert notes == []


def test_merge_with_itself_changes_nothing() -> None:
    for path in SHIPPED:
        made = policyfile.load(str(path))
        assert diff(made, merge([made, made])[0]) == []


def test_merge_keeps_conditions_of_both() -> None:
    made, _ = merge(
        [policy(rule("socket", args=[equals(0, 1)])), policy(rule("socket", args=[equals(0, 2)]))]
    )
    assert [policyfile.conditions_of(each)[0]["value"] for each in made.rules] == [1, 2]


def test_merge_lets_the_wider_rule_win() -> None:
    narrow, wide = policy(rule("socket", args=[equals(0, 1)])), policy(rule("socket"))
    for pair in ([narrow, wide], [wide, narrow]):
        assert _allowed(merge(pair)[0], "socket", 7)


def test_merge_says_what_it_could_not_join() -> None:
    made, notes = merge([policy(rule("mount", action=ERRNO, errnoRet=1)), policy(rule("mount"), path="q")])
    assert notes == ["mount: q says allow, kept is errno EPERM"]
    assert not _allowed(made, "mount")


def test_merge_says_whose_flag_weakens_the_other() -> None:
    weak = policy(rule("read"), path="q", flags=["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
    for pair in ([policy(rule("read")), weak], [weak, policy(rule("read"))]):
        assert "SPEC_ALLOW, which is kept" in merge(pair)[1][0]
    assert not merge([weak, weak])[1]


def test_merge_refuses_different_defaults() -> None:
    with pytest.raises(ConfigError, match="q: defaultAction is"):
        merge([policy(rule("read")), policy(rule("read"), path="q", defaultAction=ERRNO)])


def test_merge_leaves_its_sources_alone() -> None:
    one, two = policy(rule("read")), policy(rule("write"))
    merge([one, two])
    assert names(one) == ["read"] and names(two) == ["write"]


NAMES = st.lists(st.sampled_from(["read", "write", "open", "socket", "brk"]), min_size=1, unique=True)
RULES = st.builds(
    lambda found, value: rule(*found, args=[] if value is None else [equals(0, value)]),
    NAMES,
    st.none() | st.integers(0, 2),
)


@given(st.lists(RULES, min_size=1, max_size=4), st.lists(RULES, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_merge_of_allowing_policies_allows_exactly_what_either_does(
    a: list[dict[str, object]], b: list[dict[str, object]]
) -> None:
    one, two = policy(*a), policy(*b)
    made, notes = merge([one, two])
    assert notes == []
    for name in ("read", "socket", "brk"):
        for value in range(4):
            either = _allowed(one, name, value) or _allowed(two, name, value)
            assert _allowed(made, name, value) == either


def mixed(*names: str) -> st.SearchStrategy[list[dict[str, object]]]:
    """Rules that allow and that deny these calls, with conditions and without."""
    made = st.builds(
        lambda found, value, denies: rule(
            *found,
            action=ERRNO if denies else ALLOW,
            args=[] if value is None else [equals(0, value)],
        ),
        st.lists(st.sampled_from(names), min_size=1, unique=True),
        st.none() | st.integers(0, 2),
        st.booleans(),
    )
    return st.lists(made, min_size=1, max_size=4)


@given(mixed("read", "write"), mixed("open", "socket"))
@settings(max_examples=15, deadline=None)
def test_merge_keeps_the_order_of_rules_that_deny(
    a: list[dict[str, object]], b: list[dict[str, object]]
) -> None:
    one, two = policy(*a), policy(*b)
    made, notes = merge([one, two])
    assert notes == []
    for source, names in ((one, ("read", "write")), (two, ("open", "socket"))):
        for name in names:
            for value in range(4):
                assert _allowed(made, name, value) == _allowed(source, name, value)


def test_merge_of_denying_policies_denies_what_either_does() -> None:
    one = policy(rule("read", action=ERRNO), defaultAction=ALLOW)
    two = policy(rule("write", action=ERRNO), defaultAction=ALLOW, path="q")
    made, notes = merge([one, two])
    assert not notes
    assert [_allowed(made, name) for name in ("read", "write", "open")] == [False, False, True]


def test_merge_does_not_put_a_denial_behind_what_it_limits() -> None:
    one = policy(rule("read"), rule("write", action=ERRNO, args=[equals(0, 1)]))
    two = policy(rule("socket", action=ERRNO, args=[equals(0, 1)]), rule("socket"))
    made, _ = merge([one, two])
    assert not _allowed(made, "socket", 1) and _allowed(made, "socket", 2)


def _allowed(made: policyfile.Policy, name: str, value: int = 0) -> bool:
    """By an interpreter that is not the product's."""
    from bpf import Program

    from jail._native import lib

    code = compile_filter(policyfile.render(made).encode(), "x86_64", path="p").code
    number = call_number("x86_64", name)
    result, _ = Program(code, False).run(lib.arch_audit(b"x86_64"), number, (value, 0, 0, 0, 0, 0))
    return result == lib.SECCOMP_RET_ALLOW


def test_diff_does_not_see_order_comments_and_counts() -> None:
    one = policy(rule("read", "write", comment="a"), counts={"read": 1})
    assert diff(one, policy(rule("write"), rule("read", comment="b"))) == []


def test_diff_says_what_a_process_would_notice() -> None:
    one = policy(rule("read", "socket"), rule("mount", action=ERRNO, errnoRet=1))
    two = policy(rule("write"), rule("socket", args=[equals(0, 16)]), flags=["SECCOMP_FILTER_FLAG_LOG"])
    assert diff(one, two) == [
        '~ flags: not there -> ["SECCOMP_FILTER_FLAG_LOG"]',
        "- mount: errno EPERM",
        "- read: allow",
        "~ socket: allow -> allow if arg0 == 0x10",
        "+ write: allow",
    ]


def test_an_errno_of_0_is_not_the_one_that_is_left_out() -> None:
    one = policy(rule("mount", action=ERRNO, errnoRet=0), path="a")
    two = policy(rule("mount", action=ERRNO), path="b")
    assert diff(one, two) == ["~ mount: errno 0 -> errno"]
    assert merge([one, two])[1] == ["mount: b says errno, kept is errno 0"]


def test_conditions_on_one_argument_are_alternatives_in_words_too() -> None:
    assert rule_text(rule("socket", args=[equals(0, 1), equals(0, 2)])) == "allow if arg0 == 1 or arg0 == 2"
    assert rule_text(rule("socket", args=[equals(0, 1), equals(1, 2)])) == "allow if arg0 == 1 and arg1 == 2"


# ---- port ----


def test_port_adds_what_the_target_calls_instead_and_marks_it() -> None:
    made, _ = port(policy(rule("mmap", "newfstatat", "socket", "clock_gettime")), "mips")
    assert str(made.rules[1]["comment"]).startswith("guessed for mips: ")
    guessed = set(names(made, 1))
    assert {"mmap2", "fstat64", "stat64", "lstat64", "fstatat64", "statx", "clock_gettime64"} <= guessed
    assert all(call_number("mips", name) >= 0 for name in guessed)
    assert "socketcall" not in guessed  # no libc calls it there


def test_port_to_i386_knows_socketcall_and_back() -> None:
    made, _ = port(policy(rule("socket", "connect")), "i386")
    assert "socketcall" in names(made, 1)
    back, _ = port(policy(rule("socketcall")), "x86_64")
    assert {"socket", "connect", "accept4"} <= set(names(back, 1))


def test_port_keeps_conditions_only_where_they_mean_the_same() -> None:
    made, notes = port(
        policy(rule("mmap", args=[equals(2, 1)]), rule("open", args=[equals(1, 0)])), "aarch64"
    )
    assert len(made.rules) == 2 and notes == [
        "open: aarch64 has no such call, and its condition fits no other one: left out"
    ]
    made, _ = port(policy(rule("mmap", args=[equals(2, 1)])), "arm")
    assert names(made, 1) == ["mmap2"] and policyfile.conditions_of(made.rules[1]) == [equals(2, 1)]


def test_twin_gets_every_rule_of_its_name_in_their_order() -> None:
    values = [rule("mmap", args=[equals(2, value)]) for value in (1, 3)]
    made, _ = port(policy(*values, rule("mmap", action=ERRNO, errnoRet=1)), "i386")
    alone = [each for each in made.rules if "mmap2" in policyfile.names_of(each)]
    assert [policyfile.conditions_of(each) for each in alone] == [[equals(2, 1)], [equals(2, 3)], []]
    assert [each["action"] for each in alone] == [ALLOW, ALLOW, ERRNO]


def test_port_does_not_go_around_a_condition() -> None:
    limited = policy(rule("socket", action=ERRNO, args=[equals(0, 17)]), rule("socket"))
    made, _ = port(limited, "i386")
    assert all("socketcall" not in policyfile.names_of(each) for each in made.rules)
    free, _ = port(policy(rule("socket")), "i386")
    assert any("socketcall" in policyfile.names_of(each) for each in free.rules)


def test_port_never_widens_a_denial_to_a_multiplexer() -> None:
    made, _ = port(policy(rule("socket", action=ERRNO), defaultAction=ALLOW), "i386")
    assert len(made.rules) == 1


def test_port_to_musl_adds_its_older_names() -> None:
    made, _ = port(policy(rule("read", "openat", "newfstatat")), "x86_64", "musl")
    assert {"readv", "open", "stat", "fstat", "lstat"} <= set(names(made, 1))


def test_port_twice_is_port_once() -> None:
    once, _ = port(policy(rule("mmap", "stat", "select")), "mips", "musl")
    twice, _ = port(policyfile.parse(policyfile.render(once).encode(), "p"), "mips", "musl")
    assert twice.rules == once.rules


@pytest.mark.parametrize("arch", ARCHES)
def test_ported_policies_compile_and_allow_no_less(arch: str) -> None:
    for path in SHIPPED[:3]:
        before = policyfile.load(str(path))
        made, _ = port(before, arch)
        assert compile_filter(policyfile.render(made).encode(), arch, path="p").code
        assert all(line.startswith("+ ") for line in diff(before, made))


def test_port_asks_for_known_words() -> None:
    with pytest.raises(UsageError, match='"musl"'):
        port(policy(rule("read")), "mips", "mussl")


def test_what_is_written_follows_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")  # not of Python alone: guests go without
    schema = json.loads((SHIPPED[0].parent / "schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    old = policyfile.parse(b'{"whitelist": ["read", "@memory"], "policy": 1, "counts": {"read": 2}}', "p")
    new = policy(rule("mmap", "socket"), rule("mount", action=ERRNO, errnoRet=1, args=[equals(0, 1)]))
    for made in (old, new, port(new, "mips", "musl")[0], merge([new, new])[0]):
        validator.validate(json.loads(policyfile.render(made)))


# ---- lint and explain ----


def lines_of(*rules: dict[str, object], arch: str = "x86_64", **head: Any) -> str:
    return "\n".join(lint(policy(*rules, **head), arch))


@pytest.mark.parametrize("together", [names for names, _ in DANGEROUS], ids=" ".join)
def test_dangerous_calls_are_named_with_a_reason_and_only_together(together: tuple[str, ...]) -> None:
    said = f"allows {' with '.join(together)}: "
    assert said in lines_of(rule(*together))
    assert said not in lines_of(rule("read", *together[1:]))
    assert said not in lines_of(rule(*together, args=[equals(0, 5)]))


@pytest.mark.parametrize(("name", "other"), [pair[:2] for pair in (*NEEDS, *TWINS)])
def test_missing_twin_is_named(name: str, other: str) -> None:
    arch = next(a for a in ARCHES if min(call_number(a, name), call_number(a, other)) >= 0)
    said = re.compile(rf"not {other}[,:]")
    assert said.search(lines_of(rule(name), arch=arch))
    assert not said.search(lines_of(rule(name, other), arch=arch))


def test_missing_twins_of_64_bit_time() -> None:
    assert "not clock_gettime64, its twin with 64-bit time" in lines_of(rule("clock_gettime"), arch="mips")
    assert "64-bit time" not in lines_of(rule("clock_gettime"), arch="x86_64")


@pytest.mark.parametrize(("name", "other"), [pair[:2] for pair in AROUND])
def test_condition_that_another_call_goes_around(name: str, other: str) -> None:
    arch = next(a for a in ("i386", "x86_64") if min(call_number(a, name), call_number(a, other)) >= 0)
    limited = rule(name, args=[equals(0, 1)])
    assert f"but allows {other}" in lines_of(limited, rule(other), arch=arch)
    assert f"but allows {other}" not in lines_of(limited, arch=arch)


def test_int_that_is_denied_with_an_upper_half_of_zero_alone() -> None:
    def test(op: str, value: int, two: int = 0) -> dict[str, object]:
        return {"index": 1, "op": f"SCMP_CMP_{op}", "value": value} | ({"valueTwo": two} if two else {})

    said = "denies ioctl with argument 1 = 0x5412 and allows it with 0x100005412"
    denied = rule("ioctl", action=ERRNO, args=[test("EQ", 0x5412)])
    assert said in lines_of(denied, rule("ioctl"))
    assert said in lines_of(denied, defaultAction=ALLOW)
    assert said in lines_of(rule("ioctl", args=[test("NE", 0x5412)]))
    assert said not in lines_of(denied, rule("ioctl"), accepted={"ioctl by half": "one that trusts it"})
    masked = rule("ioctl", action=ERRNO, args=[test("MASKED_EQ", 0xFFFFFFFF, 0x5412)])
    none = rule("ioctl", action=ERRNO, args=[test("MASKED_EQ", 0xFFFFFFFF)])
    for rules in (
        [masked, rule("ioctl")],
        [none, rule("ioctl")],
        [denied],
        [rule("ioctl", args=[test("EQ", 0x5412)])],
    ):
        assert "denies ioctl" not in lines_of(*rules)
    for arch in ("i386", "mips"):
        assert "denies ioctl" not in lines_of(denied, rule("ioctl"), arch=arch)
    # the length of a write is no int
    assert "by half" not in lines_of(rule("write", action=ERRNO, args=[test("EQ", 1)]), rule("write"))


def test_policy_for_one_architecture_with_reasons_is_looked_at_for_that_one_alone() -> None:
    limited = rule("ioctl", "ptrace", "exit_group", args=[equals(1, 5)])
    head: dict[str, Any] = {"architectures": ["SCMP_ARCH_X86_64"], "accepted": {"execve": "not there"}}
    assert "accepts 'execve', which is not so" in lines_of(limited, **head)
    denied = rule("ioctl", action=ERRNO, args=[equals(1, 5)])
    head["accepted"] = {"ioctl by half": "trusted"}
    said = lines_of(denied, rule("ioctl", "exit_group"), **head)
    assert "by half" not in said and "denies ioctl" not in said


def test_rule_that_never_matches_has_its_place() -> None:
    assert "p:1:" in lines_of(rule("read"), rule("read", action=ERRNO))


def test_default_that_allows_is_named() -> None:
    assert "what no rule names is allowed" in lines_of(rule("mount", action=ERRNO), defaultAction=ALLOW)


def test_danger_with_a_reason_is_not_said_and_one_that_is_not_there_is() -> None:
    both = rule("execve", "mprotect", "chroot")
    accepted = {"execve with mprotect": "a shell", "defaultAction": "a list of what is denied"}
    assert (
        lines_of(both, accepted=accepted, defaultAction=ALLOW).count("\n") > 5
    )  # all the others are allowed
    said = lines_of(both, accepted=accepted)
    assert "allows execve with" not in said
    assert "allows chroot: " in said
    assert "accepts 'defaultAction', which is not so" in said
    assert "allows execve with" in lines_of(both, accepted={"execve with mprotect": ""})


def test_reasons_of_a_strangers_policy_hide_nothing_on_request(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "p.json"
    head = {"defaultAction": policyfile.KILL, "accepted": {"ptrace": "why not"}}
    names = ["ptrace", "exit_group", "rt_sigreturn", "restart_syscall"]
    file.write_text(json.dumps({**head, "syscalls": [rule(*names)]}))
    assert run(capfd, "policy", "lint", file)[:2] == (0, "")
    status, out, _ = run(capfd, "policy", "lint", "--all", file)
    assert status == 1
    assert "allows ptrace: " in out and out.endswith("; the policy's reason: why not\n")


def test_explain_says_what_it_knows() -> None:
    text = "\n".join(explain("mount"))
    assert "cap_sys_admin" in text and "@mount" in text and "mips 4021" in text
    with pytest.raises(UsageError, match='did you mean "mount"'):
        explain("muont")
    with pytest.raises(UsageError, match='did you mean "@network"'):
        explain("@netwrk")
    assert "mmap2" in explain("@memory")[1]


# ---- the tables ----


def test_every_name_of_the_tables_is_a_system_call() -> None:
    known = set(calls.all_names())
    for group in calls.group_names():
        assert set(calls.members(group)) <= known
    for row in calls.equivalents():
        assert set(row.names) <= known and set(row.same) <= set(row.names)
    for one, row_of in calls.multiplexers().items():
        assert {one, *row_of["names"]} <= known and set(row_of["arches"]) <= set(ARCHES)
    for libc in ("glibc", "musl"):
        habits = calls.libc_habits(libc)
        assert known >= set(habits) | {name for each in habits.values() for name in each}


def test_capabilities_of_the_tables_are_capabilities() -> None:
    from jail.capabilities import NAMES

    found = {calls.describe(name)[1] for name in calls.all_names()} - {""}
    assert found and {name.removeprefix("cap_") for name in found} <= set(NAMES)


# ---- the command ----


def run(capfd: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    status = main(["jailctl", *map(str, args)])
    out, err = capfd.readouterr()
    return status, out, err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"defaultAction": policyfile.KILL, "syscalls": [rule("read", "@memory")]}))
    return path


def test_diff_answers_by_its_status(capfd: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.json"
    other.write_text(file.read_text().replace('"read"', '"write"'))
    assert run(capfd, "policy", "diff", file, file) == (0, "", "")
    assert run(capfd, "policy", "diff", file, other)[:2] == (1, "- read: allow\n+ write: allow\n")
    assert run(capfd, "policy", "diff", file, tmp_path / "none")[0] == 125


def test_output_is_replaced_at_once_or_not_at_all(
    capfd: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    out.write_text("before")
    assert run(capfd, "policy", "fmt", tmp_path / "none", "-o", out)[0] == 125
    assert out.read_text() == "before"
    assert run(capfd, "policy", "fmt", file, "-o", out) == (0, "", "")
    assert "@" not in out.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "out.json"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "no command given"),
        (("polcy", "merge"), 'did you mean "policy merge"'),
        (("policy", "mrege"), 'did you mean "policy merge"'),
        (("policy",), "policy what?"),
        (("polcy",), 'did you mean "policy"?'),
        (("policy", "from"), "policy from what? one of strace, audit"),
        (("policy", "from", "strac"), 'did you mean "policy from strace"?'),
        (("policy", "diff", "a"), "usage: jailctl policy diff OLD NEW"),
        (("policy", "diff", "--asm", "a", "b"), "policy diff has no option --asm"),
        (("policy", "port", "a"), "port needs --to ARCH or --libc LIBC"),
        (("syscalls", "--arch", "mipz"), 'did you mean "mips"'),
        (("syscalls", "x"), "usage: jailctl syscalls"),
        (("--arhc", "x"), 'did you mean "--arch"'),
    ],
)
def test_wrong_command_lines_are_refused_with_a_hint(
    capfd: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    status, out, err = run(capfd, *args)
    assert (status, out) == (125, "") and said in err


def test_number_tables(capfd: pytest.CaptureFixture[str]) -> None:
    assert "4003\tread\n" in run(capfd, "syscalls", "--arch", "mips")[1]
    assert "21\tcap_sys_admin\n" in run(capfd, "caps")[1]
    assert "\tEPERM\t" in run(capfd, "errnos")[1]
    assert "\tAF_UNIX\n" in run(capfd, "families")[1]


def test_usage_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    from jail.jailctl import COMMANDS

    out = run(capfd, "--help")[1]
    assert all(f"  {row[0]} " in out for row in COMMANDS)


@pytest.mark.parametrize("command", [("show",), ("simulate", "read"), ("lint",), ("diff",)])
def test_words_of_a_policy_are_no_lines_of_ours(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "p.json"
    forged = "\nanything else: kill\x1b[8m\x9b8m"
    rules = [rule("read", comment=forged), rule("ptrace")]
    file.write_text(json.dumps({"defaultAction": ALLOW, "accepted": {forged: "no"}, "syscalls": rules}))
    verb, *words = command
    out = "".join(run(capfd, "policy", verb, file, *(words or [str(file)] * (verb == "diff")))[1:])
    assert all(line.isprintable() and not line.startswith("anything else: kill") for line in out.split("\n"))
    # as it stands in the policy it would be one
    assert "\nanything else: kill" in policy(*rules).rules[0]["comment"]  # type: ignore[operator]


@pytest.mark.parametrize("name", ["@\x1b[2J", "@\x9b2J", "re\x9bad", "re\x1bad"])
def test_unknown_names_cannot_command_the_terminal(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"defaultAction": ALLOW, "syscalls": [rule(name)]}, ensure_ascii="re" in name))
    status, _, err = run(capfd, "policy", "lint", file)
    assert status == 125
    assert err.rstrip("\n").isprintable()
