# SPDX-License-Identifier: MIT
"""What an audit says of a process, by what the kernel says of it."""

from jail.audit_command import lacking
from jail.capabilities import last_capability

ALL = f"{(2 << last_capability()) - 1:016x}"
HELD = {"Seccomp": "2", "CapEff": "0" * 16, "Uid": "99\t99\t99\t99", "NoNewPrivs": "1"}


def test_what_is_held_lacks_nothing() -> None:
    assert lacking(HELD, [], "enforce") == lacking(HELD, [], "") == []


def test_each_thing_that_is_missing_is_named() -> None:
    assert lacking(HELD, [], "complain") == ["its policy is in mode complain: nothing is denied"]
    assert lacking({**HELD, "Seccomp": "0"}, [], "") == ["no filter: every system call is allowed"]
    assert lacking(HELD, ["mnt", "pid"], "") == ["no namespaces of its own: mnt, pid"]
    assert lacking({**HELD, "CapEff": ALL, "Uid": "0\t0\t0\t0"}, [], "") == ["all capabilities"]
    assert lacking({**HELD, "Uid": "0\t0\t0\t0"}, [], "") == ["root"]
    assert lacking({**HELD, "NoNewPrivs": "0"}, [], "") == ["programs that it executes may gain privileges"]
    assert len(lacking({"CapEff": ALL}, ["mnt"], "trace")) == 5
