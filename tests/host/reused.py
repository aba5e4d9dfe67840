# SPDX-License-Identifier: MIT
"""A trace whose launch fails, and then other processes with all the pids that the launch had.

    unshare --pid --fork --mount-proc python -I reused.py

Prints the step that failed, and how many of them there were and how many the end of the trace has ended.
"""

import os
from pathlib import Path

from jail.errors import SetupError
from jail.launch import OWN_STDIO
from jail.packed import Packed
from jail.plan import make_plan
from jail.trace import Trace
from jail.ujail import make_spec, parse_options

LAST = Path("/proc/sys/kernel/ns_last_pid")


def begin(number: int, stay: int, end: int) -> int:
    """A process with that pid, until nobody has `end` open any more."""
    LAST.write_text(str(number - 1))
    pid = os.fork()
    if not pid:
        os.close(end)
        os.read(stay, 1)
        os._exit(0)
    assert pid == number
    return pid


def main() -> None:
    spec = make_spec(parse_options(["-n", "j", "-m", "trace", "--", "/bin/true"]))
    spec.limits = {"nofile": "2000000000"}  # which the service's process cannot set, and by then it is traced
    spec.validate()
    packed, trace, before = Packed(make_plan(spec)), Trace([]), int(LAST.read_text())
    try:
        trace.launch(packed, OWN_STDIO)
    except SetupError as error:
        print(error)
    used = range(before + 1, int(LAST.read_text()) + 1)
    stay, end = os.pipe()
    others = [begin(number, stay, end) for number in used]
    trace.close()
    os.close(end)
    ended = [pid for pid in others if os.WIFSIGNALED(os.waitpid(pid, 0)[1])]
    print(len(others), len(ended))


if __name__ == "__main__":
    main()
