# SPDX-License-Identifier: MIT
"""How a jail ends: exit statuses, signals, orphans, the grace period, the death of whoever waits for it."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from processes import Process

# all of the first 31 that can be caught, but CHLD, which the stub has of its own children, and TERM
FORWARDED = sorted(
    set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTERM}
    | {signal.SIGRTMIN, signal.SIGRTMAX}
)


# in a guest, where a jail takes long, those that mean something and each bit of the others
STATUSES = (
    [0, 1, 2, 4, 8, 16, 32, 64, *range(124, 131), 254, 255] if "STOCKADE_GUEST" in os.environ else range(256)
)


DEADLY = sorted({*range(1, 16)} - {5, 12} | {signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS, signal.SIGRTMIN})
if "STOCKADE_GUEST" in os.environ:
    DEADLY = [signal.SIGHUP, signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGSYS, signal.SIGRTMIN]


def service_of(host: "Host", jail: "Process") -> tuple[int, int]:
    """The host's pids of the stub and of the service."""
    [stub] = host.children_of(jail.pid)
    [service] = host.children_of(stub)
    return stub, service


def test_exit_status_is_the_programs_own_for_every_number(host: "Host") -> None:
    argv = ["-n", "t", "--", str(host.probes["static-glibc"]), "exit"]
    seen = host.driver({"argv": argv, "each": [str(n) for n in STATUSES]})
    launches = json.loads(seen.err.splitlines()[-1])["launches"]
    assert [launch["status"] for launch in launches] == list(STATUSES)


@pytest.mark.parametrize("status", [0, 1, 124, 125, 126, 127, 128, 255])
def test_exit_status_through_the_command(host: "Host", status: int) -> None:
    assert host.probe("exit", status).status == status


@pytest.mark.parametrize("number", DEADLY)
def test_exit_status_of_a_signal(host: "Host", number: int) -> None:
    assert host.probe("die", number).status == 128 + number


def test_exit_status_where_nothing_can_be_executed(host: "Host", tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("text")
    for program, status in (
        (plain, 126),
        (tmp_path, 126),
        (tmp_path / "absent", 127),
        ("no-such-program", 127),
    ):
        seen = host.jail("-n", "t", "--", program)
        assert (seen.status, seen.out, len(seen.err.splitlines())) == (status, "", 1), seen
    plain.chmod(0o755)  # neither ELF nor "#!"
    seen = host.jail("-n", "t", "--", plain)
    assert (seen.status, len(seen.err.splitlines())) == (126, 1), seen
    plain.write_text("#!/no/such/interpreter\n")
    assert host.jail("-n", "t", "--", plain).status in (125, 127)


def test_exit_status_where_the_working_directory_is_gone(host: "Host", tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    line = f'mkdir {gone}; cd {gone}; rmdir {gone}; exec "$@"'
    command = ["sh", "-c", line, "sh", host.ujail, "-n", "t"]
    seen = host.run(*command, "-S", "relative.json", "--", host.probes["glibc"], "exit", 0)
    said = [line for line in seen.err.splitlines() if "getcwd() failed" not in line]  # the shell's own
    assert (seen.status, seen.out, len(said)) == (125, "", 1), seen
    assert host.run(*command, "--", host.probes["glibc"], "exit", 3).status == 3


@pytest.mark.parametrize("level", ["0", "1"])
def test_last_line_is_on_stderr_with_debug_only(host: "Host", level: str) -> None:
    for verbs, line in (
        (["exit", 3], "ujail: t: exited with 3"),
        (["exit", 255], "ujail: t: exited with 255"),  # no signal 127, whatever mips has
        (["die", 9], "ujail: t: killed by signal 9"),
    ):
        err = host.probe(*verbs, options=["-d", level]).err.splitlines()
        assert err[-1:] == ([line] if level == "1" else []), err


def test_last_line_goes_to_syslog(host: "Host", tmp_path: Path) -> None:
    """A log daemon of the test's own, on a /dev of the test's own."""
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(str(tmp_path / "log"))
    log.settimeout(10)
    script = f'touch /dev/log 2>/dev/null; mount --bind {tmp_path}/log /dev/log && exec "$@"'
    dev = 'mount --bind /dev "$0" && mount -t tmpfs none /dev && '
    dev += "for n in null zero full random urandom tty; do "
    dev += 'touch /dev/$n; mount --bind "$0/$n" /dev/$n; done; '
    (tmp_path / "dev").mkdir()
    apart = [*host.apart, "sh", "-c", dev + script, tmp_path / "dev"]
    seen = host.run(*apart, host.ujail, "-n", "t", "--", host.probes["glibc"], "exit", 3)
    assert (seen.status, seen.err) == (3, "")
    assert log.recv(4096).endswith(b"ujail: t: exited with 3")
    log.close()


def test_signals_all_that_can_be_forwarded_arrive(host: "Host") -> None:
    jail = host.start("name-signals")
    host.wait_ready(jail)
    for number in FORWARDED:
        jail.send_signal(number)
        assert host.first_line(jail) == f"signal {number}"
    jail.send_signal(signal.SIGTERM)
    assert host.finish(jail).out == f"signal {int(signal.SIGTERM)}\n"
    assert jail.returncode == 0


# ujail's own code, which only waits for the end of a pipe before it becomes the waiter
HELD = """
import os, posix, sys
from jail import ujail
become = posix.execv
def held(path, words):
    os.read(int(sys.argv[1]), 1)
    os.close(int(sys.argv[1]))
    become(path, words)
posix.execv = held
sys.exit(ujail.main(sys.argv[2:]))
"""


def test_signals_that_come_before_the_waiter_are_not_lost(host: "Host") -> None:
    """The service runs, and `ujail` is kept from becoming its waiter until a signal has come."""
    read, write = os.pipe()
    options = (host.ujail, "-n", "t", "--", host.probes["glibc"], "name-signals")
    jail = host.spawn(sys.executable, "-I", "-c", HELD, read, *options, pass_fds=[read])
    os.close(read)
    host.wait_ready(jail)
    assert os.readlink(f"/proc/{jail.pid}/exe") == os.path.realpath(sys.executable)
    jail.send_signal(signal.SIGHUP)
    os.close(write)
    assert host.first_line(jail) == f"signal {int(signal.SIGHUP)}"
    jail.terminate()
    assert host.finish(jail).status == 0


def test_term_ends_a_service_without_a_handler_at_once(host: "Host") -> None:
    jail = host.start("hold", options=["-t", "30"])
    host.wait_ready(jail)
    begin = time.monotonic()
    jail.terminate()
    assert host.finish(jail).status == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 5


def test_term_ignored_becomes_kill_of_the_whole_jail(host: "Host") -> None:
    jail = host.start("ignore", 15, "daemon", "hold", options=["-t", "1"])
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    inside = [stub, *host.children_of(stub)]
    assert len(inside) == 3  # with the daemon, which is PID 1's child by now
    begin = time.monotonic()
    jail.terminate()
    assert host.finish(jail).status == 128 + signal.SIGKILL
    assert 0.9 < time.monotonic() - begin < 10
    assert all(host.is_gone(pid) for pid in inside)


def test_term_ignored_twice_does_not_extend_the_grace_period(host: "Host") -> None:
    jail = host.start("ignore", 15, "hold", options=["-t", "1"])
    host.wait_ready(jail)
    begin = time.monotonic()
    jail.terminate()
    gone = select.poll()
    pidfd = os.pidfd_open(jail.pid)
    gone.register(pidfd, select.POLLIN)
    while not gone.poll(10):  # milliseconds from one to the next
        jail.send_signal(signal.SIGTERM)
        assert time.monotonic() - begin < 10
    os.close(pidfd)
    assert host.finish(jail).status == 128 + signal.SIGKILL


def test_term_with_no_grace_kills_at_once(host: "Host") -> None:
    jail = host.start("ignore", 15, "hold", options=["-t", "0"])
    host.wait_ready(jail)
    jail.terminate()
    assert host.finish(jail).status in (128 + signal.SIGKILL, 128 + signal.SIGTERM)


def test_daemons_end_with_the_service(host: "Host") -> None:
    jail = host.start("daemon", "stay")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    inside = host.children_of(stub)
    assert len(inside) == 2
    assert host.finish(jail).status == 0
    host.until(lambda: all(host.is_gone(pid) for pid in inside), "the daemon's end")


def test_orphans_are_reaped(host: "Host") -> None:
    assert host.probe("orphans", 20)["reaped"] == "20"


def test_wrapper_mode_ends_its_group_and_forwards(host: "Host") -> None:
    jail = host.start("hold", options=["-c"])
    host.wait_ready(jail)
    _, service = service_of(host, jail)
    jail.terminate()
    assert host.finish(jail).status == 128 + signal.SIGTERM
    assert host.is_gone(service)


@pytest.mark.parametrize("options", [[], ["-c"], ["-U", "65534"], ["-C", "cap_net_raw", "-p"]])
def test_jail_dies_when_its_waiter_is_killed(host: "Host", options: list[str]) -> None:
    # without a PID namespace a process may leave: there only the service is promised
    verbs = ["hold"] if options == ["-c"] else ["daemon", "hold"]
    jail = host.start(*verbs, options=options)
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    inside = [stub, *host.children_of(stub)]
    jail.kill()
    assert host.finish(jail).status == 128 + signal.SIGKILL
    host.until(lambda: all(host.is_gone(pid) for pid in inside), "the jail's end")


def test_jail_dies_when_its_stub_is_killed(host: "Host") -> None:
    jail = host.start("daemon", "hold")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    inside = host.children_of(stub)
    os.kill(stub, signal.SIGKILL)
    assert host.finish(jail).status == 128 + signal.SIGKILL
    host.until(lambda: all(host.is_gone(pid) for pid in inside), "the jail's end")


def test_jail_that_is_stopped_still_ends(host: "Host") -> None:
    """STOP cannot be forwarded; a stopped service is killed after the grace period like any other."""
    jail = host.start("hold", options=["-t", "1"])
    host.wait_ready(jail)
    _, service = service_of(host, jail)
    os.kill(service, signal.SIGSTOP)
    host.until(lambda: host.status_of(service)["State"].startswith("T"), "the service's stop")
    jail.terminate()
    assert host.finish(jail).status in (128 + signal.SIGKILL, 128 + signal.SIGTERM)


def test_stop_and_continue_of_the_service_change_nothing(host: "Host") -> None:
    jail = host.start("stay")
    host.wait_ready(jail)
    _, service = service_of(host, jail)
    os.kill(service, signal.SIGSTOP)
    host.until(lambda: host.status_of(service)["State"].startswith("T"), "the service's stop")
    assert jail.poll() is None
    jail.send_signal(signal.SIGCONT)  # forwarded, so it wakes the service
    assert host.finish(jail).status == 0


def test_pidfile_holds_the_services_pid_of_the_host(host: "Host", tmp_path: Path) -> None:
    file = tmp_path / "pid"
    file.write_text("an older and longer content\n")
    jail = host.start("stay", options=["-P", file])
    host.wait_ready(jail)
    _, service = service_of(host, jail)
    host.until(lambda: file.read_text() == f"{service}\n", "the pidfile")
    assert host.finish(jail).status == 0


def test_pidfile_that_cannot_be_written_stops_the_jail(host: "Host", tmp_path: Path) -> None:
    seen = host.probe("hold", options=["-P", tmp_path / "absent" / "pid"])
    assert (seen.status, len(seen.err.splitlines())) == (125, 1)
    assert str(tmp_path / "absent" / "pid") in seen.err


def test_pidfile_on_a_full_disk_is_named(host: "Host") -> None:
    assert host.probe("exit", 0, options=["-P", "/dev/null"]).status == 0
    seen = host.probe("hold", options=["-P", "/dev/full"])
    assert (seen.status, seen.err) == (125, "ujail: t: /dev/full: No space left on device\n")


def test_waiter_has_the_jails_name(host: "Host") -> None:
    jail = host.start("stay")
    host.wait_ready(jail)
    host.until(lambda: host.status_of(jail.pid)["Name"] == "t", "the name")
    host.finish(jail)


def test_waiter_and_stub_hold_no_descriptor_of_the_callers(host: "Host") -> None:
    jail = host.start("stay", stderr=subprocess.DEVNULL)
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    for pid in (jail.pid, stub):
        host.until(lambda pid=pid: set(host.fds(pid).values()) == {"/dev/null"}, "the caller's pipes closed")  # type: ignore[misc]
    host.finish(jail)


def test_stub_has_one_capability_and_a_filter(host: "Host") -> None:
    jail = host.start("stay", options=["-U", "65534"])
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    host.until(lambda: host.status_of(stub)["Seccomp"] == "2", "the stub's filter")
    status = host.status_of(stub)
    host.finish(jail)
    kill = f"{1 << 5:016x}"
    assert [status[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Amb")] == [kill] * 4
    assert (status["Uid"].split(), status["Groups"], status["NoNewPrivs"]) == (["65534"] * 4, "65534", "1")


def test_callers_signal_settings_do_not_matter(host: "Host") -> None:
    """CHLD ignored and TERM blocked by whoever starts ujail: the status and TERM work all the same."""

    def spoil() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})

    assert host.probe("exit", 9, preexec_fn=spoil).status == 9
    jail = host.start("hold", preexec_fn=spoil)
    host.wait_ready(jail)
    jail.terminate()
    assert host.finish(jail).status == 128 + signal.SIGTERM


def test_closed_standard_descriptors_become_dev_null(host: "Host") -> None:
    """As seen from outside of the jail: the caller's /dev/null, not the jail's."""
    seen = host.run("sh", "-c", f"exec {host.ujail} -n t -p -- {host.probes['glibc']} fds <&- 2>&-")
    targets = dict(line.split() for line in seen.all("fd"))
    assert (targets["0"], targets["2"]) == ("/dev/null", "/dev/null"), seen
    assert set(targets) == {"0", "1", "2"}


def test_refusal_without_a_stderr_has_its_status(host: "Host") -> None:
    assert host.run("sh", "-c", f"exec {host.ujail} -n t --no-such-option 2>&-").status == 125
