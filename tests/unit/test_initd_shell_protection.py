# SPDX-License-Identifier: MIT
"""A script that goes another way than its author thought: nothing of what was to hold the service gets lost unsaid."""

from pathlib import Path

import pytest
from initd_shell import AVAILABLE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize("local", ["local ", ""])
def test_a_script_may_split_its_words_otherwise(world: World, shell: str, local: str) -> None:
    world.script(
        "svc",
        "USE_PROCD=1\n"
        f"ports() {{ {local}IFS=,; for port in $1; do procd_add_jail_net bind tcp:$port; done; }}\n"
        "start_service() {\nprocd_open_instance\nprocd_set_param command /bin/svc\nprocd_set_param user nobody\n"
        "procd_add_jail svc log ronly\nports 53,54\nprocd_close_instance\n"
        "procd_open_instance b\nprocd_set_param command /bin/svc\n"
        f"typo() {{ {local}IFS=,; procd_set_param hostnaem x; }}\ntypo\nprocd_close_instance\n}}\n",
    )
    first, second = world.call(shell, "svc", "start").sent["instances"].values()
    assert first == {
        "command": ["/bin/svc"],
        "user": "nobody",
        "jail": {"name": "svc", "log": True, "ronly": True, "net_bind": ["tcp:53", "tcp:54"]},
    }
    assert second["error"] == ["unknown parameter 'hostnaem', did you mean 'hostname'?"]


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize("fails", [True, False])
def test_an_instance_that_was_left_half_said_does_not_start(world: World, shell: str, fails: bool) -> None:
    world.script(
        "svc",
        "USE_PROCD=1\nstart_service() {\nprocd_open_instance main\nprocd_set_param command /bin/svc\n"
        f"[ -e /nowhere ] || return {int(fails)}\nprocd_add_jail svc ronly\nprocd_close_instance\n}}\n",
    )
    ran = world.call(shell, "svc", "start")
    # who forgets to close the last one and is content otherwise has it closed, as OpenWrt does
    error = {"error": ['instance "main" is not closed, and start_service failed']} if fails else {}
    assert ran.sent["instances"] == {"main": {"command": ["/bin/svc"], **error}}


@pytest.mark.parametrize("shell", AVAILABLE)
def test_each_instance_is_closed_before_the_next(world: World, shell: str) -> None:
    world.script(
        "svc",
        "USE_PROCD=1\none() {\nprocd_open_instance $1\nprocd_set_param command /bin/svc\n"
        "[ $1 = b ] || return 0\nprocd_set_param user nobody\nprocd_close_instance\n}\n"
        "start_service() { one a; one b; }\n",
    )
    assert world.call(shell, "svc", "start").sent["instances"] == {
        "a": {"command": ["/bin/svc"], "error": ['instance "a" is not closed before the next']},
        "b": {"command": ["/bin/svc"], "user": "nobody"},
    }


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize("flags", ["log ronly", "ronly requirejail", "procfs\tnetns"])
def test_flags_in_quotes_are_no_flag(world: World, shell: str, flags: str) -> None:
    ran = world.source(
        shell,
        'procd_open_service s\nprocd_open_instance a\nprocd_add_jail x "$1"\nprocd_close_instance\n'
        "procd_open_instance b\nprocd_add_jail x $1\nprocd_close_instance\nprocd_close_service",
        flags,
    )
    assert ran.sent["instances"] == {
        "a": {"jail": {"name": "x"}, "error": [f"jail flag '{flags}' is several words"]},
        "b": {"jail": {"name": "x", **dict.fromkeys(flags.split(), True)}},
    }


@pytest.mark.parametrize("shell", AVAILABLE)
def test_what_is_said_of_a_jail_too_late_is_told(world: World, shell: str) -> None:
    ran = world.source(
        shell,
        "procd_open_service s\nprocd_open_instance a\nprocd_add_jail x log\nprocd_close_instance\n"
        "procd_set_jail_param mask /x\nprocd_close_service",
    )
    assert ran.err == "s: jail parameter mask outside of an instance\n"
    assert ran.sent["instances"] == {"a": {"jail": {"name": "x", "log": True}}}
