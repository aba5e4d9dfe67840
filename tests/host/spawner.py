# SPDX-License-Identifier: MIT
"""Starts instances as initd does, and says what came of each.

    python -I spawner.py '{"tables": [the table of an instance, ...]}'

Keys: tables; hold (start all, say "ready", wait for the end of 0, then end them); told (with hold: only once each
has said "ready", and the last one ends first); keep_groups (cgroups are left
to the next start until the end); replace ([path, new]: rename new to path between the first start and the
next). Prints one JSON line: an entry for each start.
"""

import os
import signal
import sys
import time

import initd.jailspec
from initd.definition import Definition
from initd.spawn import Plans, Started, spawn
from jail.errors import JailError
from jail.slimjson import dumps, loads

TYPE_CHECKING = False  # as in driver.py
if TYPE_CHECKING:
    from typing import Any

# where kernels write no records, a filter asks initd's loop, which is not here: nobody would answer
vars(initd.jailspec)["needs_supervisor"] = lambda: False


def read_all(fd: int) -> str:
    if fd < 0:
        return ""
    os.set_blocking(fd, True)
    with os.fdopen(fd) as file:
        return file.read()


def read_ready(fd: int) -> str:
    """Up to and with the probe's "ready"."""
    os.set_blocking(fd, True)
    said = b""
    while not said.endswith(b"ready\n"):
        byte = os.read(fd, 1)
        if not byte:
            break
        said += byte
    return said.decode()


def finish(started: Started) -> "dict[str, Any]":
    blocking = [os.get_blocking(fd) for fd in (started.stdout_fd, started.stderr_fd) if fd >= 0]
    out, err = read_all(started.stdout_fd), read_all(started.stderr_fd)
    status = os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1])
    return {
        "out": out,
        "err": err,
        "status": status,
        "pid": started.pid,
        "service_pid": started.service_pid,
        "has_stub": started.pid != started.service_pid,
        "warnings": started.warnings,
        "trace_file": started.trace.path if started.trace else "",
        "blocking": any(blocking),
    }


def end(definition: Definition, plans: Plans) -> bool:
    """As initd does it: again until what was killed is gone. Bounded, for a test's sake."""
    deadline = time.monotonic() + 10
    while not plans.end(definition):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def state() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def main(request: "dict[str, Any]") -> None:
    plans = Plans()
    before = state()
    report = []
    running = []
    definitions = []
    for number, table in enumerate(request["tables"]):
        definition = Definition.read("svc", table.pop("instance", "one"), table)
        assert not definition.faults, definition.faults
        definitions.append(definition)
        try:
            started = spawn(definition, plans)
        except (JailError, OSError) as error:
            report.append({"failed": str(error), "unchanged": state() == before})
            continue
        if request.get("hold"):
            running.append(started)
        else:
            report.append({**finish(started), "unchanged": state() == before})
            if not request.get("keep_groups"):
                report[-1]["ended"] = end(definition, plans)
        if "replace" in request and number == 0:
            path, new = request["replace"]
            os.rename(new, path)
    if running:
        heads = [read_ready(started.stdout_fd) if request.get("told") else "" for started in running]
        print("ready", flush=True)
        os.read(0, 1)
        if request.get("told"):
            running.reverse()
            heads.reverse()
        ended = []
        for started, head in zip(running, heads, strict=True):
            os.kill(started.pid, signal.SIGTERM)
            if request.get("told"):
                ended.append({**finish(started), "head": head})
        if not request.get("told"):
            ended = [finish(started) for started in running]
        report += ended[::-1] if request.get("told") else ended
    for entry, definition in zip(report, definitions, strict=True):
        entry.setdefault("ended", end(definition, plans))
    print(dumps(report))


if __name__ == "__main__":
    main(loads(sys.argv[1].encode()))
