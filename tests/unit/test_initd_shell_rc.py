# SPDX-License-Identifier: MIT
"""rc.common: the commands of an init script, its hooks, links, lock and exit status."""

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from initd_shell import AVAILABLE, SHELLS, World

# each hook says its name and arguments, so that the order can be seen
HOOKS = """
START=20
STOP=80
USE_PROCD=1
say() { echo "$@"; }
start_service() { say start_service "$@"; procd_add_instance /bin/x "$@"; }
stop_service() { say stop_service "$@"; }
service_triggers() { say service_triggers; }
service_started() { say service_started; }
service_stopped() { say service_stopped; }
"""
PLAIN = """
START=15
start() { echo start "$@"; }
stop() { echo stop "$@"; }
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.script("svc", HOOKS)
    made.script("plain", PLAIN)
    return made


pytestmark = pytest.mark.parametrize("shell", AVAILABLE)


def services(instances: dict[str, bool]) -> dict[str, Any]:
    """An answer of `service list`."""
    told = {
        name: {"running": running, "command": ["/bin/x"], "env": {"running": "true"}}
        for name, running in instances.items()
    }
    return {"svc": {"instances": told, "triggers": []}}


def test_start_sends_the_service(world: World, shell: str) -> None:
    ran = world.call(shell, "svc", "start")
    assert ran.out.split("\n") == ["start_service", "service_triggers", "service_started", ""]
    assert ran.calls[0][:2] == ["service", "set"]
    assert ran.sent == {
        "name": "svc",
        "script": "etc/init.d/svc",
        "instances": {"instance1": {"command": ["/bin/x"]}},
        "triggers": [],
    }
    assert ran.status == 0


def test_start_of_an_instance_leaves_the_others(world: World, shell: str) -> None:
    ran = world.call(shell, "svc", "start", "one")
    assert ran.calls[0][:2] == ["service", "add"]


@pytest.mark.parametrize(
    ("words", "message"), [([], {"name": "svc"}), (["one"], {"name": "svc", "instance": "one"})]
)
def test_stop_deletes(world: World, shell: str, words: list[str], message: dict[str, str]) -> None:
    ran = world.call(shell, "svc", "stop", *words)
    assert ran.out.split("\n")[:2] == [" ".join(["stop_service", *words]), "service_stopped"]
    assert ran.calls[0][:2] == ["service", "delete"]
    assert ran.sent == message


def test_restart_stops_and_starts(world: World, shell: str) -> None:
    ran = world.call(shell, "svc", "restart")
    assert [call[1] for call in ran.calls] == ["delete", "set"]


def test_term_does_not_stop_a_restart_half_way(world: World, shell: str) -> None:
    world.script("svc", HOOKS + "stop_service() { kill -TERM $$; }\nstart_service() { trap; }\n")
    ran = world.call(shell, "svc", "restart")
    assert [call[1] for call in ran.calls] == ["delete", "set"]


@pytest.mark.parametrize(("command", "method"), [("boot", "set"), ("shutdown", "delete"), ("reload", "set")])
def test_commands_that_stand_for_others(world: World, shell: str, command: str, method: str) -> None:
    ran = world.call(shell, "svc", command)
    assert [call[1] for call in ran.calls] == [method]


def test_a_script_may_have_its_own(world: World, shell: str) -> None:
    world.script(
        "svc",
        HOOKS + "reload_service() { procd_send_signal svc; }\nboot() { say boot; start; }\n"
        "service_running() { say running; }\nstatus_service() { say status; return 7; }\n",
    )
    assert world.call(shell, "svc", "reload").calls[0][:2] == ["service", "signal"]
    assert world.call(shell, "svc", "boot").out.startswith("boot\nstart_service")
    assert world.call(shell, "svc", "running").out == "running\n"
    assert world.call(shell, "svc", "status").status == 7


def test_rc_procd_opens_a_service_around_a_function(world: World, shell: str) -> None:
    world.script(
        "svc",
        HOOKS
        + "reload_service() { rc_procd other one; rc_procd other; }\nother() { procd_add_instance y; }\n",
    )
    ran = world.call(shell, "svc", "reload")
    assert [call[1] for call in ran.calls] == ["add", "set"]
    assert json.loads(ran.calls[1][2])["instances"] == {"instance1": {"command": ["y"]}}


def traced(**states: str) -> dict[str, Any]:
    """What `list` and `delete` answer of traced instances."""
    return {
        "svc": {
            "instances": {
                name: {"state": state, "trace_file": f"/tmp/{name}.json"} for name, state in states.items()
            }
        }
    }


def test_trace_starts_with_tracing(world: World, shell: str) -> None:
    world.answer(traced(instance1="running"))
    ran = world.call(shell, "svc", "trace")
    assert [call[1] for call in ran.calls] == ["set", "list"] and ran.status == 0
    assert json.loads(ran.calls[0][2])["instances"] == {"instance1": {"trace": True, "command": ["/bin/x"]}}
    assert ran.out.endswith("svc: once it is stopped, the trace is in /tmp/instance1.json\n")


def test_trace_of_what_does_not_start_fails(world: World, shell: str) -> None:
    world.answer({"svc": {"instances": {"instance1": {"state": "failed"}}}})
    ran = world.call(shell, "svc", "trace")
    assert ran.status == 1 and ran.err == "svc: nothing is traced; the log says why\n"


def test_stop_waits_for_the_trace(world: World, shell: str) -> None:
    answer = traced(one="stopping")
    for name in ("one", "two"):
        path = world.root / f"tmp/{name}.json"
        answer["svc"]["instances"][name] = {"trace_file": str(path)}
    world.answer(answer)
    (world.root / "tmp/one.json").write_text("{}")  # the other one is gone: there was nothing to be written
    ran = world.call(shell, "svc", "stop")
    assert [call[1] for call in ran.calls] == ["delete"] and ran.status == 0
    assert f"svc: the trace is in {world.root}/tmp/one.json\n" in ran.out
    assert ran.err == f"svc: nothing was written to {world.root}/tmp/two.json; the log says why\n"


def test_a_script_that_does_its_own_starting(world: World, shell: str) -> None:
    assert world.call(shell, "plain", "start", "a").out == "start a\n"
    assert world.call(shell, "plain", "boot").out == "start\n"
    assert world.call(shell, "plain", "shutdown").out == "stop\n"
    assert world.call(shell, "plain", "restart").out == "stop\nstart\n"
    assert world.call(shell, "plain", "reload").out == "stop\nstart\n"
    assert world.call(shell, "plain", "status").out.startswith("Syntax")
    assert world.call(shell, "plain", "depends").status == 0


STATES: dict[str, tuple[object, list[str], str, int]] = {
    "all run": (services({"a": True, "b": True}), [], "running", 0),
    "one of two": (services({"a": True, "b": False}), [], "running (1/2)", 0),
    "none runs": (services({"a": False}), [], "not running", 5),
    "no instances": ({"svc": {}}, [], "active with no instances", 0),
    "not there": ({}, [], "inactive", 3),
    "another": ({"svc2": services({"a": True})["svc"]}, [], "inactive", 3),
    "an instance": (services({"a": True, "b": False}), ["a"], "running", 0),
    "an instance that is down": (services({"a": True, "b": False}), ["b"], "not running", 5),
    "an unknown instance": (services({"a": True}), ["c"], "unknown instance c", 4),
    "an odd instance": (services({'"x": "running" \\': True}), ['"x": "running" \\'], "running", 0),
}


@pytest.mark.parametrize("case", STATES)
def test_status(world: World, shell: str, case: str) -> None:
    answer, words, text, status = STATES[case]
    world.answer(answer)
    ran = world.call(shell, "svc", "status", *words)
    assert (ran.out, ran.status) == (f"{text}\n", status)
    assert ran.sent == {"name": "svc"}
    running = world.call(shell, "svc", "running", *words)
    assert running.status == (0 if text.startswith("running") else 1)
    assert running.out == ""


def test_status_tells_a_person_why(world: World, shell: str) -> None:
    """One word on standard output as ever; the reason on a terminal, and there alone."""
    down = {
        "a": {
            "running": False,
            "failed": "cannot start: /d: no such program",
            "last_exit": "exit status 127",
        },
        "b": {"running": False, "errors": ['unknown user "x"', "another"]},
        "c": {"running": False, "last_exit": "exit status 1"},
        "d": {"running": True, "last_exit": "exit status 2", "jail": {"errors": "no"}},
        "e": {"running": False},
    }
    world.answer({"svc": {"instances": down}})
    assert world.call(shell, "svc", "status").err == ""
    master, slave = os.openpty()
    try:
        status = subprocess.run(
            [*SHELLS[shell], "etc/rc.common", "etc/init.d/svc", "status"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave,
            env=world.environment, cwd=world.root, text=True, timeout=60,
        )  # fmt: skip
        told = os.read(master, 4096).decode().splitlines()
    finally:
        os.close(slave)
        os.close(master)
    assert (status.stdout, status.returncode) == ("running (1/5)\n", 0)
    assert told == [
        "svc::a: cannot start: /d: no such program",
        'svc::b: not started: unknown user "x"',
        "svc::c: its last process ended with exit status 1",
    ]


def test_status_without_initd_is_no_answer(world: World, shell: str) -> None:
    ran = world.call(shell, "svc", "status", UBUS_STATUS="4")
    assert (ran.out, ran.status) == ("", 4)
    world.answer("not an object")
    (world.root / "tmp/answer").write_text('{"svc": {"instances": {"a": {"running": tr')
    ran = world.call(shell, "svc", "status")
    assert ran.out == ""
    assert ran.status not in (0, 3)


def test_info_shows_all(world: World, shell: str) -> None:
    world.answer({"svc": {}})
    ran = world.call(shell, "svc", "info")
    assert ran.sent == {"name": "svc", "verbose": True}
    assert json.loads(ran.out) == {"svc": {}}


def links(world: World) -> dict[str, str]:
    return {link.name: str(link.readlink()) for link in sorted((world.root / "etc/rc.d").glob("*"))}


def test_enable_and_disable_make_and_remove_links(world: World, shell: str) -> None:
    assert world.call(shell, "svc", "enabled").status == 1
    assert world.call(shell, "svc", "enable").status == 0
    assert links(world) == {"K80svc": "../init.d/svc", "S20svc": "../init.d/svc"}
    assert world.call(shell, "svc", "enabled").status == 0
    # a script whose number has changed leaves no old link
    world.script("svc", HOOKS.replace("START=20", "START=99"))
    assert world.call(shell, "svc", "enabled").status == 1
    assert world.call(shell, "svc", "enable").status == 0
    assert world.call(shell, "plain", "enable").status == 0
    assert links(world) == {
        "K80svc": "../init.d/svc",
        "S15plain": "../init.d/plain",
        "S99svc": "../init.d/svc",
    }
    assert world.call(shell, "svc", "disable").status == 0
    assert list(links(world)) == ["S15plain"]
    assert world.call(shell, "svc", "enabled").status == 1
    assert world.call(shell, "svc", "disable").status == 0  # it is what was asked for


def test_a_script_without_numbers_cannot_be_enabled(world: World, shell: str) -> None:
    world.script("none", "start() { :; }\n")
    ran = world.call(shell, "none", "enable")
    assert (ran.status, ran.err) == (1, "none has neither START nor STOP\n")


def test_links_of_an_image(world: World, shell: str, tmp_path: Path) -> None:
    """While an image is built, the paths are those of its root and nothing is started."""
    ran = world.run(
        shell,
        "etc/rc.common",
        "etc/init.d/svc",
        "enable",
        IPKG_INSTROOT=str(world.root),
        STOCKADE_ROOT="/nonexistent",
    )
    assert ran.status == 0, ran
    assert "S20svc" in links(world)
    ran = world.call(shell, "svc", "start", IPKG_INSTROOT=str(world.root))
    assert ran.calls == []
    assert ran.err == "svc: nothing is started or stopped in an image\n"


def test_called_by_its_link_the_name_is_the_scripts(world: World, shell: str) -> None:
    world.call(shell, "svc", "enable")
    ran = world.run(shell, "etc/rc.common", "etc/rc.d/S20svc", "boot")
    assert ran.sent["name"] == "svc"


def test_help_lists_commands_old_and_new(world: World, shell: str) -> None:
    world.script(
        "svc",
        HOOKS + 'extra_command "check" "Look at it"\nEXTRA_COMMANDS="old older"\n'
        'EXTRA_HELP="\told             An old one"\ncheck() { say checked "$@"; return 3; }\nold() { say old; }\n'
        "secret() { say secret; }\n",
    )
    for words in ([], ["help"], ["unknown"], ["secret"], ["say"]):
        ran = world.call(shell, "svc", *words)
        assert ran.status == 0
        lines = ran.out.splitlines()
        assert lines[0] == "Syntax: /etc/init.d/svc [command]"
        assert "\tstart           Start the service" in lines
        assert "\tcheck           Look at it" in lines
        assert "\told             An old one" in lines
        assert "secret" not in ran.out
    ran = world.call(shell, "svc", "check", "a b")
    assert (ran.out, ran.status) == ("checked a b\n", 3)
    assert world.call(shell, "svc", "old").out == "old\n"


def test_init_trace_shows_commands(world: World, shell: str) -> None:
    assert "start_service" in world.call(shell, "svc", "start", INIT_TRACE="1").err


def test_commands_of_a_script_in_several_lines(world: World, shell: str) -> None:
    world.script("svc", HOOKS + 'EXTRA_COMMANDS="one\n\ttwo"\none() { say 1; }\ntwo() { say 2; }\n')
    assert [world.call(shell, "svc", command).out for command in ("one", "two")] == ["1\n", "2\n"]
    for command in ("three", "one two", "start stop", "*"):
        assert world.call(shell, "svc", command).out.startswith("Syntax: "), command


def test_what_a_script_leaves_behind_does_not_hold_its_lock(world: World, shell: str) -> None:
    fifo = world.root / "tmp/fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR)  # cat reads until this is closed
    try:
        script = HOOKS.replace("say start_service", f"cat <{fifo} >/dev/null 2>&1 &\n\tsay start_service")
        world.script("svc", script)
        assert world.call(shell, "svc", "start").status == 0
        with open(world.root / "var/run/procd_svc.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(end)


def test_link_where_everybody_may_write_leads_no_lock_away(world: World, shell: str) -> None:
    folder = world.root / "var/lock"
    folder.mkdir(parents=True)
    folder.chmod(0o1777)
    secret = world.root / "secret"
    for name in ("procd_svc.lock", "passwd"):
        secret.write_text("kept")
        (folder / name).symlink_to(secret)
    assert world.call(shell, "svc", "start").status == 0
    assert world.source(shell, "group_add www 7").status == 0
    assert secret.read_text() == "kept"
    # what a redirection there does
    subprocess.run(["/bin/sh", "-c", ': >"$0"', folder / "passwd"], check=True)
    assert secret.read_text() == ""


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_a_service_left_in_the_place_of_a_lock_is_not_emptied_nor_waited_for(
    world: World, shell: str, kind: str
) -> None:
    """One that may write all of /var/run."""
    folder = world.root / "var/run"
    folder.mkdir(parents=True)
    secret = world.root / "secret"
    secret.write_text("kept")
    for name in ("procd_svc.lock", "passwd.lock"):
        if kind == "link":
            (folder / name).symlink_to(secret)
        else:
            os.mkfifo(folder / name)
    assert world.call(shell, "svc", "start").status == 0
    assert world.source(shell, "group_add www 7").status == 0
    assert secret.read_text() == "kept"


def test_one_script_at_a_time_for_a_service(world: World, shell: str) -> None:
    world.script(
        "svc",
        HOOKS + 'reload_service() { "$SHELL_UNDER_TEST" ${APPLET:-} etc/rc.common etc/init.d/svc start; }\n',
    )
    folder = world.root / "var/run"
    folder.mkdir(parents=True)
    with open(folder / "procd_svc.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # asking does not wait, another service neither
        world.answer({})
        assert world.call(shell, "svc", "status").status == 3
        assert world.call(shell, "svc", "help").status == 0
        assert world.call(shell, "plain", "start").status == 0
        process = subprocess.Popen(
            [*SHELLS[shell], "etc/rc.common", "etc/init.d/svc", "stop"], cwd=world.root, env=world.environment
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert process.wait(30) == 0
    # a script called from within the script has the lock already
    command, *applet = SHELLS[shell]
    ran = world.call(shell, "svc", "reload", SHELL_UNDER_TEST=command, APPLET=" ".join(applet))
    assert ran.calls[0][:2] == ["service", "set"]
