# SPDX-License-Identifier: MIT
"""A service that was left complaining is named every day."""

from initd_world import World

from initd.reminder import DAY_S, Reminder

LINE = "warning still in mode complain, so that no policy holds them: s::one, s::two"


def test_services_left_in_a_lax_mode_are_named_each_day(world: World) -> None:
    Reminder(world.loop, world.host.log, [world.services])
    lax = {"command": ["/x"], "seccomp": "/p.json", "seccomp_mode": "complain"}
    world.set("s", one=lax, two=lax, three={**lax, "seccomp_mode": "enforce"}, four={"command": ["/x"]})
    world.advance(DAY_S - 1)
    assert LINE not in world.log.lines
    world.advance(1)
    assert world.log.lines.count(LINE) == 1
    world.advance(DAY_S)
    assert world.log.lines.count(LINE) == 2
    world.set("s", one={**lax, "seccomp_mode": ""})
    world.advance(DAY_S)
    assert world.log.lines.count(LINE) == 2
