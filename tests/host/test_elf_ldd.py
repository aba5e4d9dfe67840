# SPDX-License-Identifier: MIT
"""The closure of every program of this machine is what its own loader lists."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from jail.elf import closure
from jail.elffile import UNWINDING
from jail.errors import ConfigError
from jail.tree import Closure

DIRECTORIES = ("/usr/bin", "/usr/sbin")
TIMEOUT_S = 60
UNWINDERS = [str(path) for path in Path("/lib").glob("**/libgcc_s.so.1")]


def real(paths: Iterable[str]) -> set[str]:
    return {os.path.realpath(path) for path in paths}


def programs() -> list[str]:
    found = {os.path.join(place, name) for place in DIRECTORIES for name in os.listdir(place)}
    if "STOCKADE_GUEST" in os.environ:  # there BusyBox has hundreds of names
        found = real(found)
    return sorted(path for path in found if os.path.isfile(path) and os.access(path, os.X_OK))


def listed(path: str, loader: str) -> set[str] | str:
    """The real paths that the loader would map, or its complaint.

    The real path of the program is given: `--list` would take $ORIGIN from a symlink, where exec does not.
    """
    command = [loader, "--list", os.path.realpath(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode or "not found" in done.stdout:
        return done.stdout + done.stderr
    names = {path}
    for line in done.stdout.splitlines():
        words = line.split()
        name = words[2] if "=>" in words else words[0]
        if name.startswith("/"):
            names.add(name)
    return real(names)


def mapped(found: Closure) -> set[str]:
    return real(name for name in found.files if not name.startswith("/etc/"))


def unlisted(names: set[str]) -> set[str]:
    """What may come besides: the C library opens it when it ends a thread for one of these."""
    if not any(has_word(name) for name in names if not os.path.basename(name).startswith("libc.so")):
        return set()
    return {name for name in real(UNWINDERS) if os.path.exists(name)} - names


@cache
def has_word(name: str) -> bool:
    content = Path(name).read_bytes()
    return any(b"%b\0" % word in content for word in UNWINDING)


def test_every_program_has_the_files_that_its_loader_lists() -> None:
    ours: dict[str, Closure] = {}
    refused: dict[str, str] = {}
    for path in programs():
        try:
            ours[path] = closure(path)
        except ConfigError as e:
            refused[path] = str(e)
    dynamic = [path for path, found in ours.items() if found.kind == "dynamic"]
    if not dynamic:
        pytest.skip("no dynamic programs here")
    with ThreadPoolExecutor(2) as pool:
        theirs = pool.map(lambda path: listed(path, ours[path].interpreter), dynamic)
    wrong = []
    for path, answer in zip(dynamic, theirs, strict=True):
        if isinstance(answer, str):
            wrong.append(f"{path}: the loader refuses what we accept: {answer}")
        elif answer != mapped(ours[path]) - unlisted(answer):
            wrong.append(f"{path}: {sorted(answer ^ mapped(ours[path]))}")
    # What we refuse must fail outside a jail as well: a script whose interpreter is missing
    for reason in refused.values():
        if ", needed by " not in reason or os.path.exists(reason.partition(": ")[0]):
            wrong.append(reason)
    print(f"{len(dynamic)} dynamic programs compared, {len(ours)} read, {len(refused)} refused")
    assert not wrong, "\n".join(wrong)


def build(tmp_path: Path, compiler: str, *options: str) -> str:
    """A program and a library of its own beside it."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    library, program = tmp_path / "deep" / "libown.so", tmp_path / "program"
    library.parent.mkdir()
    source = tmp_path / "own.c"
    source.write_text("int own(void) { return 0; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wl,-soname,libown.so", "-o", library, source], check=True)
    source.write_text("int own(void);\nint main(void) { return own(); }\n")
    subprocess.run([compiler, "-o", program, source, library, *options], check=True)
    return str(program)


@pytest.mark.parametrize("compiler", ["cc", "musl-gcc"])
@pytest.mark.parametrize("kind", ["--enable-new-dtags", "--disable-new-dtags"])
def test_program_with_a_library_beside_it_has_what_its_loader_lists(
    tmp_path: Path, compiler: str, kind: str
) -> None:
    path = build(tmp_path, compiler, f"-Wl,{kind},-rpath,$ORIGIN/deep")
    found = closure(path)
    assert found.libc == ("musl" if compiler == "musl-gcc" else "glibc")
    assert str(tmp_path / "deep" / "libown.so") in found.files
    assert listed(path, found.interpreter) == mapped(found)
    assert subprocess.run([path], check=False).returncode == 0  # the twin: it runs


@pytest.mark.parametrize("compiler", ["cc", "musl-gcc"])
def test_program_whose_library_went_away_is_refused_as_by_its_loader(tmp_path: Path, compiler: str) -> None:
    path = build(tmp_path, compiler, "-Wl,-rpath,$ORIGIN/deep")
    interpreter = closure(path).interpreter
    (tmp_path / "deep" / "libown.so").unlink()
    assert isinstance(listed(path, interpreter), str)
    with pytest.raises(ConfigError, match=r"libown\.so: not found, needed by .*/program$"):
        closure(path)


def stage(found: Closure, root: Path) -> None:
    """Copy a closure into an empty root, as a jail shows it."""
    for name in found.dirs:
        (root / name.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name in found.files:
        place = root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if name in found.links:
            place.symlink_to(found.links[name])
        else:
            shutil.copy(name, place)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
@pytest.mark.parametrize(
    "name", ["true", "bash", "python3", "perl", "ssh", "curl", "ldd", "jar", "fakeroot-sysv"]
)
def test_program_reaches_main_with_nothing_but_its_closure(tmp_path: Path, name: str) -> None:
    path = shutil.which(name, path="/usr/sbin:/usr/bin")
    if path is None:
        pytest.skip(f"no {name}")
    found = closure(path)
    stage(found, tmp_path)
    assert not is_complete(tmp_path, path, with_proc=False) or not found.needs_proc  # the twin
    assert is_complete(tmp_path, path, with_proc=found.needs_proc)


def is_complete(root: Path, path: str, with_proc: bool) -> bool:
    """Whether the program comes past its loader in this root."""
    mount = 'mkdir -p "$0/proc" && mount -t proc proc "$0/proc" &&' if with_proc else ""
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        mount + ' exec chroot "$0" "$@"',
        str(root),
        path,
        "--version",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return "error while loading shared libraries" not in done.stderr and done.returncode not in (126, 127)


@pytest.mark.parametrize("option", ["-static", "-static-pie"])
def test_static_program_needs_only_itself(tmp_path: Path, option: str) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no cc")
    source, program = tmp_path / "x.c", str(tmp_path / "x")
    source.write_text("int main(void) { return 0; }\n")
    done = subprocess.run(["cc", option, "-o", program, source], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cc cannot link {option}")
    found = closure(program)
    assert (found.kind, found.files) == ("static", [program])


def test_scripts_are_followed_as_deep_as_the_kernel_does(tmp_path: Path) -> None:
    interpreter = shutil.which("echo") or "/bin/echo"
    for number in range(1, 8):
        script = tmp_path / str(number)
        script.write_text(f"#!{interpreter}\n")
        script.chmod(0o755)
        interpreter = str(script)
        try:
            runs = subprocess.run([interpreter], capture_output=True, check=False).returncode == 0
        except OSError:
            runs = False
        try:
            closure(interpreter)
        except ConfigError:
            assert not runs
        else:
            assert runs
