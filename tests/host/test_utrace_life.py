# SPDX-License-Identifier: MIT
"""A program does not notice that utrace traces it; where the trace goes; what utrace refuses."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from utraced import Traced, trace

from jail.policy import call_number, native_arch

if TYPE_CHECKING:
    from jails import Host
    from probes import Probes

DYING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FORK = call_number(native_arch(), "clone")  # as glibc makes it


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


def test_signal_is_handed_on_while_a_stop_of_the_program_waits(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    """A tracee that has stopped is one that lives, though wait(2) has something to tell of it."""
    file = tmp_path / "t"
    process = host.spawn(host.utrace, "-f", file, busy["glibc"], "hang")
    host.wait_ready(process)
    [traced] = host.children_of(process.pid)
    process.send_signal(signal.SIGSTOP)
    host.until(lambda: state_of(process.pid) == "T", "the stop of utrace")
    os.kill(traced, signal.SIGURG)
    host.until(lambda: state_of(traced) == "t", "the stop of the program")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert Traced(host.finish(process), file).status == 128 + signal.SIGTERM


def test_child_goes_on_whose_parent_was_killed_before_it_told_of_it(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    file = tmp_path / "t"
    process = host.spawn(host.utrace, "-f", file, busy["glibc"], "forks", 1_000_000, 1)
    host.until(lambda: host.children_of(process.pid), "the program")
    [traced] = host.children_of(process.pid)
    host.until(lambda: has_forked_unheard(host, process.pid, traced), "a fork that nobody has heard of")
    os.kill(traced, signal.SIGKILL)
    host.until(lambda: state_of(traced) == "Z", "its end")
    process.send_signal(signal.SIGCONT)
    seen = Traced(host.finish(process), file)
    assert seen.status == 128 + signal.SIGKILL
    assert seen.counts["exit_group"] >= 1  # of the children; the last one is recorded as well


def has_forked_unheard(host: "Host", tracer: int, traced: int) -> bool:
    """Stop the tracer; let it go on unless the program and a new child both wait for it now."""
    os.kill(tracer, signal.SIGSTOP)
    # what waits for a child sleeps
    host.until(lambda: state_of(tracer) == "T" and state_of(traced) in "tS", "the stop of utrace")
    number = Path(f"/proc/{traced}/syscall").read_text().split()[0]
    if number == str(FORK) and [state_of(child) for child in host.children_of(traced)] == ["t"]:
        return True
    os.kill(tracer, signal.SIGCONT)
    return False


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_daemon_is_followed_when_its_parent_has_left(host: "Host", busy: "Probes", tmp_path: Path) -> None:
    file = tmp_path / "t"
    process = host.spawn(host.utrace, "-f", file, busy["glibc"], "leave", "calls", 8, "stay")
    host.wait_ready(process)
    host.until(lambda: not host.children_of(process.pid), "the end of the first process")
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


def test_policy_of_another_user_is_not_added_to_where_anybody_can_put_one(
    host: "Host", busy: "Probes", tmp_path: Path
) -> None:
    folder = tmp_path / "everybodys"
    folder.mkdir()
    file, other = folder / "t", folder / "other"
    trace(host, file, busy["glibc"], "calls", 2)
    for mode, user, name in ((0o1777, 65534, "t"), (0o1777, 0, "other")):
        folder.chmod(mode)
        os.chown(file, user, -1)
        other.unlink(missing_ok=True)
        other.symlink_to(file)
        result = host.run(host.utrace, "--add", "-f", folder / name, busy["glibc"], "calls", 3)
        assert result.status == 125 and f"{folder / name}: " in result.err
    assert json.loads(file.read_text())["counts"]["getppid"] == 2
    # it is the directory that makes the difference
    folder.chmod(0o755)
    os.chown(file, 65534, -1)
    assert trace(host, file, busy["glibc"], "calls", 3, options=("--add",)).counts["getppid"] == 5


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


def test_jail_without_a_service_leaves_nothing(host: "Host", tmp_path: Path) -> None:
    result = host.run(host.utrace, "--jail", "-f", tmp_path / "t", host.ujail, "-n", "t", "--", "/no/such")
    assert result.status == 125 and "nothing was recorded" in result.err
    assert list(tmp_path.iterdir()) == []


def test_trace_that_did_not_begin_ends_nobody_who_has_its_pids_later(host: "Host") -> None:
    apart = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc")
    seen = host.run(*apart, sys.executable, "-I", Path(__file__).with_name("reused.py"))
    assert seen.err == "" and seen.status == 0
    step, numbers = seen.out.splitlines()
    assert step.startswith("set limit nofile to ") and numbers == "2 0"


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
