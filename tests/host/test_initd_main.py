# SPDX-License-Identifier: MIT
"""The `initd` command with real services: its start, its end, its death, and its duties as process 1."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from initds import APART, FIRST, OWN_TMP, SLEEP, Initd, Make, kill_tree, make, script

Host: TypeAlias = Any
__all__ = ["make"]


def test_term_stops_all_services_the_last_first_and_ends_well(host: Host, make: Make) -> None:
    initd = make()
    trap = [
        "/bin/busybox",
        "sh",
        "-c",
        f"trap 'echo bye; exit' TERM; while :; do {' '.join(SLEEP)} & wait; done",
    ]
    pids = [initd.set(name, command=trap, stdout=True) for name in ("first", "last")]
    assert initd.end() == 0
    assert all(host.is_gone(pid) for pid in pids) and not initd.socket.exists()
    assert initd.log.count("bye") == 2


def test_its_death_takes_jails_and_plain_services_along(host: Host, make: Make) -> None:
    initd = make()
    pids = [
        initd.set("plain", command=SLEEP),
        initd.set("jailed", command=SLEEP, jail={"name": "j", "procfs": True}),
        initd.set("wrapped", command=SLEEP, jail={"name": "w"}, no_new_privs=True),
    ]
    assert not any(host.is_gone(pid) for pid in pids)
    children = host.children_of(initd.process.pid)
    assert len(children) == 3
    initd.end(signal.SIGKILL)
    for pid in {*pids, *children}:
        host.until(lambda pid=pid: host.is_gone(pid), f"the end of {pid}")


def test_it_starts_again_where_one_was_killed(make: Make) -> None:
    first = make()
    first.end(signal.SIGKILL)
    assert first.socket.exists()
    second = make("-s", str(first.socket))
    assert second.set("x", command=SLEEP)


def test_a_second_one_on_the_same_bus_is_refused(make: Make) -> None:
    first = make()
    second = make("-s", str(first.socket))
    assert second.process.wait(60) == 125
    assert (
        second.log == f"initd: {first.socket}: there is an object service already: another initd, or procd\n"
    )
    assert first.set("x", command=SLEEP)


def test_a_bus_that_cannot_be_is_an_error(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = host.run(Path(host.ujail).parent / "initd", "-s", tmp_path / "file/ubus.sock")
    assert (done.status, done.err) == (125, f"initd: {tmp_path}/file/ubus.sock: Not a directory\n")


def test_services_and_commands_keep_the_limit_of_descriptors_that_initd_began_with(
    host: Host, make: Make
) -> None:
    initd = make(prefix=("sh", "-c", 'ulimit -Sn 900; exec "$@"', "sh"))
    out = initd.root / "limit"
    command = [
        "run_script",
        "/bin/busybox",
        "sh",
        "-c",
        f"sleep 0.1; ulimit -n >{out}.new; mv {out}.new {out}",
    ]
    initd.call("service", "set", name="t", triggers=[["now", [command], 0]])
    initd.call("service", "event", type="now", data={})
    host.until(out.exists, "the command")
    assert out.read_text() == "900\n"
    initd.set("x", command=["/bin/busybox", "sh", "-c", "echo files $(ulimit -n); exec sleep 9"], stdout=True)
    initd.wait_for("files ")
    assert "files 900\n" in initd.log


def test_scripts_run_in_order_at_both_ends(make: Make) -> None:
    def prepare(root: Path) -> None:
        for link in ("S20b", "S100a", "K90b", "K10a"):
            name = link[1:].lstrip("0123456789")
            if not (root / f"etc/init.d/{name}").exists():
                script(root, link, f'echo "{name} $1"; echo "oops {name}" >&2')
            else:
                (root / "etc/rc.d" / link).symlink_to(f"../init.d/{name}")
        (root / "etc/rc.d/S50gone").symlink_to("../init.d/gone")

    initd = make("--boot", prepare=prepare)
    initd.wait_for("all scripts of the boot were run")
    assert initd.end() == 0
    lines = [line.split(": ", 1)[1] for line in initd.log.splitlines()]
    wanted = ["a boot", "oops a", "b boot", "oops b", "a shutdown", "oops a", "b shutdown", "oops b"]
    assert [line for line in lines if line in wanted] == wanted
    assert any("S50gone boot: No such file" in line for line in lines)


def test_a_script_finds_the_bus_and_a_clean_process(make: Make) -> None:
    def prepare(root: Path) -> None:
        script(
            root,
            "S10x",
            'echo "socket $UBUS_SOCKET root $STOCKADE_ROOT";'
            ' grep -E "^(SigIgn|SigBlk)" /proc/self/status | tr -d "0\\t";'
            " read line; echo end $?; ls /proc/self/fd | wc -l",
        )

    initd = make("--boot", prepare=prepare)
    initd.wait_for("all scripts of the boot were run")
    said = "".join(line.split(": ", 1)[1] + "\n" for line in initd.log.splitlines() if line.startswith("x["))
    assert said == f"socket {initd.socket} root {initd.root}\nSigBlk:\nSigIgn:\nend 1\n4\n"


def test_a_daemon_that_a_script_leaves_behind_holds_nothing_up(host: Host, make: Make) -> None:
    def prepare(root: Path) -> None:
        script(root, "S10d", f'{" ".join(SLEEP)} & echo "pid $!"')
        script(root, "S20after", "echo after")

    initd = make("--boot", prepare=prepare)
    initd.wait_for("all scripts of the boot were run")
    pid = int(initd.log.split("pid ")[1].split()[0])
    assert not host.is_gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_started_as_init_without_proc_it_finds_itself(host: Host, tmp_path: Path) -> None:
    (tmp_path / "init").symlink_to(Path(host.ujail).parent / "initd")
    done = host.run(*APART, "sh", "-c", f"umount -l /proc && exec {tmp_path}/init --version")
    assert done.status == 0 and done.out.startswith("initd (Stockade)"), done


def first(make: Make, **settings: Any) -> Initd:
    """One that is process 1 of a PID namespace; its end is that of the namespace, by a signal of the kernel."""
    initd = make("word-of-the-kernel", prefix=FIRST, **settings)
    assert initd.call("system", "board")["kernel"]
    return initd


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGUSR1, 2), (signal.SIGUSR2, 2), (signal.SIGPWR, 2)],
)
def test_process_1_ends_the_machine_when_told(host: Host, make: Make, number: int, status: int) -> None:
    def prepare(root: Path) -> None:
        script(root, "K10x", 'echo "x $1"')

    initd = first(make, prepare=prepare)
    pid = initd.set("x", command=SLEEP, jail={"name": "j", "procfs": True})
    assert pid
    (one,) = host.children_of(initd.process.pid)
    os.kill(one, number)
    # reboot(2) in a PID namespace: HUP to who made it for a restart, INT for an end; unshare passes it on
    assert initd.process.wait(60) in (-status, 128 + status)
    assert "x shutdown" in initd.log


def test_process_1_reaps_orphans_and_reboots_over_ubus(host: Host, make: Make) -> None:
    initd = first(make)
    (one,) = host.children_of(initd.process.pid)
    initd.set("x", command=["/bin/busybox", "sh", "-c", "(sleep 0.01 &) ; exec sleep 1000"])
    host.until(lambda: len(host.children_of(one)) == 1, "the orphan's end")
    initd.ubus("call", "system", "reboot")
    assert initd.process.wait(60) in (-1, 129)


def test_only_process_1_reboots(make: Make) -> None:
    initd = make()
    done = initd.ubus("-S", "call", "system", "reboot")
    assert done.status == 8, done
    assert initd.process.poll() is None


def test_process_1_that_cannot_start_gives_a_shell_and_starts_anew(host: Host, tmp_path: Path) -> None:
    socket = tmp_path / "nowhere"
    socket.touch()
    # a console where nobody is: the shell ends at once
    own = f"mount --bind /dev/null /dev/console; {OWN_TMP}"
    initd = Path(host.ujail).parent / "initd"
    process = host.spawn(
        *APART, "sh", "-c", own, "sh", initd, "-s", f"{socket}/ubus.sock", stderr=subprocess.STDOUT
    )
    lines = iter(process.stdout.readline, "")
    reason = f"initd: {socket}/ubus.sock: Not a directory\n"
    for _ in range(2):
        assert next(line for line in lines if "Not a" in line) == reason
        assert "a shell on the console" in next(lines)
    kill_tree(host, process)


def test_signals_go_to_one_process_only(make: Make) -> None:
    initd = make()
    initd.call("system", "signal", pid=initd.process.pid, signum=0)
    assert initd.ubus("call", "system", "signal", '{"pid":-1,"signum":15}').status != 0
    assert initd.ubus("call", "system", "signal", '{"pid":1,"signum":999}').status != 0
    assert initd.set("x", command=SLEEP)
