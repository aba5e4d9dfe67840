# SPDX-License-Identifier: MIT
"""A supervisor that starts jails until it is killed: the victim of test_leaks.py.

    python -I leaks.py '{"argv": [ujail's words], "delay_us": N}'

It says "go" and then starts one jail after the other. After N µs, from a timer of the kernel, it is killed,
wherever it is by then. The delay is not a wait for anything: it picks the point.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import driver

from jail.launch import launch
from jail.slimjson import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(request: "dict[str, Any]") -> None:
    plan = driver.plan_for(request["argv"])
    os.write(2, b"go\n")
    # a child does the killing: KILL, unlike a timer's signal, is held back by no mask
    supervisor = os.getpid()
    if not os.fork():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, request["delay_us"] / 1e6)
        signal.sigwait({signal.SIGALRM})
        os.kill(supervisor, signal.SIGKILL)
        os._exit(0)
    while True:
        jail = launch(plan)
        os.kill(jail.pid, signal.SIGTERM)
        os.waitpid(jail.pid, 0)


if __name__ == "__main__":
    main(loads(sys.argv[1].encode()))
