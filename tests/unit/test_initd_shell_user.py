# SPDX-License-Identifier: MIT
"""An init script that an ordinary user runs: that this is the matter is said, not only what the bus answers."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from initd_shell import FILES, SHELLS, WITH_STUBS, World

NOBODY = 65534
SCRIPT = "USE_PROCD=1\nstart_service() { procd_open_instance; procd_close_instance; }\n"
ROOTS_OWN = ("etc/rc.common", "lib", "usr", "sbin")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "root")
    (made.root / "etc/init.d/svc").write_text(SCRIPT)
    return made


def user(world: World, uid: int) -> None:
    stub = world.root / "bin/id"
    stub.write_text(f"#!/bin/sh\necho {uid}\n")
    stub.chmod(0o755)


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("action", ["status", "info", "start", "stop"])
def test_who_is_not_root_is_told_so_when_the_bus_has_no_answer(world: World, action: str, uid: int) -> None:
    user(world, uid)
    # a busybox may have an `id` of its own, which it prefers to ours
    is_told = world.run(WITH_STUBS, "-c", "id -u").out != "0\n"
    world.environment["UBUS_STATUS"] = "4"
    ran = world.call(WITH_STUBS, "svc", action)
    assert ran.status == 4
    said = [
        line
        for line in ran.err.splitlines()
        if line.startswith("svc: must be run as root, or by who is granted it")
    ]
    assert len(said) == is_told
    for status in ("0", "255"):
        world.environment["UBUS_STATUS"] = status
        assert "must be" not in world.call(WITH_STUBS, "svc", action).err


def test_who_may_not_take_the_lock_is_told_so(world: World, tmp_path: Path) -> None:
    """Run by an ordinary user, from a copy that everybody can read."""
    for name in ROOTS_OWN:
        (world.root / name).unlink()
        copy = shutil.copytree if (FILES / name).is_dir() else shutil.copy
        copy(FILES / name, world.root / name)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    (world.root / "var/run").mkdir(parents=True)
    (world.root / "var/run").chmod(0o555)
    words = [*SHELLS[WITH_STUBS], "etc/rc.common", "etc/init.d/svc", "start"]
    is_root = os.geteuid() == 0
    who: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root else {}
    ran = subprocess.run(words, capture_output=True, text=True, env=world.environment, cwd=world.root, **who)
    assert (ran.returncode, ran.stderr) == (1, "svc: must be run as root\n")
    assert not (world.root / "tmp/calls").exists()
    (world.root / "var/run").chmod(0o755)
    assert world.call(WITH_STUBS, "svc", "start").status == 0
