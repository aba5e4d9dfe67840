# SPDX-License-Identifier: MIT
"""What host and attack tests share: the installed `ujail`, the probe in all its kinds, and the leak check.

Everything here starts processes and looks at them from outside; nothing imports the jailer into pytest's own
process, so what is tested is what was installed.
"""

import errno
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from initd_world import World

HERE = Path(__file__).resolve().parent
DRIVER = HERE / "host" / "driver.py"
# an emulated machine is ten times as slow, and two of them share this one
SLOWER = 5 if "STOCKADE_GUEST" in os.environ else 1
TIMEOUT_S = 60 * SLOWER  # the one limit of every process that a test starts
STANDSTILL_S = 300 * (1 if SLOWER == 1 else 2)  # of a whole test
SETTLE_S = 5 * SLOWER  # the kernel ends a PID namespace by itself, and tells nobody when it has
MACHINE = os.uname().machine
COMPILE = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wvla", "-Wshadow", "-Werror"]
HEADERS = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{MACHINE}-linux-gnu"]

Process: TypeAlias = "subprocess.Popen[str]"

# kind of program → how it is compiled; those that are made of another one are in Probes
COMPILERS = {
    "glibc": ["gcc"],
    "musl": ["musl-gcc", *HEADERS],
    "static-glibc": ["gcc", "-static"],
    "static-musl": ["musl-gcc", *HEADERS, "-static"],
    "i386": ["gcc", "-m32"],
}
MADE = ("script", "setuid", "file-capability")
KINDS = (*COMPILERS, *MADE)


def is_on_host(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE / "host") or item.path.is_relative_to(HERE / "attack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_on_host(item):
            item.add_marker(pytest.mark.root)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that waits for what never comes, at the line where it waits; the others go on."""

    def give_up(number: int, frame: object) -> None:
        pytest.fail(f"{item.name} stands still: it has not ended within {STANDSTILL_S} s")

    is_ours = signal.getsignal(signal.SIGALRM) == signal.SIG_DFL  # initd's broker uses the alarm itself
    if is_ours:
        signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, STANDSTILL_S)
    try:
        yield
    finally:
        if is_ours:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


def until(is_done: Callable[[], object], what: str, limit_s: float = TIMEOUT_S) -> None:
    """Poll for something that no descriptor reports. Fails the test when the time is up."""
    end = time.monotonic() + limit_s
    while True:
        start = time.monotonic()
        if is_done():
            return
        now = time.monotonic()
        if now > end:
            pytest.fail(f"{what}: not within {limit_s} s")
        # what is waited for has one processor with this: at least half of it
        time.sleep(max(0.002, now - start))


class Result:
    """What a run of the probe printed and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"status {self.status}\n{self.out}{self.err}"

    def all(self, name: str) -> list[str]:
        """The values of all lines with this name."""
        return [
            value for key, _, value in (line.partition(" ") for line in self.out.splitlines()) if key == name
        ]

    def __getitem__(self, name: str) -> str:
        """The value of the one line with this name; of a failed try, the error's name."""
        values = self.all(name)
        assert len(values) == 1, f"{len(values)} lines {name!r} in {self!r}"
        return self.each(name)[0]

    def each(self, name: str) -> list[str]:
        """The same of all lines with this name."""
        return [
            errno.errorcode[int(value.split()[1])] if value.startswith("errno ") else value
            for value in self.all(name)
        ]

    def tries(self) -> dict[str, str]:
        """Each try and its result."""
        found = {}
        for line in self.out.splitlines():
            match = re.fullmatch(r"(\S+) (?:ok|errno (\d+))", line)
            if match:
                found[match[1]] = errno.errorcode[int(match[2])] if match[2] else "ok"
        return found


def finish(process: Process, text: str | None = None) -> Result:
    """Wait for a process, at most TIMEOUT_S, and return what it said."""
    try:
        out, err = process.communicate(text, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        process.kill()
        process.wait()  # no more: what it has started may hold the pipes for ever
        said = "".join((part or b"").decode(errors="replace") for part in (late.stdout, late.stderr))
        raise AssertionError(f"{process.args!r}: no end within {TIMEOUT_S} s; it said\n{said}") from None
    code = process.returncode
    return Result(code if code >= 0 else 128 - code, out or "", err or "")


started: list[Process] = []  # by the test that runs


def start(*command: object, **options: object) -> Process:
    """Start a command with pipes for what it says; close its stdin to end a probe that stays."""
    pipe = subprocess.PIPE
    settings = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "text": True, **options}
    process: Process = subprocess.Popen([str(word) for word in command], **settings)  # type: ignore[call-overload]
    started.append(process)
    return process


def run(*command: object, **options: object) -> Result:
    return finish(start(*command, **{"stdin": subprocess.DEVNULL, **options}))


def first_line(process: Process, limit_s: float = TIMEOUT_S) -> str:
    """The next line that it says. Fails the test when the time is up, with what else it has said."""
    assert process.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()  # all that it has started dies with it, and nobody has the pipe open any more

    timer = threading.Timer(limit_s, end)
    timer.start()
    try:
        line = process.stdout.readline().strip()
    finally:
        timer.cancel()
    if late.is_set():
        raise AssertionError(f"no line within {limit_s} s, {line!r} and then: {finish(process)!r}")
    return line


def wait_ready(process: Process) -> None:
    """Read up to the probe's "ready"."""
    lines: list[str] = []
    while (line := first_line(process)) != "ready":
        if not line:
            raise AssertionError(f"not ready: {lines} {finish(process)!r}")
        lines.append(line)


class Probes:
    """The probe, or another C program, built once for each kind, in a directory that anyone may enter."""

    def __init__(self, folder: Path, source: Path = HERE / "probe.c") -> None:
        self.folder = folder
        self.source = source
        self.marker = folder / "marker"  # a file that no jail is shown
        self.marker.write_text("marker\n")
        self.built: dict[str, Path | str] = {}

    def __getitem__(self, kind: str) -> Path:
        """The path of a kind; skips the test where this machine cannot make it."""
        if kind not in self.built:
            self.built[kind] = self._make(kind) if kind in MADE else self._compile(kind)
        made = self.built[kind]
        if isinstance(made, str):
            pytest.skip(made)
        return made

    def _compile(self, kind: str) -> Path | str:
        out = self.folder / f"{self.source.stem}-{kind}"
        compiler = COMPILERS[kind]
        if kind == "i386" and MACHINE != "x86_64":
            return "i386 programs run on x86-64 only"
        prebuilt = os.environ.get("STOCKADE_PREBUILT")
        if prebuilt:  # in a guest, which has no compiler (tests/guest/artifacts.py)
            shutil.copy(Path(prebuilt) / out.name, out)
            return out
        if not shutil.which(compiler[0]):
            return f"{compiler[0]} is not installed"
        if kind == "i386" and run("gcc", "-m32", "-E", "-include", "stdio.h", "-", "-o", os.devnull).status:
            return "gcc -m32 is not installed (gcc-multilib)"
        made = run(*compiler, *COMPILE, self.source, "-o", out)
        assert made.status == 0, made
        return out

    def _make(self, kind: str) -> Path | str:
        out = self.folder / f"probe-{kind}"
        if kind == "script":
            # the kernel hands the script's own path over as a verb; `script` is one that does nothing
            out.write_text(f"#!{self['glibc']} script\n")
            out.chmod(0o755)
            return out
        shutil.copy(self["glibc"], out)
        if kind == "setuid":
            os.chown(out, 0, 0)
            out.chmod(0o4755)
            return out
        # struct vfs_ns_cap_data, revision 2, effective: CAP_NET_RAW permitted
        value = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
        try:
            os.setxattr(out, "security.capability", value)
        except OSError as error:
            return f"no file capabilities here: {error.strerror}"
        return out


def mounts(pid: object = "self") -> list[str]:
    """The mounts of a process, one line each."""
    return Path(f"/proc/{pid}/mountinfo").read_text().splitlines()


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status as a dictionary."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def fds(pid: object = "self") -> dict[str, str]:
    """The descriptors of a process and what they are."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[name] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # the listing's own
    return found


def system_libraries() -> str:
    """The directory of this machine's C library."""
    [path] = {
        line.split()[5] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc.so.6" in line
    }
    return os.path.dirname(path)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return status_of(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Host:
    """Runs things in jails and outside of them."""

    def __init__(self, ujail: str, probes: Probes, folder: Path) -> None:
        self.ujail = ujail
        self.probes = probes
        self.folder = folder
        self.utrace = str(Path(ujail).with_name("utrace"))
        self._policies = 0

    # before words whose mounts are to stay their own
    apart = ("unshare", "--mount", "--propagation", "private")
    # what tests use of the functions above; conftest.py itself cannot be imported by them
    children_of = staticmethod(children_of)
    fds = staticmethod(fds)
    finish = staticmethod(finish)
    first_line = staticmethod(first_line)
    is_gone = staticmethod(is_gone)
    mounts = staticmethod(mounts)
    run = staticmethod(run)
    spawn = staticmethod(start)
    status_of = staticmethod(status_of)
    system_libraries = staticmethod(system_libraries)
    until = staticmethod(until)
    wait_ready = staticmethod(wait_ready)

    def start(
        self, *verbs: object, options: Iterable[object] = (), kind: str = "glibc", **settings: object
    ) -> Process:
        """A jail that goes on: what `probe` runs, without waiting for its end."""
        return start(self.ujail, "-n", "t", *options, "--", self.probes[kind], *verbs, **settings)

    def jail(self, *options: object, **settings: object) -> Result:
        """`ujail` with exactly these words."""
        return run(self.ujail, *options, **settings)

    def probe(
        self, *verbs: object, options: Iterable[object] = (), kind: str = "glibc", **settings: object
    ) -> Result:
        """The probe in a jail named "t"."""
        return self.jail("-n", "t", *options, "--", self.probes[kind], *verbs, **settings)

    def outside(
        self, *verbs: object, kind: str = "glibc", prefix: Iterable[object] = (), **settings: object
    ) -> Result:
        """The probe without a jail, in a mount namespace of its own, so that a success changes nothing."""
        return run(*self.apart, *prefix, self.probes[kind], *verbs, **settings)

    def driver(self, request: dict[str, object], prefix: Iterable[object] = ()) -> Result:
        """A launch by library call, see host/driver.py; its report is the last line on stderr."""
        return run(*prefix, sys.executable, "-I", DRIVER, json.dumps(request))

    def spawn_driver(self, request: dict[str, object]) -> Process:
        """The same, without waiting for its end."""
        return start(sys.executable, "-I", DRIVER, json.dumps(request))

    def policy(self, *allowed: str, default: str = "SCMP_ACT_ERRNO", errno_ret: int = errno.EXFULL) -> Path:
        """A policy with these calls and those without which the probe cannot speak.

        What it denies gets EXFULL, an errno that nothing else in these tests gives.
        """
        self._policies += 1
        path = self.folder / f"policy-{self._policies}.json"
        names = ["write", "exit_group", *allowed]
        content: dict[str, object] = {"defaultAction": default}
        if default == "SCMP_ACT_ERRNO":
            content["defaultErrnoRet"] = errno_ret
        content["syscalls"] = [{"names": names, "action": "SCMP_ACT_ALLOW"}]
        path.write_text(json.dumps(content))
        path.chmod(0o644)
        return path


def survivors(folder: Path) -> dict[int, str]:
    """The processes of this run: their root is a jail with our directory in it, or their program is ours."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            in_jail = os.stat(f"/proc/{name}/root").st_dev != os.stat("/").st_dev
            is_ours = in_jail and os.path.lexists(f"/proc/{name}/root{folder}")
            program = os.readlink(f"/proc/{name}/exe")
        except OSError:
            continue  # gone, a kernel thread or a zombie
        if is_ours or program.startswith(f"{folder}/"):
            found[int(name)] = program
    return found


def own_children() -> list[str]:
    tasks = Path("/proc/self/task").iterdir()
    return " ".join((task / "children").read_text() for task in tasks).split()


def stray_entries() -> set[str]:
    """What a jailer could leave in /tmp, by its name: other programs use it at the same time."""
    return {name for name in os.listdir("/tmp") if "jail" in name or name.startswith(".")}


@pytest.fixture(scope="session")
def run_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stockade-tests-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def host(run_folder: Path) -> Host:
    """An installed `ujail` and the probes."""
    beside = Path(sys.executable).parent / "ujail"
    ujail = os.environ.get("STOCKADE_UJAIL") or (str(beside) if beside.exists() else shutil.which("ujail"))
    if not ujail:
        pytest.skip("no ujail beside this interpreter, in STOCKADE_UJAIL or on the PATH")
    return Host(ujail, Probes(run_folder), run_folder)


@pytest.fixture(scope="session")
def busy(host: Host) -> Probes:
    """The program that tracers are tried on, in all its kinds."""
    return Probes(host.folder, HERE / "host" / "busy.c")


@pytest.fixture
def world() -> Iterator["World"]:
    """A model of services; a file that wants a world of another kind makes its own."""
    from initd_world import World

    made = World()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a host test did, afterwards this process and the host are as they were."""
    if not is_on_host(request.node):
        yield
        return
    run_folder: Path = request.getfixturevalue("run_folder")
    before = (mounts(), own_children(), fds(), stray_entries())
    yield
    for process in started:
        if process.poll() is None:
            process.kill()  # its test failed half-way
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
    started.clear()
    until(lambda: not survivors(run_folder), "processes that outlived their test", SETTLE_S)
    assert mounts() == before[0]
    assert own_children() == before[1]
    assert fds() == before[2]
    assert stray_entries() <= before[3]
