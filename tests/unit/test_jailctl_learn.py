# SPDX-License-Identifier: MIT
"""jailctl policy from strace and from audit, audit-log: logs in all their forms, whole and damaged."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jail import audit, calls, stracelog
from jail.errors import ConfigError
from jail.jailctl import main

GLIBC = b"""\
7 execve("/bin/a", ["a"], 0x7ffd /* 3 vars */) = 0
7 brk(NULL) = 0x55
7 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
7 mmap(NULL, 42, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7e
7 openat(AT_FDCWD, "/lib/libc.so.6", O_RDONLY|O_CLOEXEC) = 3
7 arch_prctl(ARCH_SET_FS, 0x7e) = 0
7 set_tid_address(0x7e) = 7
7 set_robust_list(0x7e, 24) = 0
7 rseq(0x7e, 0x20, 0, 0x53053053) = 0
7 mprotect(0x7e, 16384, PROT_READ) = 0
7 prlimit64(0, RLIMIT_STACK, NULL, {}) = 0
7 munmap(0x7e, 42) = 0
7 getrandom("..", 8, GRND_NONBLOCK) = 8
7 openat(AT_FDCWD, "/etc/a", O_RDONLY) = 3
7 clone(child_stack=NULL <unfinished ...>
8 set_robust_list(0x7e, 24) = 0
7 <... clone resumed>) = 8
8 execve("/bin/b", ["b"], 0x7ffd) = 0
8 mprotect(0x7e, 16384, PROT_READ) = 0
8 exit_group(0) = ?
8 +++ exited with 0 +++
7 --- SIGCHLD {si_signo=SIGCHLD} ---
7 exit_group(0) = ?
7 +++ exited with 0 +++
"""
MUSL = b"""\
execve("/bin/a", ["a"], 0x7ffd) = 0
arch_prctl(ARCH_SET_FS, 0x7e) = 0
set_tid_address(0x7e) = 9
open("/lib/libz.so.1", O_RDONLY|O_CLOEXEC) = 3
mmap(NULL, 42, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7e
mprotect(0x7e, 4096, PROT_READ) = 0
mprotect(0x8e, 4096, PROT_READ) = 0
getpid() = 9
mprotect(0x9e, 4096, PROT_READ|PROT_EXEC) = 0
exit_group(0) = ?
"""
STATIC = b"""\
execve("/bin/a", ["a"], 0x7ffd) = 0
brk(NULL) = 0x55
set_tid_address(0x7e) = 9
set_robust_list(0x7e, 24) = 0
mprotect(0x7e, 4096, PROT_READ) = 0
exit_group(0) = ?
"""
TABLE = b"""\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.00    0.000009           0        34        13 openat
  0.00    0.000000           0         7           read
------ ----------- ----------- --------- --------- ----------------
100.00    0.000009           0        41        13 total
"""
RECORD = (
    "audit: type=1326 audit(1795301809.321:11): auid=4294967295 uid=0 gid=0 ses=1 pid=15403"
    ' comm="hello" exe="/tmp/hello" sig=31 arch={arch} syscall={number} compat=0 ip=0x7f4e code={code}'
)


def record(number: int = 4353, arch: str = "8", code: str = "0x80000000") -> str:
    return RECORD.format(arch=arch, number=number, code=code)


# ---- strace ----


def test_glibc_log_is_cut_before_main_and_children_are_whole() -> None:
    counts, notes = stracelog.count(GLIBC, "l")
    assert counts == Counter(
        exit_group=2, getrandom=1, openat=1, clone=1, set_robust_list=1, execve=1, mprotect=1
    )
    assert notes == ["l: left out 11 calls before main, by the ways of glibc"]


def test_musl_log_is_cut_before_main() -> None:
    counts, notes = stracelog.count(MUSL, "l")
    assert counts == Counter(getpid=1, mprotect=1, exit_group=1)
    assert "musl" in notes[0]


def test_static_log_is_whole() -> None:
    counts, notes = stracelog.count(STATIC, "l")
    assert counts.total() == 5 and "execve" not in counts and "static" in notes[0]


def test_whole_log_on_request() -> None:
    assert stracelog.count(MUSL, "l", whole=True)[0].total() == 10


def test_log_of_a_running_process_is_whole() -> None:
    counts, notes = stracelog.count(MUSL.split(b"\n", 1)[1], "l")
    assert counts.total() == 9 and "does not begin with an execve" in notes[0]


def test_table_is_counted() -> None:
    counts, notes = stracelog.count(TABLE, "l")
    assert counts == Counter(openat=34, read=7) and "before main" in notes[0]


def test_table_behind_a_log_is_not_counted_twice() -> None:
    assert stracelog.count(MUSL + TABLE, "l")[0] == stracelog.count(MUSL, "l")[0]


@pytest.mark.parametrize(
    "prefix",
    [
        b"", b"12 ", b"[pid    12] ", b"12 10:20:30 ", b"12 10:20:30.123456 ", b"[pid 12] 1700000000.123456 ",
        b"12      0.000123 ", b"12 10:20:30.1 (+     0.000012) ", b"12<bash> ", b"[pid 12<a b>] ",
        b"[00007f1234567890] ", b"[   0] ", b"12 [   0] [00007f1234567890] ",
    ],
)  # fmt: skip
def test_call_is_found_behind_what_options_put_before_it(prefix: bytes) -> None:
    assert stracelog.count(prefix + b"read(3, ...) = 1\n", "l")[0] == Counter(read=1)


@pytest.mark.parametrize(
    "line",
    [
        b"strace: Process 12 attached", b"+++ killed by SIGSYS +++", b"--- SIGCHLD {} ---", b"",
        b"12 <... read resumed>\"\", 3) = 0", b"[pid 12] +++ exited with 1 +++", b"12 ???( <unfinished ...>",
        b"[????????????????] +++ exited with 0 +++",
        b" > /lib/libc.so.6(write+0x14) [0xf5]",
    ],
)  # fmt: skip
def test_lines_that_are_no_calls(line: bytes) -> None:
    assert stracelog.count(line + b"\nread(3) = 1\n", "l")[0] == Counter(read=1)


def test_call_without_a_name_and_other_abi_are_said() -> None:
    text = b"syscall_0x1f4(0) = 1\n[ Process PID=12 runs in 32 bit mode. ]\nread(3) = 1\n"
    counts, notes = stracelog.count(text, "l")
    assert counts == Counter(read=1)
    assert "l:1: syscall_0x1f4" in notes[0] and "l:2: calls of another ABI (32 bit)" in notes[1]


def test_other_abi_in_words_of_the_traced_program_is_neither_said_nor_searched_for_long() -> None:
    """Without -o strace and what it traces write the same file."""
    text = b"strace: [ Process PID=1 runs in \x1b[2J mode. ]\n" + b"[ Process PID=1 runs in " * 40000
    with pytest.raises(ConfigError, match="not a line of strace's"):
        stracelog.count(text + b"\nread(3) = 1\n", "l")
    assert stracelog.count(text.split(b"\n")[0] + b"\nread(3) = 1\n", "l")[1:] == (
        ["l: does not begin with an execve, so nothing is left out"],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"read(3) = 1\nraed(3) = 1\n", 'l:2: unknown system call "raed": did you mean "read"'),
        (b"read(3) = 1\nhello, world\nread(3) = 1\n", "l:2: not a line of strace's: 'hello, world'"),
        (b"", "l: no system call in it"),
        (TABLE.replace(b" 34 ", b" x4 "), "l:3: not a row of a table"),
        (TABLE.replace(b"openat", b"opneat"), 'l:3: unknown system call "opneat": did you mean "openat"'),
    ],
)
def test_damaged_log_is_refused_with_its_place(text: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stracelog.count(text, "l")
    assert str(caught.value).startswith(said)


def test_last_line_that_is_cut_off_is_left_out_and_said() -> None:
    counts, notes = stracelog.count(b"read(3) = 1\n12 wri", "l")
    assert counts == Counter(read=1) and notes[0].startswith("l:2: the last line is cut off")


DAMAGE = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 5), st.binary(max_size=4)), max_size=4)


def damage(text: bytes, places: list[tuple[int, int, bytes]]) -> bytes:
    out = bytearray(text)
    for at, length, new in places:
        at %= len(out) + 1
        out[at : at + length] = new
    return bytes(out)


@given(st.sampled_from([GLIBC, MUSL, STATIC, TABLE]), DAMAGE)
@settings(max_examples=40, deadline=None)
def test_damaged_log_is_read_or_refused(text: bytes, places: list[tuple[int, int, bytes]]) -> None:
    known = set(calls.all_names())
    try:
        counts, _ = stracelog.count(damage(text, places), "l")
    except ConfigError as error:
        assert str(error).startswith("l:")
    else:
        assert set(counts) <= known and min(counts.values()) >= 0


@given(st.text(max_size=200))
@settings(max_examples=20, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (stracelog.count, audit.count_denied):
        with pytest.raises(ConfigError):
            read(text.encode() + b"\n?!\n", "l")
            raise ConfigError


# ---- audit ----


@pytest.mark.parametrize(
    "line",
    [
        "5,1234,2501502660,-;{}",
        "[   12.345678] {}",
        "Nov 22 02:00:00 router kernel: [   12.345678] {}",
        "<5>{}",
        "{}",
    ],
)
def test_record_is_found_wherever_it_stands(line: str) -> None:
    found = list(audit.read(f"noise\n{line.format(record())}\nnoise\n".encode(), "l"))
    assert [str(each) for each in found] == [
        "hello[15403] /tmp/hello: getrandom (mips system call 4353): kill process"
    ]


def test_record_of_auditd_is_one_too() -> None:
    text = record().replace("audit: type=1326 audit(", "type=SECCOMP msg=audit(")
    assert "getrandom" in str(next(audit.read(text.encode(), "l")))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("0x7ffc0000", "log"), ("0x50001", "errno EPERM"), ("0x0", "kill thread"), ("0x30000", "trap"),
        ("0x12340000", "unknown action 0x12340000"),
    ],
)  # fmt: skip
def test_record_says_what_was_done(code: str, said: str) -> None:
    assert str(next(audit.read(record(code=code).encode(), "l"))).endswith(f": {said}")


def test_unknown_architectures_and_numbers_stay_numbers() -> None:
    found = audit.read("\n".join([record(arch="dead"), record(0x40000001, "c000003e")]).encode(), "l")
    texts = [str(each) for each in found]
    assert "unknown architecture 0xdead system call 4353" in texts[0]
    assert "x86_64 system call 1073741825" in texts[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((" syscall=4353", ""), 'l:1: damaged record: "syscall" is not there'),
        ((" syscall=", " sycsall="), 'l:1: damaged record: "syscall" is not there, but "sycsall" is'),
        (("syscall=4353", "syscall=4x3"), "l:1: damaged record: syscall=4x3 is no number"),
        (("syscall=4353", "syscall=99999999999"), "l:1: damaged record: syscall=99999999999 is no number"),
        (("pid=15403", "pid=-3"), "l:1: damaged record: pid=-3 is no number"),
        (("arch=8", "arch=xyz"), "l:1: damaged record: arch=xyz is no number"),
    ],
)
def test_damaged_record_is_an_error_with_its_place(change: tuple[str, str], said: str) -> None:
    text = record().replace(*change).encode()
    (found,) = audit.read(text, "l")
    assert isinstance(found, ConfigError) and str(found).startswith(said)
    with pytest.raises(ConfigError):
        audit.count_denied(text, "l")


@given(DAMAGE)
@settings(max_examples=40, deadline=None)
def test_damaged_records_are_read_or_refused(places: list[tuple[int, int, bytes]]) -> None:
    for found in audit.read(damage(record().encode(), places), "l"):
        assert str(found)


@pytest.mark.parametrize("name", ['"\x1b[2Jx"', "1B5B324A78"])
def test_names_of_programs_cannot_command_the_terminal(name: str) -> None:
    found = str(next(audit.read(record().replace('"hello"', name).encode(), "l")))
    assert found.startswith("?[2Jx[15403]")


def test_denied_calls_are_counted_for_one_architecture_and_program() -> None:
    other = record().replace('"hello"', '"other"')
    text = "\n".join([record(), record(), record(4003), record(0, "c000003e"), other]).encode()
    counts, notes = audit.count_denied(text, "l", "hello")
    assert counts == Counter(getrandom=2, read=1)
    assert notes == ["not in the policy, which is for mips: x86_64 read"]
    with pytest.raises(ConfigError, match="of nobody"):
        audit.count_denied(text, "l", "nobody")


# ---- the commands ----


def test_policy_from_strace_adds_up_and_has_what_every_process_needs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log, table = tmp_path / "log", tmp_path / "table"
    log.write_bytes(MUSL)
    table.write_bytes(TABLE)
    assert main(["jailctl", "policy", "from", "strace", str(log), str(table)]) == 0
    made = json.loads(capfd.readouterr()[0])
    assert made["counts"] == {"openat": 34, "read": 7, "exit_group": 1, "getpid": 1, "mprotect": 1}
    assert made["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    assert (
        made["syscalls"][0]["names"][:2] == ["openat", "read"]
        and "rt_sigreturn" in made["syscalls"][0]["names"]
    )


def test_policy_from_audit_has_what_was_denied_and_no_more(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text(record())
    assert main(["jailctl", "policy", "from", "audit", str(log)]) == 0
    assert json.loads(capfd.readouterr()[0])["syscalls"][0]["names"] == ["getrandom"]


def test_audit_log_prints_what_it_can_and_fails_for_the_rest(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text(f"{record()}\ntype=1326 audit(1.2:3): pid=\n{record(4003)}\n")
    assert main(["jailctl", "audit-log", str(log)]) == 1
    out, err = capfd.readouterr()
    assert ["getrandom" in out, "read" in out, out.count("\n")] == [True, True, 2]
    assert ":2: damaged record" in err
