# SPDX-License-Identifier: MIT
"""Starts jails by library call, as a supervisor does, and says what it saw.

    python -I driver.py '{"argv": [ujail's words]}'

Keys: argv; flags (LAUNCH_* by name); times; each (one launch for each, with it as the last word);
replace ([path, new]: rename new to path between plan and launch); spec (attributes of the JailSpec by name);
stdio (three paths that are opened for the service's 0, 1 and 2; "" leaves it this process's own).
A jail with a console (-y) says on our stdout what it says there; no_console: it finds nobody to give it to.
The last line on stderr is the report, JSON: one entry a launch, and whether this process is as it was before.
"""

import os
import sys

from jail._native import lib
from jail.console import Passage
from jail.errors import JailError, SetupError
from jail.launch import OWN_STDIO, launch
from jail.plan import Plan, make_plan
from jail.slimjson import dumps, loads
from jail.ujail import make_spec, parse_options

TYPE_CHECKING = False  # json, typing and contextlib take longer to start than a jail
if TYPE_CHECKING:
    from typing import Any


def plan_for(argv: list[str], attributes: "dict[str, Any] | None" = None) -> Plan:
    spec = make_spec(parse_options(argv))
    for name, value in (attributes or {}).items():
        setattr(spec, name, value)
    spec.validate()
    return make_plan(spec)


def state() -> tuple[list[str], list[str], str]:
    """What must not change: descriptors, mounts, children."""
    with open("/proc/self/mountinfo") as file:
        mounts = file.readlines()
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        children = file.read()
    return sorted(os.listdir("/proc/self/fd")), mounts, children


def open_stdio(paths: list[str]) -> tuple[int, int, int]:
    in_, out, err = (os.open(path, os.O_RDWR | os.O_APPEND) if path else -1 for path in paths)
    return in_, out, err


def copy(master_fd: int) -> None:
    """All that is said on a console, until the jail has ended."""
    try:
        while piece := os.read(master_fd, 4096):
            os.write(1, piece.replace(b"\r\n", b"\n"))
    except OSError:
        pass  # which is how it ends
    os.close(master_fd)


def start(
    plan: Plan, flags: int, stdio: tuple[int, int, int] = OWN_STDIO, has_console: bool = True
) -> "dict[str, Any]":
    console = Passage() if has_console and any(step.op == lib.STEP_CONSOLE for step in plan.steps) else None
    try:
        jail = launch(plan, flags, stdio, console_fd=console.console_fd if console else -1)
        if console:
            copy(console.take())
    except JailError as error:
        step = error.step if isinstance(error, SetupError) else ""
        number = error.__cause__.errno if isinstance(error.__cause__, OSError) else 0
        return {"failed": step, "errno": number, "status": error.status}
    finally:
        if console:
            console.close()
    return {"status": os.waitstatus_to_exitcode(os.waitpid(jail.pid, 0)[1]), "service_pid": jail.service_pid}


def main(request: "dict[str, Any]") -> None:
    flags = sum(int(getattr(lib, name)) for name in request.get("flags", []))
    plan = plan_for(request["argv"], request.get("spec"))
    stdio = open_stdio(request["stdio"]) if "stdio" in request else OWN_STDIO
    if "replace" in request:
        path, new = request["replace"]
        os.rename(new, path)
    before = state()
    if "each" in request:
        launches = [start(plan_for([*request["argv"], word]), flags) for word in request["each"]]
    else:
        has_console = "no_console" not in request
        launches = [start(plan, flags, stdio, has_console) for _ in range(request.get("times", 1))]
    report = {
        "launches": launches,
        "unchanged": state() == before,
        "steps": [step.describe() for step in plan.steps],
    }
    os.write(2, dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main(loads(sys.argv[1].encode()))
