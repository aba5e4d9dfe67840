# SPDX-License-Identifier: MIT
"""What the bench works with, made once in a directory of its own: the C programs, files to stage, filters."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from jail._native import lib
from jail.doors import FILTERS
from jail.plan import make_plan
from jail.policy import compile_filter
from jail.spec import JailSpec, Share

HERE = Path(__file__).resolve().parent
WARNINGS = ("-std=gnu11", "-Os", "-Wall", "-Wextra", "-Wvla", "-Wshadow", "-Werror")
N_STAGED = 6


class Layout:
    """What a jail's root holds beside /dev, in the order in which it is made: (kind, path, text)."""

    def __init__(self, spec: JailSpec) -> None:
        self.entries: list[tuple[str, str, str]] = []
        kinds = {lib.STEP_DIR: "dir", lib.STEP_FILE: "file", lib.STEP_SYMLINK: "link", lib.STEP_BIND: "bind"}
        for step in make_plan(spec).steps:
            kind = kinds.get(step.op)
            if not kind:
                continue
            texts = [text.decode() for text in step.texts]
            path = "/" + texts[1 if kind == "bind" else 0]
            if path != "/dev" and not path.startswith("/dev/"):
                self.entries.append((kind, path, texts[1] if kind == "link" else ""))

    def binds(self) -> list[str]:
        return [path for kind, path, _ in self.entries if kind == "bind"]


class Workshop:
    """Paths of what was made; everything is below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ujail = _beside_python("ujail")
        self.python = str(Path(self.ujail).with_name("python3"))
        # not deep below a checkout: each directory on the way is one more to make in a jail
        self.policy = shutil.copy(HERE / "policy.json", str(root))
        self.floor = self._compile("floor", static=True)
        self.stamp = self._compile("stamp")
        self.callcost = self._compile("callcost")
        self.staged = [root / f"staged-{number}" for number in range(N_STAGED)]
        for path in self.staged:
            path.write_text("staged\n")
        self.flat_policy = flat_policy(Path(self.policy).read_bytes())
        self.filter = root / "filter.bpf"
        self.filter.write_bytes(compile_filter(self.flat_policy, native_arch(), path="flat policy").code)

    def _compile(self, name: str, static: bool = False) -> str:
        return self.compile(HERE / f"{name}.c", static)

    def compile(self, source: Path, static: bool = False) -> str:
        out = str(self.root / source.stem)
        compiler = static_compiler() if static else ["cc"]
        subprocess.run([*compiler, *WARNINGS, str(source), "-s", "-o", out], check=True)
        return out

    def spec(self, argv: list[str], policy: bool = False, staged: bool = False) -> JailSpec:
        spec = JailSpec("bench", argv)
        if policy:
            spec.seccomp = self.policy
            spec.shares.append(Share(self.policy, required=True))
        if staged:
            spec.shares += [Share(str(path), required=True) for path in self.staged]
        return spec


def static_compiler() -> list[str]:
    """As setup.py builds the stub: musl if it is there, with the system's kernel headers last."""
    if not shutil.which("musl-gcc"):
        return ["cc", "-static"]
    triple = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True).stdout.strip()
    return ["musl-gcc", "-static", "-idirafter", "/usr/include", "-idirafter", f"/usr/include/{triple}"]


def native_arch() -> str:
    """This machine's name among the compiler's."""
    from jail.elf import closure

    return closure("/bin/true").abi


# What crun and bwrap's PID 1 still call themselves under the filter that they put on
JAILERS_OWN = [
    "execve",
    "wait4",
    "prctl",
    "capset",
    "close_range",
    "getcwd",
    "setresuid",
    "setresgid",
    "getpid",
]


def flat_policy(text: bytes) -> bytes:
    """A policy, the start-up set and a jailer's own calls in one, for jailers that have only one door."""
    policy = json.loads(text)
    startup = json.loads(Path(FILTERS, "startup-glibc.json").read_text())
    own = {"names": JAILERS_OWN, "action": "SCMP_ACT_ALLOW"}
    policy["syscalls"] = [*startup["syscalls"], *policy["syscalls"], own]
    return json.dumps(policy).encode()


def _beside_python(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise SystemExit(
            f"{name} is not installed beside {sys.executable} nor on the PATH: pip install . first"
        )
    return found
