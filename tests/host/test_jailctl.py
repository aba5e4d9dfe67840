# SPDX-License-Identifier: MIT
"""jailctl on what only a real kernel has: the filters of live processes, and logs that strace has written."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jails import Host
    from probes import Probes
    from result import Result

# what `hold` needs
CALLS = ("pause", "ppoll", "rt_sigsuspend")


@pytest.fixture(scope="module")
def jailctl(host: "Host") -> str:
    return str(Path(host.ujail).with_name("jailctl"))


def service_of(host: "Host", pid: int) -> int:
    """The innermost process, the service."""
    while children := host.children_of(pid):
        pid = children[0]
    return pid


# ---- show PID ----


def test_filters_of_a_service_are_those_of_its_policy(host: "Host", jailctl: str) -> None:
    policy = host.policy(*CALLS)
    process = host.start("hold", options=["-S", policy])
    host.wait_ready(process)
    pid = service_of(host, process.pid)
    shown = host.run(jailctl, "policy", "show", "--asm", pid)
    assert shown.status == 0, shown.err
    made = host.run(jailctl, "policy", "show", "--asm", policy)
    filters = shown.out.split("filter ")[1:]
    assert [each[0] for each in filters] == ["0", "1"]  # door 1, then door 2
    assert filters[1].split("\n", 1)[1] == made.out and made.out.count("\n") > 5
    said = host.run(jailctl, "policy", "show", pid).out
    assert said.startswith("2 filters\n") and "errno EXFULL:\n" in said and "\nallow:\n" in said
    allowed = said.split("\nallow:\n")[1].split("\n", 1)[0].split()
    assert "write" in allowed and "mount" not in allowed
    process.send_signal(signal.SIGTERM)  # it runs on after it was asked, and takes signals
    assert host.finish(process).status == 128 + signal.SIGTERM


def test_process_without_a_filter_is_told_from_one_that_is_not_there(host: "Host", jailctl: str) -> None:
    process = host.start("hold", options=["--no-default-filter"])
    host.wait_ready(process)
    pid = service_of(host, process.pid)
    shown = host.run(jailctl, "policy", "show", pid)
    assert (shown.status, shown.out) == (125, "") and f"process {pid}: has no seccomp filter" in shown.err
    process.send_signal(signal.SIGTERM)
    host.finish(process)
    shown = host.run(jailctl, "policy", "show", pid)
    assert shown.status == 125 and os.strerror(3) in shown.err


# ---- from strace ----


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if not found:
        pytest.skip("strace is not installed")
    return found


def policy_of(result: "Result") -> dict[str, Any]:
    assert result.status == 0, result.err
    made: dict[str, Any] = json.loads(result.out)
    return made


@pytest.mark.parametrize("kind", ["glibc", "musl"])
def test_log_of_strace_gives_what_utrace_counts(
    host: "Host", busy: "Probes", jailctl: str, strace: str, tmp_path: Path, kind: str
) -> None:
    verbs = ("calls", 20, "forks", 3, 2)
    assert host.run(strace, "-f", "-o", tmp_path / "log", busy[kind], *verbs).status == 0
    shown = host.run(jailctl, "policy", "from", "strace", tmp_path / "log")
    made = policy_of(shown)
    assert host.run(host.utrace, "-f", tmp_path / "t", "--", busy[kind], *verbs).status == 0
    counts = json.loads((tmp_path / "t").read_text())["counts"]
    chance = {"wait4", "waitid", "waitpid", "restart_syscall"}
    # a linker for mips leaves nothing to be made read-only, by which the main of a program of musl is found
    is_cut = kind != "musl" or not os.uname().machine.startswith("mips")
    assert is_cut == ("calls before main, by the ways of" in shown.err)
    assert is_cut != ("no loader is seen" in shown.err)
    if not is_cut:
        chance |= {"brk", "mmap2", "set_thread_area", "set_tid_address"}
        assert chance & made["counts"].keys() > chance & counts.keys()
    assert {name: n for name, n in made["counts"].items() if name not in chance} == {
        name: n for name, n in counts.items() if name not in chance
    }


@pytest.mark.parametrize(
    "options", [("-t",), ("-tt", "-f"), ("-r",), ("-ttt", "-f"), ("-i",), ("-C",), ("-f", "-n")]
)
def test_every_form_of_a_log_gives_the_same(
    host: "Host", busy: "Probes", jailctl: str, strace: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    for name, words in (("plain", ()), ("other", options)):
        assert host.run(strace, *words, "-o", tmp_path / name, busy["glibc"], "calls", 20).status == 0
    plain = policy_of(host.run(jailctl, "policy", "from", "strace", tmp_path / "plain"))
    assert plain["counts"]["getppid"] == 20 and "execve" not in plain["counts"]
    assert policy_of(host.run(jailctl, "policy", "from", "strace", tmp_path / "other")) == plain


@pytest.mark.parametrize("kind", ["static-glibc", "static-musl", "glibc"])
def test_table_and_whole_log_agree(
    host: "Host", busy: "Probes", jailctl: str, strace: str, tmp_path: Path, kind: str
) -> None:
    assert host.run(strace, "-c", "-o", tmp_path / "table", busy[kind], "calls", 20).status == 0
    assert host.run(strace, "-o", tmp_path / "log", busy[kind], "calls", 20).status == 0
    table = policy_of(host.run(jailctl, "policy", "from", "strace", tmp_path / "table"))
    log = policy_of(host.run(jailctl, "policy", "from", "strace", "--all", tmp_path / "log"))
    table["counts"].pop("exit_group", None), log["counts"].pop("exit_group")  # -c counts calls that return
    assert table["counts"] == log["counts"]


def test_policy_of_a_log_is_enough_for_the_program(
    host: "Host", busy: "Probes", jailctl: str, strace: str, tmp_path: Path
) -> None:
    policy = host.folder / "of-strace.json"
    verbs = ("calls", 20, "read", "/etc/passwd")
    assert host.run(strace, "-f", "-o", tmp_path / "log", busy["glibc"], *verbs).status == 0
    assert host.run(jailctl, "policy", "from", "strace", tmp_path / "log", "-o", policy).status == 0
    words = ("-n", "t", "-S", policy, "-r", "/etc/passwd", "--", busy["glibc"])
    assert host.jail(*words, *verbs).status == 0
    policy.write_text(policy.read_text().replace('"getppid", ', "").replace('"getppid": 20,', ""))
    assert host.jail(*words, *verbs).status == 128 + signal.SIGSYS
