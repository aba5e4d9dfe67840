# SPDX-License-Identifier: MIT
"""Who is at the other end of the broker's socket is what the kernel says: a user without a grant gets nothing."""

import os
import sys
from pathlib import Path

import pytest

from initd.loop import Loop
from initd.ubus import command
from initd.ubus.bus import Bus
from initd.ubus.object import Call, Method, Object

GRANT = '{"user": "nobody", "access": {"thing": {"methods": ["whoami"]}}}'
NOBODY = 65534


def whoami(call: Call) -> dict[str, str]:
    return {"user": call.user}


def ubus(loop: Loop, path: str, uid: int, *args: str) -> tuple[int, str]:
    """Run the command as that user in a process of its own, while the loop here serves it."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.dup2(writes, 1)
            os.dup2(writes, 2)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
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


@pytest.mark.parametrize("is_granted", [False, True])
def test_the_kernel_says_who_asks(tmp_path: Path, is_granted: bool) -> None:
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    tmp_path.parent.parent.chmod(0o755)
    acl = tmp_path / "acl.json"
    acl.write_text(GRANT if is_granted else "{}")
    acl.chmod(0o644)
    loop, path = Loop(), str(tmp_path / "ubus.sock")
    bus = Bus(loop, pytest.fail, path, str(tmp_path))
    methods = {"whoami": Method(whoami), "other": Method(whoami)}
    bus.add(Object("thing", methods))
    bus.start()
    try:
        assert ubus(loop, path, 0, "call", "thing", "other") == (0, '{"user":"root"}\n')
        granted = (0, '{"user":"nobody"}\n') if is_granted else (4, "")
        assert ubus(loop, path, NOBODY, "call", "thing", "whoami") == granted
        assert ubus(loop, path, NOBODY, "call", "thing", "other") == (6 if is_granted else 4, "")
        assert ubus(loop, path, NOBODY, "list") == ((0, "thing\n") if is_granted else (0, ""))
        assert ubus(loop, path, NOBODY, "send", "x") == (6, "")
        assert ubus(loop, path, NOBODY, "monitor") == (6, "")
        assert ubus(loop, path, NOBODY, "wait_for", "thing") == (6, "")
    finally:
        bus.close()
        loop.close()
