# SPDX-License-Identifier: MIT
"""Who is at the other end of the broker's socket is what the kernel says: a user without a grant gets nothing."""

import grp
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from initd.loop import Loop
from initd.ubus import command, wire
from initd.ubus.bus import Bus
from initd.ubus.object import Call, Method, Object

GRANT = '{"user": "nobody", "access": {"thing": {"methods": ["whoami"]}}}'
NOBODY = 65534


def whoami(call: Call) -> dict[str, str]:
    return {"user": call.request.attributes()[wire.A_USER].decode()}


def ubus(
    loop: Loop, path: str, uid: int, *args: str, gid: int | None = None, groups: tuple[int, ...] = ()
) -> tuple[int, str]:
    """Run the command as that user in a process of its own, while the loop here serves it."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.dup2(writes, 1)
            os.dup2(writes, 2)
            os.setgroups(groups)
            os.setresgid(*[uid if gid is None else gid] * 3)
            os.setresuid(uid, uid, uid)
            os.closerange(3, 256)
            sys.stdout = open(1, "w", closefd=False)  # pytest has put its own in its place
            status = command.main(["ubus", "-S", "-s", path, *args])
        finally:
            os._exit(status & 0xFF)
    os.close(writes)
    ended = 0
    while not ended:
        loop.step(0.02)
        ended, status = os.waitpid(pid, os.WNOHANG)
    with open(reads) as file:
        return os.waitstatus_to_exitcode(status), file.read()


@contextmanager
def serving(folder: Path, acl: str) -> Iterator[tuple[Loop, str]]:
    """A broker with an object that says who calls it, and with this ACL file."""
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)
    (folder / "acl.json").write_text(acl)
    (folder / "acl.json").chmod(0o644)
    loop, socket = Loop(), str(folder / "ubus.sock")
    bus = Bus(loop, pytest.fail, socket, str(folder))
    bus.add(Object("thing", {"whoami": Method(whoami), "other": Method(whoami)}))
    bus.start()
    try:
        yield loop, socket
    finally:
        bus.close()
        loop.close()


@pytest.mark.parametrize("is_granted", [False, True])
def test_the_kernel_says_who_asks(tmp_path: Path, is_granted: bool) -> None:
    with serving(tmp_path, GRANT if is_granted else "{}") as (loop, path):
        assert ubus(loop, path, 0, "call", "thing", "other") == (0, '{"user":"root"}\n')
        granted = (0, '{"user":"nobody"}\n') if is_granted else (4, "")
        assert ubus(loop, path, NOBODY, "call", "thing", "whoami") == granted
        assert ubus(loop, path, NOBODY, "call", "thing", "other") == (6 if is_granted else 4, "")
        assert ubus(loop, path, NOBODY, "list") == ((0, "thing\n") if is_granted else (0, ""))
        assert ubus(loop, path, NOBODY, "send", "x") == (6, "")
        assert ubus(loop, path, NOBODY, "monitor") == (6, "")
        assert ubus(loop, path, NOBODY, "wait_for", "thing") == (6, "")


def test_a_group_grants_to_its_members_by_whatever_way_they_are_in_it(tmp_path: Path) -> None:
    group = grp.getgrgid(1)
    with serving(tmp_path, GRANT.replace('"user": "nobody"', f'"group": "{group.gr_name}"')) as (loop, path):
        call = ("call", "thing", "whoami")
        granted = (0, '{"user":"nobody"}\n')
        assert ubus(loop, path, NOBODY, *call) == (4, "")
        assert ubus(loop, path, NOBODY, *call, groups=(2, 3)) == (4, "")
        assert ubus(loop, path, NOBODY, *call, gid=group.gr_gid) == granted
        assert ubus(loop, path, NOBODY, *call, groups=(2, group.gr_gid, 3)) == granted


def test_more_groups_than_can_be_asked_for_grant_nothing_more(tmp_path: Path) -> None:
    many = tuple(range(1, 300))
    with serving(tmp_path, GRANT) as (loop, path):
        assert ubus(loop, path, NOBODY, "call", "thing", "whoami", groups=many)[0] == 0
        assert ubus(loop, path, 1000, "call", "thing", "whoami", groups=many) == (4, "")
