# SPDX-License-Identifier: MIT
"""A resident process that starts jails by library call, as initd does. Run by start.py and rounds.py, alone.

Takes a job as JSON in its only argument and prints the result as JSON. Imports little besides the library:
what it measures is a small process of its own.
"""

import gc
import json
import os
import sys
import time
from typing import Any

from jail.launch import launch
from jail.plan import make_plan
from jail.spec import JailSpec, Share

now_ns = time.monotonic_ns  # the clock that stamp.c and floor.c read


def make_spec(job: dict[str, Any], policy: bool) -> JailSpec:
    spec = JailSpec("bench", job["argv"])
    spec.shares = [Share(path, required=True) for path in job["staged"]]
    if policy:
        spec.seccomp = job["policy"]
        spec.shares.append(Share(spec.seccomp, required=True))
    return spec


def wait(pid: int) -> None:
    status = os.waitpid(pid, 0)[1]
    if status:
        raise SystemExit(f"status {os.waitstatus_to_exitcode(status)}")


def read_stamps(fd: int) -> list[int]:
    data = os.read(fd, 64)
    return [int.from_bytes(data[at : at + 8], sys.byteorder) for at in range(0, len(data), 8)]


def by_library(spec: JailSpec, stamps_fd: int) -> dict[str, int]:
    start = now_ns()
    plan = make_plan(spec)
    planned = now_ns()
    jail = launch(plan)
    launched = now_ns()
    wait(jail.pid)
    end = now_ns()
    main = read_stamps(stamps_fd)[-1]
    phases = {"plan": planned - start, "launch": launched - planned}
    return {"main": main - start, "exit": end - start, **phases}


def by_floor(argv: list[str], stamps_fd: int) -> dict[str, int]:
    start = now_ns()
    wait(os.posix_spawn(argv[0], argv, {}))
    end = now_ns()
    own_start, main = read_stamps(stamps_fd)
    return {"main": main - start, "exit": end - start, "main_from_own_start": main - own_start}


def run_starts(job: dict[str, Any], stamps_fd: int) -> dict[str, list[dict[str, int]]]:
    plain, held = make_spec(job, False), make_spec(job, True)
    contenders = {
        "floor": lambda: by_floor(job["floor"], stamps_fd),
        "library": lambda: by_library(plain, stamps_fd),
        "floor, filter": lambda: by_floor(job["floor_filter"], stamps_fd),
        "library, policy": lambda: by_library(held, stamps_fd),
    }
    names = list(contenders)
    samples: dict[str, list[dict[str, int]]] = {name: [] for name in names}
    for number in range(-3, job["rounds"]):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            sample = contenders[name]()
            if number >= 0:
                samples[name].append(sample)
    return samples


def run_blocks(job: dict[str, Any], stamps_fd: int) -> dict[str, list[float]]:
    """Jails per second, one after the other, in alternating blocks."""
    spec = make_spec(job, True)
    rates: dict[str, list[float]] = {"floor": [], "library": []}
    for number in range(job["blocks"]):
        for name in ("floor", "library") if number % 2 else ("library", "floor"):
            for _ in range(job["per_block"]):
                start = now_ns()
                if name == "floor":
                    wait(os.posix_spawn(job["floor_filter"][0], job["floor_filter"], {}))
                else:
                    wait(launch(make_plan(spec)).pid)
                rates[name].append(1e9 / (now_ns() - start))
                os.read(stamps_fd, 64)
    return rates


def run_cold(job: dict[str, Any], stamps_fd: int) -> int:
    start = now_ns()
    make_plan(make_spec(job, True))
    return now_ns() - start


def run_profile(job: dict[str, Any], stamps_fd: int) -> list[str]:
    """Where the time of a start goes: the functions with the most time of their own."""
    import cProfile
    import pstats

    spec = make_spec(job, True)
    profile = cProfile.Profile()
    for _ in range(100):
        profile.enable()
        jail = launch(make_plan(spec))
        profile.disable()
        wait(jail.pid)
        os.read(stamps_fd, 64)
    stats: Any = pstats.Stats(profile)
    rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])[:10]
    return [
        f"{own * 1e4:6.1f} us, {calls / 100:4.0f} calls a start: {os.path.basename(place[0])} {place[2]}"
        for place, (calls, _, own, _, _) in rows
    ]


def footprint() -> dict[str, int]:
    """What a leak would show in: descriptors, mounts, processes, and this process's own memory in KiB."""
    with open("/proc/self/smaps_rollup") as file:
        pss = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    with open("/proc/self/mountinfo") as file:
        mounts = sum(1 for _ in file)
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        children = len(file.read().split())
    return {"fds": len(os.listdir("/proc/self/fd")), "mounts": mounts, "children": children, "pss_kib": pss}


def run_rounds(job: dict[str, Any], stamps_fd: int) -> dict[str, Any]:
    spec = make_spec(job, True)
    times: list[int] = []
    prints = []
    for _ in range(job["rounds"]):
        taken = []
        for _ in range(job["jails"]):
            start = now_ns()
            wait(launch(make_plan(spec)).pid)
            taken.append(now_ns() - start)
            os.read(stamps_fd, 64)
        times.append(sorted(taken)[len(taken) // 2])
        prints.append(footprint())
    return {"times": times, "prints": prints}


JOBS = {
    "starts": run_starts,
    "blocks": run_blocks,
    "cold": run_cold,
    "profile": run_profile,
    "rounds": run_rounds,
}


def main() -> None:
    job = json.loads(sys.argv[1])
    out = os.dup(1)
    stamps_fd, write_fd = os.pipe()
    os.dup2(write_fd, 1)
    os.close(write_fd)
    gc.disable()
    result = JOBS[job["kind"]](job, stamps_fd)
    os.write(out, json.dumps(result).encode())


if __name__ == "__main__":
    main()
