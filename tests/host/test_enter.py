# SPDX-License-Identifier: MIT
"""jailctl exec: in the jail, and held as its service is; -j NAME and jailctl list, which find jails by name."""

import os
import signal
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from processes import Process
    from result import Result

JAILCTL = (
    Path(os.environ.get("STOCKADE_UJAIL") or f"{sysconfig.get_path('scripts')}/ujail").parent / "jailctl"
)
KINDS = ("mnt", "pid", "ipc", "uts", "net")
CALLS = """
    getdents64 readlink readlinkat getresuid getresgid getgroups capget prctl getpid getppid openat read close
    fstat newfstatat getcwd lseek ioprio_get getpriority umask uname getpgrp getpgid getsid gethostname
    getresuid32 getresgid32 getgroups32
"""
EVERYTHING = ("-N", "-p", "-h", "inner", "-U", "65534", "-C", "cap_net_raw+eipa", "--limit", "nofile=77 88")
PRIORITIES = ("--nice", "5", "--ioprio", "be:7", "--oom-score-adj", "100")


def enter(host: "Host", jail: "Process", *words: object) -> "Result":
    return host.run(JAILCTL, "exec", str(host.children_of(jail.pid)[0]), *words)


@pytest.fixture
def jail(host: "Host", request: pytest.FixtureRequest) -> Iterator["Process"]:
    """A jail with the options of the test, and a service that waits."""
    process = host.start("stay", options=request.param)
    host.wait_ready(process)
    yield process
    host.finish(process)


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "--umask", "027"),
        ("-f", "-p", *PRIORITIES),
        (*EVERYTHING, *PRIORITIES),
        ("-p", "-S", "POLICY", "--ioprio", "idle"),
        ("-p", "--no-default-filter", "--nice", "3", "--oom-score-adj", "200"),
    ],
)
def test_entered_program_is_as_the_service(host: "Host", options: tuple[str, ...]) -> None:
    policy = host.policy(*CALLS.split())
    options = tuple(str(policy) if word == "POLICY" else word for word in options)
    probe = host.probes["glibc"]
    links = [word for kind in KINDS for word in ("link", f"/proc/self/ns/{kind}")]
    verbs = ("ids", "caps", "modes", "cat", "/proc/self/limits", *links, "nice", "ioprio")
    verbs += ("cat", "/proc/self/oom_score_adj")
    process = host.start(*verbs, "stay", options=options)
    lines = []
    while (line := host.first_line(process)) != "ready":
        assert line, host.finish(process)
        lines.append(line)
    seen = enter(host, process, "--", probe, *verbs)
    assert (seen.status, [line.strip() for line in seen.out.splitlines()]) == (0, lines), seen
    twin = host.outside(*verbs)
    assert twin.out.splitlines() != lines
    bare = enter(host, process, "--unconfined", "--", probe, *verbs)
    assert "warning: root with all capabilities" in bare.err and bare["seccomp"] == "0"
    assert bare.all("link") == [line.removeprefix("link ") for line in lines if line.startswith("link ")]
    host.finish(process)


def test_policy_that_complains_does_so_for_what_enters_and_that_is_said(host: "Host") -> None:
    policy = host.policy(*CALLS.split())
    for mode, result in (("complain", "ok"), ("enforce", "EXFULL")):
        jail = host.start("stay", options=("-p", "-m", mode, "-S", policy))
        host.wait_ready(jail)
        seen = enter(host, jail, "--", host.probes["glibc"], "modes", "call", "sched_yield", "-")
        assert (seen["call:sched_yield"], seen["seccomp"]) == (result, "2"), seen
        assert ("its policy complains only" in seen.err) == (mode == "complain")
        host.finish(jail)


@pytest.mark.parametrize("jail", [("-p",)], indirect=True)
def test_entered_program_sees_the_jail_and_nothing_else(host: "Host", jail: "Process") -> None:
    probe = host.probes["glibc"]
    seen = enter(host, jail, "--", probe, "pids", "read", host.probes.marker, "fds", "env", "mkdir", "/x")
    assert seen["pids"].split()[:2] == ["1", "2"] and len(seen["pids"].split()) == 3
    assert seen[f"read:{host.probes.marker}"] == "ENOENT" and seen["mkdir:/x"] == "EROFS"
    assert sorted(seen.all("env")) == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=ujail"]


@pytest.mark.parametrize("jail", [("-p",)], indirect=True)
def test_status_variables_and_signals_pass(host: "Host", jail: "Process") -> None:
    probe = host.probes["glibc"]
    assert enter(host, jail, "--", probe, "exit", 7).status == 7
    assert enter(host, jail, "--", probe, "die", 9).status == 128 + 9
    assert "X=y" in enter(host, jail, "-e", "X=y", "--", probe, "env").all("env")
    missing = enter(host, jail, "--", "/no/such")
    assert (missing.status, "no such program" in missing.err) == (127, True)


def test_end_of_the_jail_ends_what_was_entered(host: "Host") -> None:
    jail = host.start("stay", options=("-p",))
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    inside = host.spawn(JAILCTL, "exec", stub, "--", host.probes["glibc"], "stay")
    host.wait_ready(inside)
    host.finish(jail)
    assert inside.wait(60) == 128 + 9


def test_end_of_the_command_ends_the_program_and_not_the_jail(host: "Host") -> None:
    jail = host.start("stay", "exit", 7, options=("-p",))
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    inside = host.spawn(JAILCTL, "exec", stub, "--", host.probes["glibc"], "stay")
    host.wait_ready(inside)
    [parent] = host.children_of(inside.pid)
    [program] = host.children_of(parent)
    inside.kill()
    inside.wait()
    host.until(lambda: host.is_gone(program), "the program's end")
    assert host.finish(jail).status == 7


def test_jails_are_found_by_name_and_a_name_that_two_have_is_refused(host: "Host") -> None:
    probe = host.probes["glibc"]
    jails = [host.start("stay", options=("-h", f"host{number}", "-n", "twins")) for number in (1, 2)]
    for each in jails:
        host.wait_ready(each)
    assert "several have this name" in host.run(JAILCTL, "exec", "twins", "--", probe, "exit", 7).err
    host.finish(jails[1])
    stub = host.children_of(jails[0].pid)[0]
    host.until(lambda: len(host.run(JAILCTL, "list").out.splitlines()) == 1, "one jail")
    assert host.run(JAILCTL, "list").out.split()[:2] == ["twins", str(stub)]
    assert host.run(JAILCTL, "exec", "twins", "--", probe, "process")["hostname"] == "host1"
    none = host.run(JAILCTL, "exec", "twin", "--", probe, "exit", 7)
    assert (none.status, none.err) == (
        125,
        "jailctl: jail twin: none that runs has this name; there are twins\n",
    )
    host.finish(jails[0])


@pytest.mark.parametrize("user", [1234, 0])
def test_jail_of_another_user_is_no_jail_of_this_name(host: "Host", user: int) -> None:
    """Anybody can start the stub as PID 1, with the words of a jail that root would enter or join."""
    stub = host.run(sys.executable, "-Ic", "from jail.privilege import STUB; print(STUB)").out.strip()
    # 3 is what the launcher has it hold until it is closed to the service
    # and a service is one once it has executed its program
    service = 'sh -c "echo ready; exec sleep 60 >&- 2>&-" &'
    script = f'{service} exec "{stub}" init 5 dnsmasq none 2 3>/dev/null'
    nnp = ("setpriv", "--no-new-privs", "sh", "-c")  # or it could not put its filter on
    ids = ("setpriv", "--reuid", user, "--regid", user, "--clear-groups")
    fake = host.spawn(*ids, "unshare", "--user", "--pid", "--fork", *nnp, script)
    assert host.first_line(fake) == "ready"
    [first] = host.children_of(fake.pid)
    host.until(lambda: os.path.basename(os.readlink(f"/proc/{first}/exe")) == "ujail-init", "its exec")
    listed = host.run(JAILCTL, "list").out
    entered = host.run(JAILCTL, "exec", "dnsmasq", "--", "/bin/true")
    os.kill(first, signal.SIGKILL)
    fake.wait()
    # root's own twin is found
    assert ("dnsmasq" in listed, "none that runs has this name" in entered.err) == (user == 0, user != 0)


def test_jail_of_a_pid_namespace_below_is_no_jail_of_ours(host: "Host") -> None:
    """A service that may make namespaces could else be listed, and entered, by a name of its choice."""
    service = ("--", host.probes["glibc"], "stay")
    below = host.spawn(
        *("unshare", "--mount", "--pid", "--fork", "--mount-proc"), host.ujail, "-n", "below", *service
    )
    beside = host.spawn(host.ujail, "-n", "beside", *service)
    host.wait_ready(below)
    host.wait_ready(beside)
    listed = host.run(JAILCTL, "list").out
    host.finish(below)
    host.finish(beside)
    assert ("below" in listed, "beside" in listed) == (False, True), listed


def test_namespaces_of_a_jail_are_joined_by_name(host: "Host") -> None:
    first = host.start("stay", options=("-N", "-h", "first", "-n", "first"))
    host.wait_ready(first)
    [stub] = host.children_of(first.pid)
    net = os.readlink(f"/proc/{stub}/ns/net")
    seen = host.probe("link", "/proc/self/ns/net", "process", options=("-p", "-j", "first:net,uts"))
    assert (seen["link"].split()[1], seen["hostname"]) == (net, "first")
    assert host.probe("link", "/proc/self/ns/net", options=("-p",))["link"].split()[1] != net
    host.finish(first)
    gone = host.probe("exit", 0, options=("-j", "first:net"))
    assert (gone.status, "none that runs has this name" in gone.err) == (125, True)


def test_jail_without_the_namespace_cannot_give_it(host: "Host") -> None:
    first = host.start("stay", options=("-n", "first"))
    host.wait_ready(first)
    seen = host.probe("exit", 0, options=("-j", "first:net"))
    assert (seen.status, "no net namespace of its own" in seen.err) == (125, True), seen
    host.finish(first)


def test_policy_that_is_another_file_by_now_is_refused(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    policy = tmp_path / "policy.json"
    policy.write_text(host.policy("prctl", "openat", "read", "close").read_text())
    jail = host.start("stay", options=("-p", "-S", policy))
    host.wait_ready(jail)
    probe = host.probes["glibc"]
    assert enter(host, jail, "--", probe, "call", "sched_yield", "-")["call:sched_yield"] == "EXFULL"
    (tmp_path / "new").write_text(policy.read_text())
    (tmp_path / "new").rename(policy)
    seen = enter(host, jail, "--", probe, "exit", 0)
    assert (seen.status, "has another file there" in seen.err) == (125, True), seen
    host.finish(jail)
