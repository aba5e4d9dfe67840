# SPDX-License-Identifier: MIT
"""Bad policies: each gives an error with line, column and reason, and never a filter."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail.errors import ConfigError
from jail.policy import compile_filter

KILL = '"defaultAction": "SCMP_ACT_KILL"'


def refusal(text: bytes | str, arch: str = "x86_64") -> str:
    with pytest.raises(ConfigError) as caught:
        compile_filter(text.encode() if isinstance(text, str) else text, arch, path="p")
    return str(caught.value)


def with_rule(members: str) -> str:
    """One rule, on a line of its own."""
    return f'{{{KILL}, "syscalls": [\n{{{members}}}]}}'


def with_arg(members: str) -> str:
    return with_rule(f'"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [\n{{{members}}}]')


JSON_ERRORS = [
    (b"", "1:1: the text ends where a value is expected"),
    (b" \n ", "2:2: the text ends where a value is expected"),
    (b"{", "1:2: expected a key in double quotes"),
    (b"{'a': 1}", "1:2: expected a key in double quotes"),
    (b'{"a"', '1:5: expected ":" after the key'),
    (b'{"a": 1', '1:8: expected "," or "}"'),
    (b'{"a": 1,}', "1:9: expected a key in double quotes"),
    (b'{"a": [1', '1:9: expected "," or "]"'),
    (b'{"a": [1,]}', "1:10: expected a value"),
    (b'{"a": "b', "1:7: the string is not closed"),
    (b'{"a": "b\\', "1:10: the text ends inside a string"),
    (b'{"a": NaN}', "1:7: expected a value"),
    (b'{"a": Infinity}', "1:7: expected a value"),
    (b'{"a": -Infinity}', "1:7: not a number"),
    (b'{"a": +1}', "1:7: expected a value"),
    (b'{"a": .5}', "1:7: expected a value"),
    (b'{"a": 1.}', "1:7: not a number"),
    (b'{"a": 1e}', "1:7: not a number"),
    (b'{"a": 01}', "1:7: a number may not start with 0"),
    (b'{"a": 0x1}', '1:8: expected "," or "}"'),
    (b'{"a": True}', "1:7: expected a value"),
    (b'{"a": tru}', "1:7: expected a value"),
    (b'{"a": 1} x', "1:10: text after the end of the value"),
    (b'{"a": 1}{', "1:9: text after the end of the value"),
    (b"{} // no", "1:4: text after the end of the value"),
    (b"\xef\xbb\xbf{}", "1:1: expected a value"),
    (b'{"a": 1,\n "b": 2,\n "a": 3}', '3:2: duplicate key "a"'),
    (b'{"a": 1, "\\u0061": 3}', '1:10: duplicate key "a"'),
    (b'{"a": "\n"}', "1:8: a control character in a string must be escaped"),
    (b'{"a": "\\x"}', "1:8: unknown escape in a string"),
    (b'{"a": "\\u12"}', "1:8: \\u takes four hexadecimal digits"),
    (b'{"a": "\\u0000"}', "1:8: a string may not hold NUL"),
    (b'{"a": "\\ud800"}', "1:8: half of a surrogate pair"),
    (b'{"a": "\\ud800\\u0041"}', "1:8: half of a surrogate pair"),
    (b'{"a": "\\udc00"}', "1:8: half of a surrogate pair"),
    (b'{"a": "\xff"}', "1:8: invalid utf-8"),
    (b'{"a": "\xc0\x80"}', "1:8: invalid utf-8"),
    (b'{"a": "\xed\xa0\x80"}', "1:8: invalid utf-8"),
    (b'{"a": "\xf4\x90\x80\x80"}', "1:8: invalid utf-8"),
    (b'{"a": "\xe2\x82"}', "1:8: invalid utf-8"),
    (b'{"\xc3\xa9": "\xff"}', "1:8: invalid utf-8"),  # columns count characters
    (b"\0", "1:1: expected a value"),
    (b"[" * 17 + b"]" * 17, "1:17: nested too deeply"),
    (b"[" * 1_000_000, "1:17: nested too deeply"),
    (b'{"a":' * 100_000, "1:81: nested too deeply"),
    (b"{" + b",".join(b'"%d": 0' % n for n in range(1025)) + b"}", "too many keys in one object"),
]

POLICY_ERRORS = [
    ("[]", "1:1: a policy must be an object"),
    ("[1]", "1:1: a policy must be an object"),
    ('[{"defaultAction": 1}]', "1:1: a policy must be an object"),
    ("null", "1:1: a policy must be an object"),
    ('"x"', "1:1: a policy must be an object"),
    ("{}", "1:1: defaultAction is missing"),
    ('{"syscalls": []}', "1:1: defaultAction is missing"),
    ('{"defaultAction": 1}', "1:19: an action must be a string"),
    (
        '{"defaultAction": "SCMP_ACT_ALOW"}',
        '1:19: unknown action "SCMP_ACT_ALOW", did you mean "SCMP_ACT_ALLOW"',
    ),
    ('{"defaultAction": "zzz"}', '1:19: unknown action "zzz"'),
    ('{"defaultActoin": "SCMP_ACT_KILL"}', '1:2: unknown key "defaultActoin", did you mean "defaultAction"'),
    (f'{{{KILL}, "zzzzzz": 1}}', '1:36: unknown key "zzzzzz"'),
    (f'{{{KILL}, "": 1}}', '1:36: unknown key ""'),
    (f'{{{KILL}, "defaultErrnoRet": 1}}', "1:55: an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only"),
    (
        '{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}',
        "1:56: an errno must be a whole number from 0 to 4095",
    ),
    (
        f'{{{KILL}, "listenerPath": "/x"}}',
        "1:36: listenerPath is not supported: no listener of somebody else is served",
    ),
    (
        f'{{{KILL}, "listenerMetadata": "x"}}',
        "1:36: listenerMetadata is not supported: no listener of somebody else is served",
    ),
    (f'{{{KILL}, "architectures": "x"}}', "1:53: a list of architectures must be an array"),
    (
        f'{{{KILL}, "architectures": []}}',
        "1:53: the policy is not for this architecture: SCMP_ARCH_X86_64 is missing",
    ),
    (
        f'{{{KILL}, "architectures": ["SCMP_ARCH_MIPS"]}}',
        "1:53: the policy is not for this architecture: SCMP_ARCH_X86_64 is missing",
    ),
    (
        f'{{{KILL}, "architectures": ["SCMP_ARCH_X86_46"]}}',
        '1:54: unknown architecture "SCMP_ARCH_X86_46", did you mean "SCMP_ARCH_X86_64"',
    ),
    (f'{{{KILL}, "architectures": [1]}}', "1:54: an architecture must be a string"),
    (f'{{{KILL}, "architectures": [], "archMap": []}}', "1:68: a policy has either architectures or archMap"),
    (f'{{{KILL}, "archMap": [{{}}]}}', "1:48: architecture is missing"),
    (
        f'{{{KILL}, "archMap": [{{"architecture": "SCMP_ARCH_ARM", "subArchitecture": []}}]}}',
        '1:82: unknown key "subArchitecture", did you mean "subArchitectures"',
    ),
    (f'{{{KILL}, "flags": "x"}}', "1:45: flags must be an array"),
    (
        f'{{{KILL}, "flags": ["SECCOMP_FILTER_FLAG_LGO"]}}',
        '1:46: unknown flag "SECCOMP_FILTER_FLAG_LGO", did you mean "SECCOMP_FILTER_FLAG_LOG"',
    ),
    (f'{{{KILL}, "syscalls": {{}}}}', "1:48: syscalls must be an array"),
    (f'{{{KILL}, "syscalls": [1]}}', "1:49: a rule must be an object"),
    (f'{{{KILL}, "counts": []}}', "1:46: counts must be an object"),
    (f'{{{KILL}, "counts": {{"read": -1}}}}', "1:55: a count must be a whole number"),
    (f'{{{KILL}, "counts": {{"raed": 1}}}}', '1:47: unknown system call "raed", did you mean "read"'),
    (
        f'{{{KILL}, "whitelist": []}}',
        '1:36: "whitelist" and "defaultAction" are of two different formats',
    ),
    ('{"policy": 1, "syscalls": []}', '1:15: "policy" and "syscalls" are of two different formats'),
    ('{"policy": 1}', "1:1: whitelist is missing"),
    ('{"whitelist": {}}', "1:15: names must be an array"),
    ('{"whitelist": [1]}', "1:16: a system call must be a string"),
    ('{"whitelist": [], "policy": 4096}', "1:29: policy must be a whole number from 0 to 4095"),
    ('{"whitelist": [], "policy": -1}', "1:29: policy must be a whole number from 0 to 4095"),
    ('{"whitelist": [], "policy": 1.5}', "1:29: policy must be a whole number from 0 to 4095"),
    ('{"whitelist": [], "flags": []}', '1:19: unknown key "flags"'),
    (with_rule('"action": "SCMP_ACT_ALLOW"'), "2:1: names is missing"),
    (with_rule('"names": []'), "2:1: action is missing"),
    (with_rule('"names": "read", "action": "SCMP_ACT_ALLOW"'), "2:11: names must be an array"),
    (with_rule('"name": ["read"], "action": "SCMP_ACT_ALLOW"'), "2:10: a system call must be a string"),
    (with_rule('"name": "read", "names": [], "action": "x"'), "2:10: a rule has either name or names"),
    (
        with_rule('"names": ["write", "raed"], "action": "SCMP_ACT_ALLOW"'),
        '2:21: unknown system call "raed", did you mean "read"',
    ),
    (with_rule('"names": [""], "action": "SCMP_ACT_ALLOW"'), '2:12: unknown system call ""'),
    (
        with_rule('"names": ["rea\\u0064\\n"], "action": "SCMP_ACT_ALLOW"'),
        '2:12: unknown system call "read?", did you mean "read"',
    ),
    (with_rule('"names": [null], "action": "SCMP_ACT_ALLOW"'), "2:12: a system call must be a string"),
    (with_rule('"names": [], "action": null'), "2:25: an action must be a string"),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "errnoRet": 1'),
        "2:55: an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only",
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_TRACE", "errnoRet": 65536'),
        "2:55: an errno must be a whole number from 0 to 65535",
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ERRNO", "errnoRet": "EPERM"'),
        "2:55: an errno must be a whole number from 0 to 4095",
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "arg": []'),
        '2:43: unknown key "arg", did you mean "args"',
    ),
    (with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "args": {}'), "2:51: args must be an array"),
    (with_arg(""), "3:1: index is missing"),
    (with_arg('"index": 6, "value": 0, "op": "x"'), "3:11: index must be a whole number from 0 to 5"),
    (with_arg('"index": -1, "value": 0, "op": "x"'), "3:11: index must be a whole number from 0 to 5"),
    (with_arg('"index": 0, "op": "x"'), "3:1: value is missing"),
    (
        with_arg('"index": 0, "value": 18446744073709551616, "op": "x"'),
        "3:23: value must be a whole number from 0 to 2^64-1",
    ),
    (
        with_arg('"index": 0, "value": 1e3, "op": "x"'),
        "3:23: value must be a whole number from 0 to 2^64-1",
    ),
    (
        with_arg('"index": 0, "value": 0, "valueTwo": null, "op": "x"'),
        "3:38: valueTwo must be a whole number from 0 to 2^64-1",
    ),
    (with_arg('"index": 0, "value": 0'), "3:1: op is missing"),
    (with_arg('"index": 0, "value": 0, "op": 3'), "3:32: op must be a string"),
    (
        with_arg('"index": 0, "value": 0, "op": "SCMP_CMP_EG"'),
        '3:32: unknown operator "SCMP_CMP_EG", did you mean "SCMP_CMP_EQ"',
    ),
    (with_arg('"index": 0, "valeu": 0, "op": "x"'), '3:14: unknown key "valeu", did you mean "value"'),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMNI"]}'),
        '2:65: unknown capability "CAP_SYS_ADMNI", did you mean "CAP_SYS_ADMIN"',
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd46"]}'),
        '2:67: unknown architecture "amd46", did you mean "amd64"',
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4"}'),
        '2:69: minKernel must look like "4.8"',
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8x"}'),
        '2:69: minKernel must look like "4.8"',
    ),
    (
        with_rule('"names": [], "action": "SCMP_ACT_ALLOW", "includes": {"cap": []}'),
        '2:56: unknown key "cap", did you mean "caps"',
    ),
]


@pytest.mark.parametrize(("text", "expected"), JSON_ERRORS)
def test_bad_json_is_refused_at_its_place(text: bytes, expected: str) -> None:
    found = refusal(text)
    assert found == f"p:{expected}" or (not expected[0].isdigit() and found.endswith(expected))


@pytest.mark.parametrize(("text", "expected"), POLICY_ERRORS)
def test_bad_policy_is_refused_at_its_place(text: str, expected: str) -> None:
    assert refusal(text) == f"p:{expected}"


def test_place_counts_lines_and_characters() -> None:
    text = f'{{\r\n\t{KILL},\n\t"comment": "\u00e9\U0001f600", "oops": 1}}'
    assert refusal(text) == 'p:3:19: unknown key "oops"'


def test_unknown_architecture_is_refused() -> None:
    assert refusal(f"{{{KILL}}}", "vax") == 'p: unknown architecture "vax"'


def test_long_text_is_refused_unread() -> None:
    huge = bytes(100_000_000)  # pages that nobody has touched: a guest has less memory
    before = time.process_time()
    assert refusal(huge) == "p: the text is longer than 1 MiB"
    assert time.process_time() - before < 1
    just_fits = f"{{{KILL}}}".encode().ljust(1024 * 1024)
    assert compile_filter(just_fits, "x86_64", path="p").code
    assert refusal(just_fits + b" ") == "p: the text is longer than 1 MiB"


@pytest.mark.parametrize(
    "filler",
    [
        '"read",',
        '"%s",' % ("\\u0041" * 8),
    ],
)
def test_text_at_the_limit_needs_no_more_memory_than_promised(filler: str) -> None:
    names = (filler * (1024 * 1024 // len(filler)))[: 1024 * 1024 - 200].rsplit(",", 1)[0]
    text = with_rule(f'"names": [{names}], "action": "SCMP_ACT_ALLOW"')
    compile_filter(text.encode(), "mips", path="p", lenient=True)


def test_many_small_values_need_no_more_memory_than_promised() -> None:
    for value in ("0", "[]", '""', "{}"):
        text = f'{{"comment": [{",".join([value] * 300_000)}]}}'
        assert refusal(text) == "p:1:1: defaultAction is missing"


def test_long_name_is_cut_in_the_message() -> None:
    letter = "\u00e9"
    found = refusal(with_rule(f'"names": ["{letter * 100_000}"], "action": "SCMP_ACT_ALLOW"'))
    assert found == f'p:2:12: unknown system call "{letter * 32}..."'


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_give_a_filter(text: bytes) -> None:
    with pytest.raises(ConfigError):
        compile_filter(text, "mips", path="p")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_cut_or_changed_text_gives_a_filter_or_a_place(data: st.DataObject) -> None:
    text = bytearray(with_arg('"index": 0, "value": 4294967296, "op": "SCMP_CMP_EQ"').encode())
    at = data.draw(st.integers(0, len(text) - 1))
    if data.draw(st.booleans()):
        del text[at:]
    else:
        text[at] = data.draw(st.integers(0, 255))
    try:
        assert compile_filter(bytes(text), "mips", path="p").code
        json.loads(text)  # what we take, others take
    except ConfigError as error:
        path, line, column, reason = str(error).split(":", 3)
        assert path == "p" and int(line) >= 1 and int(column) >= 1 and reason.strip()
