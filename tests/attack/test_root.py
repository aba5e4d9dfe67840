# SPDX-License-Identifier: MIT
"""Ways out of a jail, tried as root inside with the default capabilities; outside each of them works."""

import errno
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jails import Host
    from result import Result

SYSCALL_KILLED = 128 + signal.SIGSYS
PROC = ("-p",)
OFF = "--no-default-filter"


class Unfiltered:
    """A host whose jails have no default filter: what stands then has to hold alone."""

    def __init__(self, host: "Host") -> None:
        self._host = host

    def __getattr__(self, name: str) -> object:
        return getattr(self._host, name)

    def probe(self, *verbs: object, options: "Iterable[object]" = (), **settings: Any) -> "Result":
        return self._host.probe(*verbs, options=[OFF, *options], **settings)


@pytest.fixture(params=["filter", "no-filter"])
def host(request: pytest.FixtureRequest, host: "Host") -> object:
    """Each attack is tried with the default filter and without."""
    return host if request.param == "filter" else Unfiltered(host)


def denied(seen: "Result", *, but: tuple[str, ...] = ()) -> None:
    """Every try failed."""
    assert seen.tries(), seen
    assert not [name for name, result in seen.tries().items() if result == "ok" and name not in but], seen


def worked(seen: "Result") -> None:
    assert set(seen.tries().values()) == {"ok"}, seen


def test_mount_anything_anywhere(host: "Host") -> None:
    folder = host.folder
    verbs = [
        "mount",
        "tmpfs",
        "/dev/shm",
        "mount",
        "proc",
        "/proc",
        "bind",
        "/dev",
        "/dev/shm",
        "umount",
        "/dev/shm",
    ]
    denied(host.probe(*verbs, options=PROC))
    worked(host.outside("mount", "tmpfs", folder, "bind", "/etc", folder, "umount", folder))


def test_remount_read_only_places_writable(host: "Host") -> None:
    denied(host.probe("remount", "/", "remount", "/dev", "remount", "/proc/sys", "mkdir", "/x", options=PROC))
    script = 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@"'
    worked(host.outside("remount", "/proc/sys", prefix=["sh", "-ec", script, "sh"]))


def test_umount_what_hides(host: "Host") -> None:
    denied(host.probe("umount", "/proc/sys", "umount", "/proc/kallsyms", "umount", "/proc", options=PROC))
    worked(host.outside("umount", "/proc"))


def test_make_the_hosts_disk_as_a_device(host: "Host") -> None:
    status = os.stat("/")
    number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    path = host.folder / "disk"
    denied(host.probe("mknod", "/dev/shm/disk", "b", number, "mknod", "/dev/shm/mem", "c", "1:1"))
    worked(host.outside("mknod", path, "b", number))
    path.unlink()


def test_write_to_the_kernels_switches(host: "Host") -> None:
    paths = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches"]
    paths += ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/sys/kernel/hostname"]
    paths += ["/proc/dynamic_debug/control", "/proc/lock_stat", "/proc/profile"]
    there = [path for path in paths if os.path.exists(path)]
    assert there
    denied(host.probe(*[word for path in there for word in ("write", path)], options=PROC))
    worked(host.outside(*[word for path in there for word in ("write", path)]))  # opened, nothing written


@pytest.mark.parametrize("options", [(), ("-f",), ("-f", "-N")], ids=["root", "-f", "-f -N"])
def test_write_to_the_kernels_switches_in_sys(host: "Host", options: tuple[str, ...]) -> None:
    paths = [f"/sys/kernel/{name}" for name in ("profiling", "mm/ksm/run", "uevent_helper", "rcu_expedited")]
    paths.append("/sys/module/printk/parameters/time")  # small kernels have none of those
    there = [path for path in paths if os.path.exists(path)]
    assert there
    verbs = [word for path in there for word in ("write", path)]
    denied(host.probe(*verbs, "mkdir", "/sys/fs/cgroup/x", options=("-s", *options)))
    worked(host.outside(*verbs))  # opened, nothing written


@pytest.mark.parametrize("options", [(), ("-C", "all"), ("-f", "-F"), ("-f", "-F", "-C", "all")])
def test_run_a_program_by_release_agent(host: "Host", options: tuple[str, ...]) -> None:
    """Version 1 of cgroups executes it on the host, as root, when a group has become empty."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    kinds = [kind for number, kind, _ in (line.split(":", 2) for line in lines) if number != "0"]
    if not kinds:
        pytest.skip("no hierarchy of version 1")
    data = f"none,{kinds[0]}" if kinds[0].startswith("name=") else kinds[0]
    verbs = ("mount-with", "cgroup", data)
    inside = host.probe(*verbs, "/dev/shm", "write", "/dev/shm/release_agent", options=("-p", *options))
    # all capabilities undo a jail of the host's root: SECURITY.md says so
    if options != ("-C", "all"):
        denied(inside, but=("mount-with:cgroup",) if "-f" in options else ())
    worked(host.outside(*verbs, host.folder, "write", f"{host.folder}/release_agent"))


def test_variables_of_the_caller_stay_outside(host: "Host") -> None:
    """Neither the loader of the jail's programs nor our own interpreter is to take them."""
    tricks = {"LD_AUDIT": "/none", "LD_LIBRARY_PATH": "/none", "PYTHONPATH": "/none", "PYTHONHOME": "/none"}
    tricks |= {"PATH": "/none", "container": "other", "GCONV_PATH": "/none", "ENV": "/none"}
    usual = {"LD_PRELOAD": "/none.so"}
    inside = host.probe("env", env={**tricks, **usual})
    assert sorted(inside.all("env")) == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=ujail"]
    outside = host.run(host.probes["glibc"], "env", env={**tricks, **usual})
    assert "LD_AUDIT=/none" in outside.all("env")


def test_reach_below_a_mount_by_handle(host: "Host") -> None:
    """open_by_handle_at(2) knows no root: with the right handle any file of the same file system opens."""
    marker = str(host.probes.marker)
    shared = host.folder / "shared"
    shared.write_text("")
    made = host.outside("handle", marker)
    if not made.all("handle"):
        pytest.skip(f"no file handles on the file system of {host.folder}")
    verbs = ["by-handle", made["handle"], shared]
    denied(host.probe(*verbs, options=["-r", shared]))
    worked(host.outside(*verbs))
    shared.unlink()


def test_leave_a_chroot_by_an_open_directory(host: "Host") -> None:
    """chroot(2) is allowed by default, and leads nowhere: the host's root is not above the jail's."""
    marker = str(host.probes.marker)
    seen = host.probe("chroot", marker)
    assert seen[f"chroot:{marker}"] == "ENOENT"
    inner = host.folder / "inner"
    (inner / "dev").mkdir(parents=True)
    shutil.copy(host.probes["static-glibc"], inner / "probe")
    script = f'exec chroot {inner} /probe "$@"'
    worked(host.run(*host.apart, "sh", "-c", script, "sh", "chroot", marker))
    shutil.rmtree(inner)


def test_pivot_root_again(host: "Host") -> None:
    denied(host.probe("pivot", "/", "pivot", "/dev/shm"))
    script = f'mount -t tmpfs none {host.folder}; exec "$@"'
    program = host.probes["static-glibc"]
    copy = shutil.copy(program, "/dev/shm/stockade-test-probe")  # the other one is hidden by then
    seen = host.run(*host.apart, "sh", "-ec", script, "sh", copy, "pivot", host.folder)
    os.unlink(copy)
    # EINVAL: asked with a put_old that is not below the new root where "/" was not a mount; not EPERM
    assert seen.tries()[f"pivot:{host.folder}"] in ("ok", "EINVAL")


def test_trace_and_kill_pid_1(host: "Host") -> None:
    """Of the whole jail only its own processes can be touched; PID 1 takes what it forwards and no more."""
    jail = host.start("stay", "ptrace", "1", "kill", "1", "9", "kill", "1", "11", "pids")
    host.wait_ready(jail)
    [stub] = host.children_of(jail.pid)
    host.until(lambda: host.status_of(stub)["Seccomp"] == "2", "the stub's filter")
    seen = host.finish(jail)
    assert seen["ptrace:1"] == "EPERM"
    assert (seen["pids"], seen.status) == ("1 2", 0)  # neither the kernel nor the stub takes them
    victim = subprocess.Popen(["sleep", "60"])
    worked(host.outside("ptrace", victim.pid, "kill", victim.pid, "9"))
    victim.wait()


def test_enter_the_namespaces_of_others(host: "Host") -> None:
    kinds = ("mnt", "pid", "net", "uts")
    words = [word for kind in kinds for word in ("setns", f"/proc/1/ns/{kind}")]
    denied(host.probe(*words, "read", f"/proc/1/root{host.probes.marker}", options=PROC))
    worked(host.outside("setns", f"/proc/{os.getpid()}/ns/mnt", "setns", f"/proc/{os.getpid()}/ns/uts"))


def test_make_namespaces_of_its_own(host: "Host") -> None:
    new_mount, new_uts = 0x20000, 0x4000000
    denied(
        host.probe("call", "unshare", new_mount, "call", "unshare", new_uts, "call", "clone", new_mount | 17)
    )
    worked(host.outside("call", "unshare", new_mount, "call", "unshare", new_uts))


def test_calls_that_are_over_the_whole_machine(host: "Host") -> None:
    calls = [
        "init_module",
        "delete_module",
        "reboot",
        "swapon",
        "settimeofday",
        "syslog",
        "iopl",
        "perf_event_open",
    ]
    # syslog: READ_CLEAR, which no setting of the kernel gives to everybody, into no buffer
    arguments = {"syslog": "4,0,0", "iopl": "3", "reboot": "0xfee1dead,672274793,0,0"}  # 0: CAD off
    verbs = [word for call in calls for word in ("call", call, arguments.get(call, "0,0,0"))]
    seen = host.probe(*verbs)
    denied(seen, but=("call:settimeofday",))  # nothing to set was given
    assert {seen[f"call:{call}"] for call in ("init_module", "reboot", "syslog")} <= {"EPERM", "ENOSYS"}
    assert host.outside("call", "syslog", "4,0,0")["call:syslog"] == "EINVAL"
    assert host.outside("call", "delete_module", "0,0,0")["call:delete_module"] != "EPERM"


def test_set_the_hosts_name(host: "Host") -> None:
    denied(host.probe("sethostname", "changed", options=["-h", "own"]))
    worked(host.outside("sethostname", "changed", prefix=["unshare", "--uts"]))


@pytest.mark.parametrize("options", [(), ("-U", "65534"), ("-c",)])
def test_type_into_the_callers_terminal(host: "Host", options: tuple[str, ...]) -> None:
    controller, terminal = os.openpty()
    verbs = ["tiocsti", "take-tty", "read", "/dev/tty"]
    session = ["setsid", "-c"]  # BusyBox knows no more; it forks only as the leader of a group
    try:
        inside = host.run(
            *session, host.ujail, "-n", "t", *options, "--", host.probes["glibc"], *verbs, stdin=terminal
        )
        outside = host.run(*session, host.probes["glibc"], "tiocsti", "take-tty", stdin=terminal)
    finally:
        os.close(controller)
        os.close(terminal)
    denied(inside)
    worked(outside)


def test_keys_of_the_callers_session(host: "Host") -> None:
    """The keyring of who started it goes along over fork and exec."""
    probe = host.probes["glibc"]
    keyed = [probe, "join-keyring", "add-key", "stockade", "exec"]
    outside = host.run(*keyed, probe, "find-key", "stockade")
    if outside["find-key:stockade"] == "ENOSYS":
        pytest.skip("no keyrings in this kernel")
    assert outside["find-key:stockade"] == "ok"
    for options in ((), ("-f",), ("-c",)):
        inside = host.run(*keyed, host.ujail, "-n", "t", OFF, *options, "--", probe, "find-key", "stockade")
        assert inside["find-key:stockade"] == "ENOKEY", options
    denied(host.probe("find-key", "stockade"), but=("find-key:stockade",))
    assert host.run(probe, "find-key", "stockade", "keyring").status == 0


# ---- the policy ----


def test_execve_with_guessed_pointers_is_killed(host: "Host") -> None:
    """Door 1 allows execve with the launcher's own three pointers, which the program does not know."""
    program = host.probes["static-glibc"]
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    for verbs in (
        ["exec", program, "exit", "7"],
        ["call", "execve", "0,0,0"],
        ["call", "execveat", "0,0,0,0,0"],
    ):
        seen = host.probe(*verbs, kind="static-glibc", options=["-S", policy])
        assert (seen.status, seen.tries()) == (SYSCALL_KILLED, {}), verbs
    assert host.probe("exec", program, "exit", "7", kind="static-glibc").status == 7


def test_execve_by_the_pinned_pointers_gets_the_policy_again(host: "Host") -> None:
    """What is allowed by name and what is pinned: a program that may exec stays under both filters."""
    policy = host.policy("execve", "prctl")
    program = host.probes["static-glibc"]
    verbs = ["exec", program, "modes", "call", "sched_yield", "-"]
    seen = host.probe(*verbs, kind="static-glibc", options=["-S", policy])
    assert (seen["seccomp"], seen["call:sched_yield"]) == ("2", "EXFULL")
    outside = host.outside(*verbs, kind="static-glibc")
    assert (outside["seccomp"], outside["call:sched_yield"]) == ("0", "ok")


def test_shim_cannot_be_talked_out_of_it(host: "Host") -> None:
    """-e is the caller's; still no variable makes the shim or the loader leave the policy out."""
    policy = host.policy("prctl")
    for setting in (
        "SECCOMP_FILE=/dev/null",
        "SECCOMP_FILE=",
        "LD_PRELOAD=",
        "LD_PRELOAD=/none",
        "LD_BIND_NOW=1",
        "LD_AUDIT=/none",
        "LD_LIBRARY_PATH=/dev/shm",
        "LD_PRELOAD=libc.so.6",
        "GLIBC_TUNABLES=glibc.malloc.check=3",
    ):
        seen = host.probe("modes", "call", "sched_yield", "-", options=["-S", policy, "-e", setting])
        assert (seen["seccomp"], seen["call:sched_yield"]) == ("2", "EXFULL"), setting
    without = host.probe("modes", "call", "sched_yield", "-", options=[OFF])
    assert (without["seccomp"], without["call:sched_yield"]) == ("0", "ok")


def test_script_that_unsets_the_preload_stays_held(host: "Host", tmp_path: Path) -> None:
    """sh → env -i → a static program that never meets the shim: the filters of sh are inherited."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("busybox is not installed")
    tmp_path.chmod(0o755)
    program = host.probes["static-glibc"]
    policy = tmp_path / "policy.json"
    # all but one call, so that the shell has what it needs
    policy.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sched_yield"], "action": "SCMP_ACT_ERRNO",'
        f' "errnoRet": {errno.EXFULL}}}]}}'
    )
    line = f"unset LD_PRELOAD SECCOMP_FILE; exec {busybox} env -i {program} modes call sched_yield -"
    words = ["-n", "t", "-r", program, "-S", policy, "--", busybox, "sh", "-c", line]
    seen = host.jail(*words)
    assert (seen["seccomp"], seen["call:sched_yield"]) == ("2", "EXFULL")
    twin = host.jail(OFF, *words[:4], *words[6:])
    assert (twin["seccomp"], twin["call:sched_yield"]) == ("0", "ok")


def test_reach_the_hosts_abstract_sockets(host: "Host") -> None:
    """They have no path that a mount could hide: only a network namespace keeps them away."""
    name = f"stockade-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        denied(host.probe("abstract", name, options=["-N"]))
        worked(host.probe("abstract", name))
        worked(host.outside("abstract", name))
