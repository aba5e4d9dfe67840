# SPDX-License-Identifier: MIT
"""One launch for each fault: a call fails, and what became of the jail is said.

    python -I faults.py '{"argv": [ujail's words], "inject": PROGRAM, "faults": [FAULT, ...]}'

A fault is [PROCESS, AFTER_EXEC, INDEX, ERRNO] as inject.c takes them. Keys beside these: flags (LAUNCH_* by
name), spec (as in driver.py), old_group (its group is joined, as one that was used before), stdio (descriptors are
given), command (through `ujail`'s own main, up to its exec), enter (a program into a jail with these words, as
`jailctl exec` starts it). Prints a JSON line for each fault: what came of it. INDEX 0 is a launch without a fault;
its line has the calls.
"""

import json
import os
import re
import select
import subprocess
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import driver

import jail.launch
from jail._native import lib
from jail.cgroup import Group
from jail.console import Passage
from jail.entry import confined
from jail.errors import JailError
from jail.netmaker import open_existing
from jail.running import jail_at
from jail.ujail import main as ujail_main

LIMIT_S = 30
BROKEN = 99  # status of a supervisor that could not clean up
STATUS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
# not SigBlk: sigtimedwait(2) of PID 1 changes it while it waits
MORE = ("Seccomp_filters", "SigIgn", "Umask")


class OldGroup(Group):
    """One that is there already, with killed processes still on their way out of it."""

    __slots__ = ()

    def make(self) -> bool:
        super().make()
        return False


class Failed(Exception):
    """The jail is neither whole nor absent; str() says how."""


def launch_here(request: dict[str, Any], plan: Any) -> dict[str, Any]:
    """In a process of its own, which inject traces between the two sched_yield()s."""
    real_launch = jail.launch.launch

    def marked(*arguments: Any, **named: Any) -> Any:
        before = driver.state()
        os.sched_yield()
        try:
            return real_launch(*arguments, **named)
        except JailError:
            after = driver.state()
            if plan and plan.group and os.path.exists(plan.group.path):
                raise Failed(f"left behind: {plan.group.path}") from None
            if after != before:
                raise Failed(
                    f"left behind: {[(a, b) for a, b in zip(before, after, strict=True) if a != b]}"
                ) from None
            raise
        finally:
            if not request.get("command"):
                os.sched_yield()

    if request.get("command"):
        jail.launch.launch = marked
        return {"status": ujail_main(["ujail", *request["argv"]])}
    flags = sum(int(getattr(lib, name)) for name in request.get("flags", []))
    if request.get("old_group"):
        made = plan.group
        plan.group = OldGroup(made.root, made.name, made.files, made.is_ours, made.vrf)
    # from above 2, as a supervisor gives them
    stdio = [os.dup(fd) if request.get("stdio") else -1 for fd in range(3)]
    net_fd = open_existing(plan.network.path).fd if plan.network else -1
    console = Passage() if any(step.op == lib.STEP_CONSOLE for step in plan.steps) else None
    console_fd = console.console_fd if console else -1
    try:
        started = marked(plan, flags, stdio, net_fd=net_fd, console_fd=console_fd)
        if console:
            request["master"] = console.take()
        if started.listener_fd >= 0:
            os.close(started.listener_fd)  # nobody answers here: what is denied fails, each time alike
        return {"pid": started.pid, "service": started.service_pid}
    except JailError as error:
        return {"status": error.status, "said": str(error)}


def copy(master_fd: int) -> None:
    """Between a console and our 0 and 1, until the jail ends; the end of what comes is its end of file."""
    poll = select.poll()
    poll.register(master_fd, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            try:
                piece = os.read(fd, 4096)
            except OSError:
                return  # nobody has it open any more
            if fd == master_fd:
                os.write(1, piece.replace(b"\r\n", b"\n"))
            else:
                os.write(master_fd, piece or b"\x04")
                if not piece:
                    poll.unregister(0)


def child(request: dict[str, Any], plan: Any, go_fd: int, report_fd: int) -> None:
    status = 0
    try:
        os.read(go_fd, 1)
        report = launch_here(request, plan)
    except BaseException as error:
        report = {"broken": repr(error)}
    os.write(report_fd, json.dumps(report).encode())
    os.close(report_fd)
    if "master" in request:
        copy(request["master"])
    if "pid" in report:
        status = os.waitstatus_to_exitcode(os.waitpid(report["pid"], 0)[1])
        if plan.group and not plan.group.remove():
            status = BROKEN
    os._exit(status if status >= 0 else 128 - status)


def read_until(fd: int, mark: bytes) -> bytes:
    """All up to the mark, or to the end of file."""
    data = b""
    end = time.monotonic() + LIMIT_S
    while not mark or mark not in data:
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            raise Failed(f"nothing for {LIMIT_S} s after {data!r}")
        piece = os.read(fd, 65536)
        if not piece:
            break
        data += piece
    return data


def normal(text: str) -> list[str]:
    """Lines without what differs from run to run: numbers of pipes, mounts and devices."""
    text = re.sub(r"/proc/self/fd/\d+", "layer", text)
    text = re.sub(r"(pipe|socket):\[\d+\]", r"\1", text)
    text = re.sub(r"(?m)^0::/services/t\d$", "group", text)
    # where there is no PID namespace, or others have been in it; a jail's own service is 2
    text = re.sub(r"(?m)^(pid|ppid|sid|pgid) (?![012]$)\d+$", r"\1", text)
    text = re.sub(r"(?m)^line \d+ \d+ \d+:\d+", "line", text)
    return re.sub(r"(?m)^\d+ \d+ \d+:\d+", "", text).splitlines()


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def status_fields(pid: int) -> list[str]:
    return [line for line in read(f"/proc/{pid}/status").splitlines() if line.split(":")[0] in STATUS + MORE]


def seen_of(pid: int) -> list[str]:
    groups = [line for line in normal(read(f"/proc/{pid}/cgroup")) if line == "group" or line[:3] == "0::"]
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    seen = status_fields(pid) + normal(read(f"/proc/{pid}/mountinfo")) + normal(read(f"/proc/{pid}/limits"))
    seen.append(f"nice {os.getpriority(os.PRIO_PROCESS, pid)}")
    return seen + groups + sorted(normal("\n".join(links))) + [read(f"/proc/{pid}/comm")]


def seen_from_outside(stub: int, service: int) -> list[str]:
    if stub == service:
        return seen_of(stub)
    end = time.monotonic() + LIMIT_S
    # PID 1 puts its filter on after its exec, at the same time as the service starts
    while not any(line.split() == ["Seccomp:", "2"] for line in status_fields(stub)):
        if time.monotonic() > end:
            raise Failed("PID 1 without its filter")
        time.sleep(0.0005)
    return seen_of(stub) + seen_of(int(read(f"/proc/{stub}/task/{stub}/children")))


def one(request: dict[str, Any], plan: Any, fault: list[int]) -> dict[str, Any]:
    """Launch with a fault. Returns what was seen and the status; raises Failed."""
    go, report, out, stay = os.pipe(), os.pipe(), os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        for fd in (go[1], report[0], out[0], stay[1]):
            os.close(fd)
        os.dup2(stay[0], 0)
        os.dup2(out[1], 1)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 2)
        os.close(null)
        child(request, plan, go[0], report[1])
    for fd in (go[0], report[1], out[1], stay[0]):
        os.close(fd)
    words = [request["inject"], pid, go[1], *fault]
    tracer = subprocess.Popen(
        [str(word) for word in words], pass_fds=[go[1]], stdout=subprocess.PIPE, text=True
    )
    os.close(go[1])
    try:
        return judge(pid, json.loads(read_until(report[0], b"") or b"{}"), out[0], stay[1], tracer)
    finally:
        for fd in (report[0], out[0], stay[1]):
            os.close(fd)
        try:
            os.kill(pid, 9)  # no effect on the zombie that it should be by now
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        tracer.kill()
        tracer.wait()
        assert tracer.stdout is not None
        tracer.stdout.close()


def judge(
    pid: int, report: dict[str, Any], out_fd: int, stay_fd: int, tracer: "subprocess.Popen[str]"
) -> dict[str, Any]:
    if "broken" in report:
        raise Failed(report["broken"])
    lines = read_until(out_fd, b"ready\n").decode()
    outside: list[str] = []
    if lines.endswith("ready\n") and "status" not in report:
        try:
            # through `ujail` the process itself became the waiter, and PID 1 is its child
            stub = report.get("pid") or int(read(f"/proc/{pid}/task/{pid}/children"))
            outside = seen_from_outside(stub, report.get("service", 0))
        except (OSError, ValueError):
            outside = []  # gone already: then the status says so
    os.dup2(os.open("/dev/null", os.O_RDONLY), stay_fd)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if outside and code:
        raise Failed(f"status {code} of a jail that ran")
    if not outside and not code and not report.get("status"):
        raise Failed("ended well, but was not there")
    assert tracer.stdout is not None
    calls = tracer.stdout.read().splitlines()
    if tracer.wait(LIMIT_S):
        raise Failed(f"the tracer ended with {tracer.returncode}")
    return {"inside": normal(lines), "outside": outside, "status": report.get("status", code), "calls": calls}


def enter(plan: Any, argv: list[str]) -> tuple[int, Any]:
    """A jail that waits, its pid, and the plan of a program that enters it."""
    stay, out = os.pipe(), os.pipe()
    pid = jail.launch.launch(plan, stdio=(stay[0], out[1], -1)).pid
    os.close(out[1])
    read_until(out[0], b"ready\n")
    os.close(out[0])
    found = jail_at(pid)
    assert found
    return pid, confined(found, argv[argv.index("--") + 1 :], {})


def main(request: dict[str, Any]) -> None:
    plan = None if request.get("command") else driver.plan_for(request["argv"], request.get("spec"))
    target = None
    if request.get("enter"):
        assert plan
        target, plan = enter(plan, request["argv"])
    for fault in request["faults"]:
        try:
            found = one(request, plan, fault)
        except Failed as failure:
            found = {"failed": str(failure)}
        print(json.dumps({"fault": fault, **found}), flush=True)
    if target is not None:
        os.kill(target, 9)
        os.waitpid(target, 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
