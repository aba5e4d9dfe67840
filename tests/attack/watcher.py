# SPDX-License-Identifier: MIT
"""Somebody outside with the uid of a service, who tries to get hold of its process while its jail is made.

    python -I watcher.py UID

Until the end of 0 it looks for processes of that uid which still run the launcher's program, and opens their memory,
which needs the same right as ptrace. Prints how many it tried and how many let it in.
"""

import os
import select
import sys


def is_launcher(pid: str, uid: int) -> bool:
    """By what everybody may read: the uid, and a name that is still the launcher's."""
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    return int(status["Uid"].split()[0]) == uid and status["Name"].strip() == "launcher"


def main(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    print("ready", flush=True)
    tried = opened = 0
    while not select.select([0], [], [], 0)[0]:
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or int(pid) == os.getpid():
                continue
            try:
                if not is_launcher(pid, uid):
                    continue
                tried += 1
                if tried == 1:
                    print("seen", flush=True)
                os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
                # by now it may have executed the service, which its uid may open
                opened += is_launcher(pid, uid)
            except OSError:
                continue
    print(f"tried {tried}\nopened {opened}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
