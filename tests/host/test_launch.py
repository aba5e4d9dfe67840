# SPDX-License-Identifier: MIT
"""A launch by library call: its signals, its descriptors, limits, and services from which nothing is taken."""

import json
import os
import platform
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jails import Host
    from result import Result

# the kinds of start: a full jail, procd's wrapper with and without a stub, a plain service
WRAPPER = {"isolate": False}
DIRECT = {"isolate": False, "stub": False}
PLAIN = {**DIRECT, "plain": True, "no_new_privs": False}
KINDS: dict[str, dict[str, Any]] = {"jail": {}, "wrapper": WRAPPER, "direct": DIRECT, "plain": PLAIN}
every_kind = pytest.mark.parametrize("kind", KINDS)


def launch(host: "Host", kind: str, *verbs: object, **request: Any) -> "Result":
    spec = {**KINDS[kind], **request.pop("spec", {})}
    options = [str(option) for option in request.pop("options", ())]
    argv = ["-n", "t", *options, "--", str(host.probes[request.pop("program", "glibc")]), *map(str, verbs)]
    prefix = request.pop("prefix", ())
    seen = host.driver({"argv": argv, "spec": spec, **request}, prefix=prefix)
    assert seen.status == 0, seen
    report = json.loads(seen.err.splitlines()[-1])
    assert report["unchanged"]
    [only] = report["launches"]
    seen.status = only["status"]
    seen.err = only.get("failed", "")
    return seen


@every_kind
def test_signals_that_the_caller_ignores_are_not_ignored_in_the_service(host: "Host", kind: str) -> None:
    """Python ignores PIPE and XFSZ, and handles INT."""
    seen = launch(host, kind, "signals")
    assert (seen.status, seen.out) == (0, "")


# posix_spawn(3) of glibc, with which make starts everything, leaves a signal of its own ignored in the child
SPAWN = "import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); os.waitpid(pid, 0)"
SPAWNED = (sys.executable, "-I", "-c", SPAWN)


@every_kind
def test_signals_of_the_c_library_are_not_ignored_in_the_service(host: "Host", kind: str) -> None:
    outside = host.run(*SPAWNED, host.probes["glibc"], "cat", "/proc/self/status")
    inside = launch(host, kind, "cat", "/proc/self/status", options=["-p"], prefix=SPAWNED)
    if platform.libc_ver()[0] == "glibc":
        assert ignored(outside) & 3 << 31  # 32 and 33
    assert ignored(inside) == 0


def ignored(seen: "Result") -> int:
    [mask] = re.findall(r"^line SigIgn:\s*(\w+)$", seen.out, re.M)
    return int(mask, 16)


@every_kind
def test_descriptors_that_are_given_become_stdio(host: "Host", tmp_path: Path, kind: str) -> None:
    files = [tmp_path / name for name in ("in", "out", "err")]
    for file in files:
        file.touch()
    seen = launch(host, kind, "fds", stdio=[str(file) for file in files], options=["-p"])
    assert (seen.status, seen.out) == (0, "")
    lines = files[1].read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [["fd", str(number)] for number in range(3)]
    if kind != "jail":  # there the paths lead nowhere
        assert lines == [f"fd {number} {file}" for number, file in enumerate(files)]


def test_descriptors_can_be_those_of_stdio_in_another_order(host: "Host", tmp_path: Path) -> None:
    code = (
        "import driver, os; from jail.launch import launch;"
        f"plan = driver.plan_for({['-n', 't', '-p', '--', str(host.probes['glibc']), 'fds']!r}, {WRAPPER!r});"
        "os.waitpid(launch(plan, stdio=(2, 0, 1)).pid, 0)"
    )
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.touch()
    script = f'exec "$@" 0<>{paths[0]} 1<>{paths[1]} 2<>{paths[2]}'
    run = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {code}"
    done = host.run("sh", "-c", script, "sh", Path(host.ujail).with_name("python3"), "-I", "-c", run)
    assert done.status == 0
    assert paths[0].read_text().splitlines() == [
        f"fd 0 {paths[2]}",
        f"fd 1 {paths[0]}",
        f"fd 2 {paths[1]}",
    ]


def test_descriptor_that_is_none_stops_the_start(host: "Host") -> None:
    code = (
        "import driver; from jail.launch import launch;"
        f"plan = driver.plan_for({['-n', 't', '--', str(host.probes['glibc']), 'exit', '0']!r});"
        "launch(plan, stdio=(99, -1, -1))"
    )
    run = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {code}"
    done = host.run(Path(host.ujail).with_name("python3"), "-I", "-c", run)
    assert done.status == 1
    assert "take the descriptors that are given for 0, 1 and 2: Bad file descriptor" in done.err


@every_kind
def test_limits_and_nice_value_are_those_asked_for(host: "Host", kind: str) -> None:
    limits = {"nofile": "100 200", "core": "unlimited", "fsize": "2000000000", "nproc": "77"}
    seen = launch(
        host, kind, "cat", "/proc/self/limits", "nice", spec={"limits": limits, "nice": -5}, options=["-p"]
    )
    assert seen["nice"] == "-5"
    rows = {line[:25].strip(): line[25:].split()[:2] for line in seen.all("line")}
    own = {
        line[:25].strip(): line[25:].split()[1] for line in Path("/proc/self/limits").read_text().splitlines()
    }
    assert rows["Max open files"] == ["100", "200"]
    assert rows["Max core file size"] == ["unlimited", "unlimited"]
    for row, soft in (("Max file size", "2000000000"), ("Max processes", "77")):
        assert rows[row] == [soft, own[row]]


@every_kind
def test_limits_hold_also_for_a_user_that_cannot_raise_them(host: "Host", kind: str) -> None:
    options = ["-p", "-U", "65534"]
    asked = {"limits": {"nofile": "3 3"}, "nice": -3}
    verbs = ["read", "/proc/self/limits", "nice"]
    # static: a loader would need a descriptor
    seen = launch(host, kind, *verbs, spec=asked, options=options, program="static-glibc")
    assert (seen["read:/proc/self/limits"], seen["nice"]) == ("EMFILE", "-3")
    twin = launch(host, kind, "read", "/proc/self/limits", options=options)
    assert twin["read:/proc/self/limits"] == "ok"


def test_limit_that_cannot_be_set_stops_the_start(host: "Host") -> None:
    """Also as root: the kernel's own bound on descriptors, and a soft limit above the hard one."""
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    for name, text in (("nofile", f"1 {most + 1}"), ("nofile", "unlimited")):
        seen = launch(host, "plain", "exit", 0, spec={"limits": {name: text}})
        assert (seen.status, seen.err.startswith(f"set limit {name}")) == (125, True), seen
    limited = (
        "import os, resource as r, sys;"
        "r.setrlimit(r.RLIMIT_FSIZE, (1000, 2000)); os.execv(sys.argv[1], sys.argv[1:])"
    )
    apart = [sys.executable, "-c", limited]
    seen = launch(host, "plain", "exit", 0, spec={"limits": {"fsize": "3000"}}, prefix=apart)
    assert (seen.status, seen.err) == (125, "set limit fsize to 3000")
    assert launch(host, "plain", "exit", 0, spec={"limits": {"fsize": "1500"}}, prefix=apart).status == 0


def test_limit_that_the_kernel_cannot_hold_stops_the_start(host: "Host") -> None:
    """A 32-bit kernel would take it for none at all."""
    seen = launch(host, "plain", "exit", 0, spec={"limits": {"fsize": "5000000000"}})
    if os.uname().machine.endswith("64"):
        assert seen.status == 0
    else:
        assert (seen.status, seen.err) == (125, "set limit fsize to 5000000000")


def test_limits_on_the_command_line(host: "Host") -> None:
    options = ["-p", "--limit", "nofile=100 200", "--nice", "-5"]
    seen = host.probe("cat", "/proc/self/limits", "nice", options=options)
    assert seen["nice"] == "-5"
    assert any(line.split()[3:5] == ["100", "200"] for line in seen.all("line") if "open files" in line)
    for wrong in (["--limit", "nofiles=1"], ["--limit", "nofile"], ["--nice", "20"], ["--nice", "x"]):
        seen = host.probe("exit", 0, options=wrong)
        assert (seen.status, len(seen.err.splitlines())) == (125, 1), seen


def test_plain_service_keeps_what_root_has(host: "Host") -> None:
    """All of it as a child of ours that nobody touched has it, but for the session."""
    verbs = ["ids", "caps", "modes", "env", "cat", "/proc/self/mountinfo"]
    env = {"PATH": os.environ["PATH"], "MY": "own"}
    inside = launch(host, "plain", *verbs, spec={"env": env})
    outside = host.run(
        "env", "-i", *(f"{key}={value}" for key, value in env.items()), host.probes["glibc"], *verbs
    )
    assert inside.out == outside.out
    assert inside["no_new_privs"] == "0"
    # the twin: the wrapper around the same program
    wrapped = launch(host, "direct", *verbs, spec={"env": env})
    assert wrapped["permitted"] != outside["permitted"] and wrapped["no_new_privs"] == "1"


def test_plain_service_as_a_user_has_its_ids_and_no_capability(host: "Host") -> None:
    seen = launch(host, "plain", "ids", "caps", options=["-U", "65534"])
    assert (seen["uid"], seen["gid"], seen["groups"]) == ("65534 65534 65534", "65534 65534 65534", "65534")
    assert (seen["permitted"], seen["effective"], seen["ambient"]) == ("0x000000000", "0x000000000", "0x0")


def test_plain_service_keeps_the_umask_and_gets_a_session(host: "Host") -> None:
    apart = ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    seen = launch(host, "plain", "process", prefix=apart)
    assert (seen["umask"], seen["cwd"]) == ("0077", "/")
    assert seen["pid"] == seen["sid"] == seen["pgid"]
    assert launch(host, "direct", "process", prefix=apart)["umask"] == "0022"


def test_plain_service_can_have_capabilities_and_no_new_privs(host: "Host") -> None:
    seen = launch(
        host,
        "plain",
        "caps",
        "modes",
        spec={"capabilities": "cap_net_raw", "no_new_privs": True, "user": "65534"},
    )
    raw = f"0x0{1 << 13:08x}"
    assert (seen["permitted"], seen["effective"], int(seen["bounding"], 16)) == (raw, raw, 1 << 13)
    assert seen["no_new_privs"] == "1"


def test_plain_service_can_have_a_policy_through_both_doors(host: "Host") -> None:
    policy = host.policy("prctl")
    for kind in ("glibc", "static-glibc"):
        program = host.probes[kind]
        request: dict[str, Any] = {
            "argv": ["-n", "t", "-S", str(policy), "--", str(program), "modes", "call", "getppid", "-"],
            "spec": PLAIN,
        }
        seen = host.driver(request)
        assert (seen["seccomp"], seen["no_new_privs"], seen["call:getppid"]) == ("2", "1", "EXFULL"), seen
    assert launch(host, "plain", "call", "getppid", "-")["call:getppid"] == "ok"


def test_plain_program_is_looked_for_on_the_services_path(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "own-probe").symlink_to(host.probes["glibc"])
    request: dict[str, object] = {
        "argv": ["--", "own-probe", "exit", "7"],
        "spec": {**PLAIN, "env": {"PATH": f"/nowhere:{tmp_path}"}},
    }
    # the name has to be found for the options' sake nowhere: only the plan looks
    report = json.loads(host.driver(request).err.splitlines()[-1])
    assert report["launches"][0]["status"] == 7


@pytest.mark.parametrize("kind", ["direct", "plain"])
def test_direct_child_is_the_service_itself(host: "Host", kind: str) -> None:
    """Its pid, its status and its death by signal are what the caller waits for."""
    for verbs, status in ((["exit", 7], 7), (["die", 9], -9)):
        assert launch(host, kind, *verbs).status == status
    argv = ["--", str(host.probes["glibc"]), "process"]
    seen = host.driver({"argv": argv, "spec": KINDS[kind]})
    assert json.loads(seen.err.splitlines()[-1])["launches"][0]["service_pid"] == int(seen["pid"])


@every_kind
def test_service_dies_with_its_supervisor(host: "Host", kind: str) -> None:
    argv = ["-n", "t", "-U", "65534", "--", str(host.probes["glibc"]), "process", "stay"]
    driver = host.spawn_driver({"argv": argv, "spec": KINDS[kind]})
    host.wait_ready(driver)
    [child] = host.children_of(driver.pid)
    driver.send_signal(signal.SIGKILL)
    host.finish(driver)
    host.until(lambda: host.is_gone(child), "the child's end")


@pytest.mark.parametrize("kind", ["direct", "plain"])
def test_direct_start_that_fails_leaves_nothing(host: "Host", tmp_path: Path, kind: str) -> None:
    program = tmp_path / "program"
    program.write_text("neither ELF nor #!")
    program.chmod(0o755)
    seen = host.driver({"argv": ["--", str(program)], "spec": KINDS[kind]})
    report = json.loads(seen.err.splitlines()[-1])
    assert report["unchanged"]
    [only] = report["launches"]
    assert (only["failed"], only["status"]) == (f"execute {program}", 126)


KILLED = """\
import sys
from jail.errors import SetupError
from jail.launch import launch
from jail.plan import make_plan
from jail.spec import JailSpec

spec = JailSpec("t", [sys.argv[1], "exit", "0"])
spec.plain, spec.isolate, spec.stub, spec.no_new_privs = True, False, False, False
spec.validate()
try:
    print("pid" if launch(make_plan(spec)).pid else "")
except SetupError as error:
    print(error)
"""


@pytest.mark.parametrize("is_killed", [True, False])
def test_launch_that_is_killed_half_way_says_so(host: "Host", tmp_path: Path, is_killed: bool) -> None:
    """By a policy of the launcher's own, at one of the calls that the steps make."""
    policy = tmp_path / "policy.json"
    action = "SCMP_ACT_KILL_PROCESS" if is_killed else "SCMP_ACT_ALLOW"
    rule = {"names": ["setsid"], "action": action}
    policy.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    words = ("-c", "-S", policy, "--", sys.executable, "-Ic", KILLED, host.probes["glibc"])
    seen = host.run(host.ujail, *words)
    said = f"start a session: killed by signal {int(signal.SIGSYS)} in the middle of the launch"
    assert seen.out.strip() == (f"{said}, from outside or for want of memory" if is_killed else "pid"), seen


# the launch lets other threads run: one of them sees what others of the service's uid could see of this memory
WATCHED = """
import ctypes, os, sys, threading
from jail.launch import launch
from jail.plan import make_plan
from jail.ujail import make_spec, parse_options

prctl = ctypes.CDLL(None).prctl
PR_GET_DUMPABLE = 3
seen, over = {prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)}, threading.Event()

def watch():
    while not over.is_set():
        seen.add(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))

plan = make_plan(make_spec(parse_options(sys.argv[1:])))
watcher = threading.Thread(target=watch)
watcher.start()
for _ in range(200):
    os.waitpid(launch(plan, 0).pid, 0)
    if 0 in seen:
        break
over.set()
watcher.join()
print("seen", *sorted(seen))
print("after", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
"""


def test_memory_of_the_launcher_is_closed_while_the_service_is_in_it(host: "Host") -> None:
    """Until its exec the service's process runs in our memory, and the service may be the same user's as others."""
    words = ("-n", "t", "-c", "--", host.probes["static-glibc"], "exit", "0")
    seen = host.run(sys.executable, "-I", "-c", WATCHED, *words)
    assert (seen["seen"], seen["after"]) == ("0 1", "1"), seen
