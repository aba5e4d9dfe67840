# SPDX-License-Identifier: MIT
"""utrace on real programs: what it counts is what they called, and they do not notice that they are traced.

The oracle is strace where it is installed; the programs are made so that their calls are known anyway.
"""

import json
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Host, Probes, Result

SOURCE = Path(__file__).with_name("busy.c")
DYNAMIC = ("glibc", "musl")
STATIC = ("static-glibc", "static-musl")
CHILDREN = 1_000 if "STOCKADE_GUEST" in os.environ else 10_000  # an emulated machine takes its time
DYING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CALL = re.compile(r"(\d+) +(?:(\w+)\(|<\.\.\. )(.*)")


@pytest.fixture(scope="module")
def busy(request: pytest.FixtureRequest) -> "Probes":
    host: Host = request.getfixturevalue("host")
    return host.programs(SOURCE)


class Traced:
    """A run of utrace and the policy that it wrote."""

    def __init__(self, result: "Result", file: Path) -> None:
        self.status = result.status
        self.err = result.err
        self.policy: dict[str, Any] = json.loads(file.read_text())
        self.counts: dict[str, int] = self.policy["counts"]
        self.first: dict[str, Any] = next(iter(self.policy.get("programs", {"": {}}).values()))


def trace(host: "Host", file: Path, *command: object, options: tuple[object, ...] = ()) -> Traced:
    return Traced(host.run(host.utrace, "-f", file, *options, "--", *command), file)


# ---- what is counted ----


@pytest.mark.parametrize("kind", DYNAMIC)
def test_dynamic_program_is_counted_from_main_on(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "calls", 50)
    assert traced.status == 0
    assert traced.counts == {"getppid": 50, "umask": 2, "exit_group": 1}
    assert traced.first["from"] == "main"
    assert {"mmap", "mmap2"} & set(traced.first["before"])


@pytest.mark.parametrize("kind", STATIC)
def test_static_program_is_counted_from_its_entry_on(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "calls", 50)
    assert (traced.counts["getppid"], traced.counts["umask"]) == (50, 2)
    assert traced.first["from"] == "entry" and "set_tid_address" in traced.counts
    assert "before" not in traced.first
    assert "from its entry point on" in traced.err


def test_all_takes_in_what_came_before_main(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    less = trace(host, tmp_path / "t", busy["glibc"])
    more = trace(host, tmp_path / "t", busy["glibc"], options=("--all",))
    assert more.counts == dict(Counter(less.counts) + Counter(less.first["before"]))


def test_constructors_are_before_main(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    result = host.run("env", "BUSY_EARLY=7", host.utrace, "-f", file, busy["glibc"], "calls", 1)
    traced = Traced(result, file)
    assert "getpgid" not in traced.counts and traced.first["before"]["getpgid"] == 7
    # the libc's start-up set does not hold it, so the policy brings a list of its own
    assert "getpgid" in traced.policy["startup"] and "openat" in traced.policy["startup"]


def test_policy_without_odd_start_has_no_list_of_its_own(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    assert "startup" not in trace(host, tmp_path / "t", busy["glibc"], "calls", 1).policy


def test_threads_and_forks_are_followed(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "threads", 12, 40, "forks", 30, 5)
    assert traced.status == 0
    assert traced.counts["getppid"] == 12 * 40 + 30 * 5


def test_many_short_children(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["static-musl"], "forks", CHILDREN, 1)
    assert traced.status == 0
    assert traced.counts["getppid"] == CHILDREN
    assert traced.counts["exit_group"] == CHILDREN + 1


def test_children_killed_at_any_time(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "killed", 500, "calls", 3)
    assert traced.status == 0
    assert traced.counts["kill"] == 500


def test_each_program_has_its_own_counts(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    one, two = busy["glibc"], busy["static-musl"]
    traced = trace(host, tmp_path / "t", one, "calls", 5, "spawn", two, "calls", 7)
    programs = traced.policy["programs"]
    assert list(programs) == [str(one), str(two)]
    assert (programs[str(one)]["counts"]["getppid"], programs[str(two)]["counts"]["getppid"]) == (5, 7)
    assert traced.counts["getppid"] == 12
    # a filter is inherited and in force from the first instruction on
    assert programs[str(two)]["from"] == "entry"


def test_per_program_writes_a_policy_each(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    one, two = busy["glibc"], busy["static-musl"]
    traced = trace(
        host, tmp_path / "t", one, "calls", 5, "spawn", two, "calls", 7, options=("--per-program",)
    )
    other = json.loads((tmp_path / f"t.{two.name}").read_text())
    assert (traced.counts["getppid"], other["counts"]["getppid"]) == (5, 7)
    assert list(other["programs"]) == [str(two)]


def test_thread_that_executes_takes_its_process_along(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    two = busy["static-musl"]
    traced = trace(host, tmp_path / "t", busy["glibc"], "thread-exec", two, "calls", 9, "exit", 4)
    assert traced.status == 4
    assert traced.policy["programs"][str(two)]["counts"]["getppid"] == 9


def test_calls_of_another_abi_are_told_apart(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    busy["i386"]  # skips where there is none
    traced = trace(host, tmp_path / "t", busy["glibc"], "i386", 3, "x32", 2, "calls", 1)
    assert "for x86_64: calls of i386: getpid 3" in traced.err
    assert "calls of x32: getpid 2" in traced.err
    assert "getpid" not in traced.counts and traced.counts["getppid"] == 1


def test_i386_child_is_told_apart(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "spawn", busy["i386"], "calls", 6)
    assert "getppid 6" in traced.err and "getppid" not in traced.counts


def test_i386_program_gets_a_policy_of_its_own_abi(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["i386"], "calls", 6)
    assert traced.status == 0
    assert traced.counts["getppid"] == 6
    assert "not in the policy" not in traced.err


def test_number_that_no_kernel_has_is_reported(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "wild", 9999, "wild", -1)
    assert ": 9999 1" in traced.err
    assert set(traced.counts) == {"umask", "exit_group"}


def strace_counts(log: Path) -> Counter[str]:
    """The calls in a log of strace -f, from the mark of main on; a call is one even if its line is broken."""
    calls = [match[2] for match in map(CALL.match, log.read_text().splitlines()) if match and match[2]]
    return Counter(calls[calls.index("umask") :])


@pytest.mark.parametrize("kind", DYNAMIC)
def test_counts_are_those_of_strace(host: "Host", busy: "Probes", tmp_path: Path, kind: str) -> None:
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    verbs = ("calls", 20, "threads", 1, 30, "forks", 20, 3, "signals", 5, "stop", "read", "/etc/passwd")
    log = tmp_path / "log"
    assert host.run(strace, "-f", "-qq", "-e", "signal=none", "-o", log, busy[kind], *verbs).status == 0
    traced = trace(host, tmp_path / "t", busy[kind], *verbs)
    # chance decides who has to wait, and whether a signal that nobody handles makes a wait begin anew
    chance = {"futex", "futex_time64", "restart_syscall", "wait4", "waitid", "waitpid"}
    expected = {name: count for name, count in strace_counts(log).items() if name not in chance}
    assert {name: count for name, count in traced.counts.items() if name not in chance} == expected


# ---- what the program notices: nothing ----


def test_signals_arrive_with_what_was_sent(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "signals", 30, "trap", "stop")
    assert traced.status == 0, traced.err
    assert traced.counts["rt_sigqueueinfo"] == traced.counts["rt_sigreturn"] == 30


@pytest.mark.parametrize(("verb", "value", "status"), [("exit", 5, 5), ("die", 11, 139), ("die", 9, 137)])
def test_exit_status_is_the_programs(
    host: "Host", busy: "Probes", tmp_path: Path, verb: str, value: int, status: int
) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "calls", 2, verb, value)
    assert traced.status == status
    assert traced.counts["getppid"] == 2  # the file is there also when the program was killed


@pytest.mark.parametrize("number", DYING)
def test_signals_for_utrace_go_to_the_program(
    host: "Host", busy: "Probes", tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "t"
    process = host.spawn(host.utrace, "-f", file, busy["glibc"], "stay")
    host.wait_ready(process)
    process.send_signal(number)
    traced = Traced(host.finish(process), file)
    assert traced.status == number  # what the program ends with


def test_program_killed_by_a_signal_for_utrace(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    process = host.spawn(host.utrace, "-f", file, busy["glibc"], "hang")
    host.wait_ready(process)
    process.send_signal(signal.SIGTERM)
    assert Traced(host.finish(process), file).status == 128 + signal.SIGTERM


def test_daemon_is_followed_when_its_parent_has_left(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    process = host.spawn(host.utrace, "-f", file, busy["glibc"], "leave", "calls", 8, "stay")
    host.wait_ready(process)
    process.send_signal(signal.SIGTERM)
    traced = Traced(host.finish(process), file)
    assert traced.status == 3  # of the first process
    assert traced.counts["getppid"] == 8


def test_kill_of_utrace_kills_the_program(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    process = host.spawn(host.utrace, "-f", tmp_path / "t", busy["glibc"], "stay")
    host.wait_ready(process)
    traced = host.children_of(process.pid)
    process.kill()
    host.finish(process)
    for pid in traced:
        host.until(lambda pid=pid: host.is_gone(pid), "the traced program")  # type: ignore[misc]
    assert traced


def test_environment_and_arguments_are_the_callers(host: "Host", tmp_path: Path) -> None:
    words = ("env", "A=1", "LD_PRELOAD=", "SECCOMP_FILE=/nowhere")
    seen = host.run(*words, host.utrace, "-f", tmp_path / "t", "env")
    assert "A=1" in seen.out.splitlines()
    assert "SECCOMP" not in seen.out and "libpreload" not in seen.out
    assert host.run(host.utrace, "-f", tmp_path / "t", "echo", "-f", "--all").out == "-f --all\n"


# ---- in a jail ----


@pytest.mark.parametrize("kind", [*DYNAMIC, *STATIC])
def test_service_in_its_jail_is_recorded_and_ujail_is_not(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str
) -> None:
    command = (host.ujail, "-n", "t", "-p", "--", busy[kind], "calls", 4, "forks", 2, 3, "exit", 6)
    traced = trace(host, tmp_path / "t", *command, options=("--jail",))
    assert traced.status == 6
    assert list(traced.policy["programs"]) == [str(busy[kind])]
    assert traced.counts["getppid"] == 4 + 2 * 3
    assert traced.first["from"] == ("main" if kind in DYNAMIC else "entry")
    assert "mount" not in traced.counts


def test_program_that_executes_itself_is_recorded_both_ways(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    own = busy["glibc"]
    traced = trace(host, tmp_path / "t", own, "calls", 1, "spawn", own, "calls", 2)
    programs = traced.policy["programs"]
    assert programs[str(own)]["counts"]["getppid"] == 1
    # without a shim of its own, under a filter from its first instruction on
    assert programs[f"{own} (again)"]["from"] == "entry"
    assert programs[f"{own} (again)"]["counts"]["getppid"] == 2


# ---- where the trace goes, and refusals ----


def test_second_trace_can_be_added_to_the_first(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    trace(host, file, busy["glibc"], "calls", 2)
    both = trace(host, file, busy["glibc"], "calls", 3, "signals", 1, options=("--add",))
    assert both.counts["getppid"] == 5 and both.counts["rt_sigqueueinfo"] == 1


def test_policy_that_is_wrong_is_not_added_to(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    for text, reason in (('{"defaultAction": 1}', ":1:"), ('{"whitelist": []}', "not an OCI policy")):
        file.write_text(text)
        result = host.run(host.utrace, "--add", "-f", file, busy["glibc"])
        assert result.status == 125 and reason in result.err
        assert file.read_text() == text


def test_default_place_has_name_and_pid(host: "Host", busy: "Probes") -> None:
    result = host.run(host.utrace, busy["glibc"], "calls", 1)
    match = re.search(rf"wrote (/tmp/{busy['glibc'].name}\.json\.\d+)\n", result.err)
    assert match
    assert json.loads(Path(match[1]).read_text())["counts"]["getppid"] == 1
    Path(match[1]).unlink()


def test_unwritable_file_stops_before_anything_runs(host: "Host", tmp_path: Path) -> None:
    for place in ("/nonexistent/t", tmp_path):
        result = host.run(host.utrace, "-f", place, "touch", tmp_path / "made")
        assert result.status == 125 and str(place) in result.err
    assert list(tmp_path.iterdir()) == []


def test_link_in_place_of_the_file_is_not_followed(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "t").symlink_to(tmp_path / "precious")
    trace(host, tmp_path / "t", busy["glibc"])
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "t").is_symlink()


@pytest.mark.parametrize(("command", "status"), [("/no/such", 127), ("no-such", 127), ("/etc/passwd", 126)])
def test_program_that_cannot_be_executed(host: "Host", tmp_path: Path, command: str, status: int) -> None:
    result = host.run(host.utrace, "-f", tmp_path / "t", command)
    assert result.status == status
    assert list(tmp_path.iterdir()) == []


def test_damaged_program_is_refused_by_the_kernel(host: "Host", tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"\x7fELF nothing more")
    damaged.chmod(0o755)
    assert host.run(host.utrace, "-f", tmp_path / "t", damaged).status == 126
    assert not (tmp_path / "t").exists()


# ---- arguments and files ----


def rules(traced: Traced, call: str) -> list[tuple[int, int]]:
    """(index, value) of the rules for one call."""
    arguments = [rule["args"] for rule in traced.policy["syscalls"] if rule["names"] == [call]]
    return [(each["index"], each["value"]) for (each,) in arguments]


@pytest.mark.parametrize("way", [(), ("--registers",)])
@pytest.mark.parametrize("kind", ["glibc", "static-musl"])
def test_arguments_become_rules(
    host: "Host", busy: "Probes", tmp_path: Path, kind: str, way: tuple[str, ...]
) -> None:
    traced = trace(host, tmp_path / "t", busy[kind], "arguments", 1, options=("--args", *way))
    # glibc on i386 has one call for all of socket's
    assert "socketcall" in traced.counts or rules(traced, "socket") == [(0, 1)]
    assert (1, 0x80001201) in [(index, value & 0xFFFFFFFF) for index, value in rules(traced, "ioctl")]
    assert (0, 3) in rules(traced, "prctl")
    assert not {"ioctl", "prctl"} & set(traced.policy["syscalls"][0]["names"])


def test_registers_of_an_i386_program(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    for way in ((), ("--registers",)):
        traced = trace(host, tmp_path / "t", busy["i386"], "arguments", 10, options=("--args", *way))
        assert rules(traced, "prctl") == [(0, 3)]


def test_too_many_values_fall_back_to_the_name(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    traced = trace(host, tmp_path / "t", busy["glibc"], "ioctls", 50, options=("--args",))
    assert rules(traced, "ioctl") == []
    assert "ioctl" in traced.policy["syscalls"][0]["names"]
    assert "ioctl: more than 32 values" in traced.err


@pytest.mark.parametrize("way", [(), ("--registers",)])
def test_paths_become_options(host: "Host", busy: "Probes", tmp_path: Path, way: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / name).write_text(name)
    verbs = (
        "read",
        folder / "one",
        "write",
        folder / "two",
        "read-at",
        folder,
        "three",
        "read",
        folder / "none",
    )
    child = ("spawn", "/bin/true")
    traced = trace(host, tmp_path / "t", busy["glibc"], *verbs, *child, options=("--paths", *way))
    lines = [line.strip() for line in traced.err.splitlines()]
    assert f"-r {folder}/one  # root:root 0644, read" in lines
    assert any(line.startswith(f"-w {folder}/two  # root:root 0644, written") for line in lines)
    assert f"-r {folder}/three  # root:root 0644, read" in lines
    assert any(line.startswith("-r /bin/true  #") and line.endswith("executed") for line in lines)
    assert f"{folder}/none" in lines[lines.index("looked for, not there now:") :]
    assert not any("libc" in line for line in lines)


def test_sockets_become_options(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    verbs = ("connect", "/dev/log", "connect", tmp_path / "none")
    traced = trace(host, tmp_path / "t", busy["glibc"], *verbs, options=("--paths",))
    assert "  -l\n" in traced.err
    assert f"  {tmp_path}/none\n" in traced.err


# ---- the round: trace, enforce ----


@pytest.mark.parametrize("kind", [*DYNAMIC, *STATIC])
@pytest.mark.parametrize("options", [(), ("--args",)])
def test_policy_of_a_trace_holds_the_program(
    host: "Host", busy: "Probes", kind: str, options: tuple[str, ...]
) -> None:
    file = host.folder / f"round-{kind}.json"
    verbs = ("calls", 3, "threads", 2, 3, "forks", 2, 2, "signals", 2, "arguments", 1)
    trace(host, file, busy[kind], *verbs, options=options)
    jail = ("-n", "t", "-S", file, "--", busy[kind], *verbs)
    assert host.jail(*jail).status == 0
    assert host.jail(*jail, "read", "/").status == 128 + signal.SIGSYS


def test_argument_that_was_not_seen_is_denied(host: "Host", busy: "Probes") -> None:
    file = host.folder / "round-args.json"
    trace(host, file, busy["glibc"], "arguments", 1, options=("--args",))
    assert host.jail("-n", "t", "-S", file, "--", busy["glibc"], "arguments", 1).status == 0
    denied = host.jail("-n", "t", "-S", file, "--", busy["glibc"], "arguments", 2)
    assert denied.status == 128 + signal.SIGSYS


def test_own_start_up_list_lets_odd_constructors_through(host: "Host", busy: "Probes") -> None:
    file = host.folder / "round-early.json"
    host.run("env", "BUSY_EARLY=2", host.utrace, "-f", file, busy["glibc"], "calls", 1)
    jail = ("-n", "t", "-e", "BUSY_EARLY=2", "-S", file, "--", busy["glibc"], "calls", 1)
    assert host.jail(*jail).status == 0
    policy = json.loads(file.read_text())
    del policy["startup"]
    file.write_text(json.dumps(policy))
    assert host.jail(*jail).status == 128 + signal.SIGSYS


REAL = {
    "sort": ("sort", "/etc/passwd"),
    "sed": ("sed", "-n", "s/root/x/p", "/etc/passwd"),
    "ls": ("ls", "-l", "/etc/passwd"),
    "sha256sum": ("sha256sum", "/etc/passwd"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_program_passes_under_its_trace(host: "Host", name: str) -> None:
    command = REAL[name]
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    file = host.folder / f"real-{name}.json"
    # with the jail's environment: a locale brings files, and calls, of its own
    clean = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=ujail")
    outside = host.run(*clean, host.utrace, "-f", file, *command)
    options = ("-n", "t", "-S", file, "-r", "/etc/passwd", "-r", "/etc/group")
    inside = host.jail(*options, "--", *command)
    assert (inside.status, inside.out) == (0, outside.out), inside.err
    policy = json.loads(file.read_text())
    policy["syscalls"][0]["names"].remove("write")
    file.write_text(json.dumps(policy))
    assert host.jail(*options, "--", *command).status == 128 + signal.SIGSYS
