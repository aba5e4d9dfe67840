# SPDX-License-Identifier: MIT
"""Somebody outside with the uid of a service, who tries to get hold of its process while its jail is made.

    python -I watcher.py UID

Until the end of 0 it looks, newest first, for processes of that uid which came after it and still run the
launcher's program, and opens their memory, which needs the same right as ptrace. Prints how many it tried and
how many times it had the launcher's memory: what it opens may have executed the service meanwhile, which its
uid may open. The launcher's name is L and the address, in hexadecimal, where MARK is in its memory alone.
"""

import os
import re
import select
import sys

MARK = b"the memory of a launcher"
STATUS = re.compile(rb"Name:\tL([0-9a-f]+)\n(?:.*\n)*?Uid:\t(\d+)")


def launcher_address(pid: str, uid: int) -> int:
    """By what everybody may read: the uid, and a name that is still the launcher's; else 0."""
    with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
        found = STATUS.match(file.read())
    return int(found[1], 16) if found and int(found[2]) == uid else 0


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
    # as quick as can be: what it looks for is there for less than the time that it may run at a stretch
    before = {*os.listdir("/proc"), str(os.getpid())}
    print("ready", flush=True)
    tried = opened = 0
    while not select.select([0], [], [], 0)[0]:
        for pid in reversed(os.listdir("/proc")):
            if pid in before:
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
