# SPDX-License-Identifier: MIT
"""Init scripts in the style of well-known packages, and all that each tells initd.

In `initd_scripts`, NAME.init is a script, NAME.config a package of /etc/config, and NAME.json the calls that come of
each command: {command: [[method, message], …]}. ROOT stands for the root that the test made, USR1 for its number.
"""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from initd_shell import AVAILABLE, World

FOLDER = Path(__file__).parent / "initd_scripts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.init"))


def told(world: World, shell: str, name: str, command: str) -> list[Any]:
    """The calls of a command."""
    ran = world.call(shell, name, *command.split())
    out = []
    for call in ran.calls:
        if call[0] == "service":
            out.append([call[1], json.loads(call[2].replace(str(world.root), "ROOT"))])
        else:
            out.append(call)
    return out


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for config in FOLDER.glob("*.config"):
        made.config(config.stem, config.read_text())
    for script in FOLDER.glob("*.init"):
        shutil.copy(script, tmp_path / "etc/init.d" / script.stem)
    return made


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize("name", NAMES)
def test_script_tells(world: World, shell: str, name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    # it has another number on mips
    expected = json.loads(text.replace('"USR1"', str(int(signal.SIGUSR1))))
    for command, calls in expected.items():
        got = told(world, shell, name, command)
        # as text, so that the order of keys counts
        assert json.dumps(got, indent=1) == json.dumps(calls, indent=1), command


def test_there_are_twenty() -> None:
    assert len(NAMES) >= 20


@pytest.mark.parametrize("shell", AVAILABLE)
def test_commands_of_scripts(world: World, shell: str) -> None:
    assert world.call(shell, "broker", "check", "it").out == "checked it\n"
    assert world.call(shell, "blocker", "query", "it").out == "looked up it\n"
    assert world.call(shell, "blocker", "start").status == 0
    assert world.call(shell, "blocker", "status").out == "blocking\n"
    assert world.call(shell, "blocker", "stop").status == 0
    assert world.call(shell, "blocker", "report").status == 1
    world.answer({"modem": {"instances": {"modem": {"running": True}}}})
    assert world.call(shell, "modem", "running").status == 0
