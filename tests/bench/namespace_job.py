# SPDX-License-Identifier: MIT
"""Starts jails with one namespace more or less, alone in a network of its own. Run by namespaces.py.

Takes a job as JSON in its only argument and prints the result as JSON: for each kind the times of its starts in
ns, and what COUNT jails that sleep cost in KiB, as a memory cgroup was charged.
"""

import json
import os
import select
import signal
import sys
import time
from typing import Any

from jail._native import lib
from jail.launch import Jail, launch
from jail.netmaker import Made, make_and_wait
from jail.packed import Packed
from jail.plan import make_plan
from jail.spec import JailSpec

COUNT = 20
SETTLE_S = 3.0  # for the kernel to take namespaces apart, which it tells nobody
KINDS: dict[str, dict[str, Any]] = {
    "mount, pid, ipc, uts": {},
    "network, loopback": {"netns": True},
    "cgroup": {"cgroupns": True},
    "user": {"userns": True},
    "veth pair": {"net": ["veth:eth0,addr=10.9.0.2/24"]},
    "veth pair, port rules": {"net": ["veth:eth0,addr=10.9.0.2/24"], "net_connect": ["tcp:443"]},
}


def make(name: str, argv: list[str], attributes: dict[str, Any]) -> Packed:
    spec = JailSpec(name, argv)
    for key, value in attributes.items():
        setattr(spec, key, value)
    spec.validate()
    return Packed(make_plan(spec))


def start(packed: Packed) -> tuple[Jail, Made | None]:
    made = make_and_wait(packed.name, packed.network) if packed.network else None
    jail = launch(packed, net_fd=made.fd if made else -1)
    if made:
        made.let_go()
    return jail, made


def end(started: tuple[Jail, Made | None]) -> None:
    jail, made = started
    os.waitpid(jail.pid, 0)
    if made:
        made.close()
        os.waitpid(made.pid, 0)


def times_of(job: dict[str, Any], rounds: int) -> dict[str, list[int]]:
    plans = {
        name: make(f"b{number}", job["program"], KINDS[name]) for number, name in enumerate(job["kinds"])
    }
    times: dict[str, list[int]] = {name: [] for name in plans}
    for number in range(-1, rounds):
        for name, packed in plans.items():
            began = time.monotonic_ns()
            started = start(packed)
            took = time.monotonic_ns() - began
            end(started)
            if number >= 0:
                times[name].append(took)
    return times


def charged(group: str) -> int:
    names = ("memory.current", "memory.usage_in_bytes")
    path = next(path for path in (f"{group}/{name}" for name in names) if os.path.exists(path))
    with open(path) as file:
        return int(file.read()) // 1024


def crowd_kib(job: dict[str, Any], name: str) -> float:
    """For one jail; the first one warms caches, and its makers' memory is long gone."""
    plans = [make(f"c{number}", job["sleep"], KINDS[name]) for number in range(COUNT + 1)]
    running = [start(plans[0])]
    before = charged(job["group"])
    running += [start(packed) for packed in plans[1:]]
    found = (charged(job["group"]) - before) / COUNT
    for jail, _ in running:
        os.kill(jail.service_pid, signal.SIGKILL)
    for started in running:
        end(started)
    select.select([], [], [], SETTLE_S)
    return found


def main() -> None:
    job = json.loads(sys.argv[1])
    if lib.make_network():
        raise SystemExit("no network namespace")
    if job["group"]:
        with open(f"{job['group']}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
    kib = {name: crowd_kib(job, name) if job["group"] else None for name in KINDS}
    quick = {**job, "kinds": [name for name in KINDS if "net" not in KINDS[name]]}
    slow = {**job, "kinds": [name for name in KINDS if "net" in KINDS[name]]}
    times = times_of(quick, job["rounds"]) | times_of(slow, max(3, job["rounds"] // 20))
    print(json.dumps({"kib": kib, "times": times}))


if __name__ == "__main__":
    main()
