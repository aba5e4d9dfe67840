# SPDX-License-Identifier: MIT
"""The commands `service` and `reload_config`, and service_* for scripts that start their daemons themselves."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from initd_shell import AVAILABLE, INSTALLED, WITH_STUBS, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("shell", AVAILABLE)
class TestWrappers:
    def test_reload_config_tells_of_what_has_changed(self, world: World, shell: str) -> None:
        def changed() -> list[str]:
            ran = world.run(shell, "sbin/reload_config")
            assert ran.status == 0, ran
            return [json.loads(call[2])["data"]["package"] for call in ran.calls]

        world.config("other", "config a\n")
        world.config("thing", "config a\n")
        assert changed() == []
        assert changed() == []
        world.config("thing", "config b\n")
        world.config("new", "config a\n")
        (world.root / "etc/config/other").unlink()
        assert changed() == ["new", "other", "thing"]
        assert changed() == []
        world.config("new", "config b\n")
        assert world.run(shell, "sbin/reload_config", UBUS_STATUS="4").status == 4
        assert changed() == ["new"]

    def test_service(self, world: World, shell: str) -> None:
        rc = world.root / "etc/rc.common"
        script = world.script("one", "START=10\nUSE_PROCD=1\nstart_service() { procd_add_instance a; }\n")
        script.write_text(script.read_text().replace("/bin/sh /etc/rc.common", f"/bin/sh {rc}"))
        ran = world.run(shell, "sbin/service", "one", "start")
        assert ran.calls[0][:2] == ["service", "set"]
        world.answer({"one": {"instances": {"instance1": {"running": True}}}})
        ran = world.run(shell, "sbin/service")
        assert ran.out.split() == ["one", "disabled", "running"]
        ran = world.run(shell, "sbin/service", "two", "start")
        assert ran.status == 1
        assert "there is no" in ran.err
        assert world.run(shell, "sbin/service", "../one", "start").status == 1


START_STOP = """#!/bin/sh
printf '%s\\n' "$*" >>"$STOCKADE_ROOT/tmp/ssd"
"""


class TestServiceFunctions:
    """With a program that writes down."""

    def calls(self, world: World, text: str) -> list[str]:
        program = world.root / "bin/start-stop-daemon"
        program.write_text(START_STOP)
        program.chmod(0o755)
        source = '. "$STOCKADE_ROOT/lib/functions/service.sh"\n'
        ran = world.run(WITH_STUBS, "-c", source + text)
        assert ran.status == 0, ran
        return (world.root / "tmp/ssd").read_text().splitlines()

    def test_start(self, world: World) -> None:
        assert self.calls(world, "service_start /usr/sbin/x -a 'b c'") == ["-S -q -x /usr/sbin/x -- -a b c"]

    def test_start_in_the_background_with_a_pid_file(self, world: World) -> None:
        text = "SERVICE_DAEMONIZE=1 SERVICE_WRITE_PID=1 SERVICE_UID=5 SERVICE_GID=6 SERVICE_DEBUG=1\n"
        expected = f"-S -b -m -c 5:6 -p {world.root}/var/run/x.pid -x /usr/sbin/x --"
        assert self.calls(world, text + "service_start /usr/sbin/x") == [expected]

    def test_signals(self, world: World) -> None:
        text = "service_reload /bin/x\nSERVICE_USE_PID=1 SERVICE_PID_FILE=/p\nservice_check /bin/x"
        assert self.calls(world, text) == [
            "-K -q -s HUP -x /bin/x --",
            "-K -q -s 0 -p /p -x /bin/x --",
        ]


def test_a_daemon_is_started_and_stopped(world: World) -> None:
    """By BusyBox's start-stop-daemon, which is what routers have."""
    if "ash" not in INSTALLED:
        pytest.skip("no busybox")
    sleep = world.root / "bin/sleep"  # BusyBox asks for its name what to be
    sleep.symlink_to(shutil.which("sleep") or "/bin/sleep")
    text = (
        '. "$STOCKADE_ROOT/lib/functions/service.sh"\nSERVICE_DAEMONIZE=1 SERVICE_WRITE_PID=1\n'
        'mkdir -p "$STOCKADE_ROOT/var/run"\nservice_start "$1" 1000 && cat "$STOCKADE_ROOT"/var/run/*.pid\n'
        'service_check "$1" && echo runs\nservice_stop "$1"\n'
        # TERM is on its way when service_stop returns
        'while service_check "$1"; do :; done\necho gone'
    )
    ran = world.run("ash", "-c", text, "sh", str(sleep))
    pid, *said = ran.out.split()
    assert said == ["runs", "gone"], ran
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        assert (
            "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
        )  # process 1 may take its time to reap it
