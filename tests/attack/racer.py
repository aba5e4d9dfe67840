# SPDX-License-Identifier: MIT
"""Starts a jail again and again while somebody swaps directories on the way of its mounts for links.

    python -I racer.py '{"argv": […], "rounds": N, "flags": ["LAUNCH_…"], "places": ["/allowed", …], "never": TEXT}'

The probe in the jail shows /proc/self/mountinfo. Prints a JSON line: how many jails ran, which errors stopped the
others, the mount points that a start before all that had not and that are not allowed besides, and how often TEXT was
to be read.
"""

import errno
import json
import os
import sys
from collections import Counter
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "host"))
import driver

from jail._native import lib
from jail.errors import SetupError
from jail.launch import launch
from jail.packed import Packed


def one(packed: Packed, flags: int, null_fd: int) -> str:
    """What the service of one start says. Raises SetupError."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    try:
        jail = launch(packed, flags, (null_fd, write_fd, null_fd))
    except BaseException:
        os.close(read_fd)
        raise
    finally:
        os.close(write_fd)
    with os.fdopen(read_fd) as file:
        said = file.read()
    os.waitpid(jail.pid, 0)
    return said


def points(said: str) -> set[str]:
    return {line.split()[5] for line in said.splitlines() if line.startswith("line ") and " - " in line}


def main(request: dict[str, Any]) -> None:
    packed = Packed(driver.plan_for(request["argv"]))
    flags = sum(int(getattr(lib, name)) for name in request.get("flags", []))
    null_fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    places = points(one(packed, flags, null_fd)) | set(request["places"])  # nobody is at work yet
    print("ready", flush=True)
    errors: Counter[str] = Counter()
    strays: set[str] = set()
    ran = leaks = 0
    for _ in range(request["rounds"]):
        try:
            said = one(packed, flags, null_fd)
        except SetupError as error:
            cause = error.__cause__
            errors[errno.errorcode[cause.errno or 0] if isinstance(cause, OSError) else "?"] += 1
            continue
        ran += 1
        leaks += request["never"] in said
        strays |= points(said) - places
    print(json.dumps({"ran": ran, "errors": errors, "strays": sorted(strays), "leaks": leaks}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
