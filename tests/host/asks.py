# SPDX-License-Identifier: MIT
"""Questions over a bus from the test's own process: the `ubus` command does the same, with a program for each."""

from pathlib import Path
from typing import Any

from processes import TIMEOUT_S

from initd.ubus.blocking import Session
from initd.ubus.wire import UbusError


def has_object(bus: str | Path, name: str) -> bool:
    """Whether the bus is there and has this object."""
    try:
        with Session(str(bus), TIMEOUT_S) as session:
            session.lookup_id(name)
    except UbusError:
        return False
    return True


def ask(bus: str | Path, name: str, method: str, /, **data: Any) -> dict[str, Any]:
    """What one call of an object's method answers; {} if nothing. Raises UbusError."""
    with Session(str(bus), TIMEOUT_S) as session:
        answers = session.call(session.lookup_id(name), method, data)
    return dict(answers[0]) if answers else {}
