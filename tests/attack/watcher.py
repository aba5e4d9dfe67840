# SPDX-License-Identifier: MIT
"""Somebody outside with the uid of a service, who tries to get hold of its process while its jail is made.

    python -I watcher.py UID

Until the end of 0 it looks for processes of that uid which still run the launcher's program, and opens their memory,
which needs the same right as ptrace. Prints how many it tried and how many times it had the launcher's memory: what it
opens may have executed the service meanwhile, which its uid may open. The launcher's name is L and the address, in
hexadecimal, where MARK is in its memory alone.
"""

import os
import re
import select
import sys

MARK = b"the memory of a launcher"


def launcher_address(pid: str, uid: int) -> int:
    """By what everybody may read: the uid, and a name that is still the launcher's; else 0."""
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    name = status["Name"].strip()
    if int(status["Uid"].split()[0]) != uid or not re.fullmatch("L[0-9a-f]+", name):
        return 0
    return int(name[1:], 16)


def has_mark(pid: str, address: int) -> bool:
    """Whether it could be opened, and was the launcher's then: an opened memory stays the one that it was."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        try:
            return os.pread(memory.fileno(), len(MARK), address) == MARK
        except OSError:
            return False  # nothing is there, in the service's


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
                address = launcher_address(pid, uid)
                if not address:
                    continue
                tried += 1
                if tried == 1:
                    print("seen", flush=True)
                opened += has_mark(pid, address)
            except OSError:
                continue
    print(f"tried {tried}\nopened {opened}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
