# SPDX-License-Identifier: MIT
"""The commands `service` and `reload_config`."""

import json
from pathlib import Path

import pytest
from initd_shell import AVAILABLE, World


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
