# SPDX-License-Identifier: MIT
"""Start many jails that sleep, add up what they hold, end them. Run by memory.py, in a process of its own.

Takes a job as JSON in its only argument and prints the result as JSON: PSS in KiB by program name, and what
the memory cgroup in which it runs, if any, was charged. The services themselves are counted apart.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

SERVICE = "sleep"
DEADLINE_S = 20


def descendants() -> dict[int, str]:
    """pid → name of every process below this one."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                text = file.read()
        except OSError:
            continue  # gone since
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        parents[int(entry)] = (int(rest[1]), name)
    found: dict[int, str] = {}
    todo = [os.getpid()]
    while todo:
        parent = todo.pop()
        for pid, (above, name) in parents.items():
            if above == parent:
                found[pid] = name
                todo.append(pid)
    return found


def pss_kib(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def charged_kib(group: str) -> int | None:
    if not group:
        return None
    for name in ("memory.current", "memory.usage_in_bytes"):
        if os.path.exists(f"{group}/{name}"):
            with open(f"{group}/{name}") as file:
                return int(file.read()) // 1024
    return None


def start_all(job: dict[str, Any]) -> list[int]:
    if job["library"]:
        from jail.launch import launch
        from jail.plan import make_plan
        from jail.spec import JailSpec, Share

        pids = []
        for number in range(job["count"]):
            spec = JailSpec(f"bench-{number}", job["argv"])
            if job["policy"]:
                spec.seccomp = job["policy"]
                spec.shares.append(Share(spec.seccomp, required=True))
            pids.append(launch(make_plan(spec)).pid)
        return pids
    silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    opens = [(os.POSIX_SPAWN_OPEN, int(fd), path, os.O_RDONLY, 0) for fd, path in job["opens"].items()]
    lines = [[word.replace("@N@", str(number)) for word in job["argv"]] for number in range(job["count"])]
    return [os.posix_spawn(line[0], line, os.environ, file_actions=silent + opens) for line in lines]


def wait_for_services(count: int) -> dict[int, str]:
    """Wait until that many services run and nothing comes or goes any more."""
    before: dict[int, str] = {}
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        now = descendants()
        if list(now.values()).count(SERVICE) == count and now == before:
            return now
        before = now
        time.sleep(0.3)
    return before


def end_all(pids: list[int]) -> None:
    for pid, name in descendants().items():
        if name == SERVICE:
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def main() -> None:
    job = json.loads(sys.argv[1])
    if job["group"]:
        with open(f"{job['group']}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
    if job["library"]:
        # what the process is anyway: its imports and one jail's worth of caches
        end_all(start_all({**job, "count": 1}))
    own_before, charged_before = pss_kib(os.getpid()), charged_kib(job["group"])
    pids = start_all(job)
    found = wait_for_services(job["count"])
    charged = charged_kib(job["group"])
    total: Counter[str] = Counter()
    for pid, name in found.items():
        with suppress(ProcessLookupError):  # a service that did not last, which `running` will show
            total[name] += pss_kib(pid)
    own = pss_kib(os.getpid()) - own_before
    services = total.pop(SERVICE, 0)
    end_all(pids)
    result = {
        "running": list(found.values()).count(SERVICE),
        "pss": sum(total.values()) + (own if job["library"] else 0),
        "by_name": dict(total) | ({"the starting process": own} if job["library"] else {}),
        "services": services,
        "charged": None if charged is None or charged_before is None else charged - charged_before,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
