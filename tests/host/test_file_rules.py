# SPDX-License-Identifier: MIT
"""Landlock rules behind the mounts, on kernels that have them: what no mount of the jail shows stays closed."""

import errno
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail._native import lib

if TYPE_CHECKING:
    from jails import Host

JAILCTL = (
    Path(os.environ.get("STOCKADE_UJAIL") or f"{sysconfig.get_path('scripts')}/ujail").parent / "jailctl"
)
has_rules = pytest.mark.skipif(lib.landlock_abi() < 2, reason="no Landlock in this kernel")


@has_rules
def test_given_directory_is_no_way_out(host: "Host") -> None:
    """A descriptor of a directory of the host, left as 0, leads to all that is in it."""
    path = f"/proc/self/fd/0/{host.probes.marker.name}"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import driver, os; from jail.launch import launch;"
        " fd = os.open(sys.argv[2], os.O_RDONLY); plan = driver.plan_for(sys.argv[3:]);"
        " os.waitpid(launch(plan, stdio=(fd, -1, -1)).pid, 0)"
    )
    words = [sys.executable, "-I", "-c", code, Path(__file__).parent, host.folder, "-n", "t", "-p"]
    probe = ["--", host.probes["glibc"], "read", path]
    assert host.run(*words, *probe)[f"read:{path}"] == "EACCES"
    # one that may mount has no such rules
    assert host.run(*words, "--allow-userns", *probe)[f"read:{path}"] == "ok"


@has_rules
def test_given_file_is_not_opened_for_more(host: "Host", tmp_path: Path) -> None:
    """Opened again through /proc a file that was given for reading could be written."""
    file = tmp_path / "file"
    file.write_text("x")
    verbs = ("read", "/dev/stdin", "write", "/dev/stdin")
    for flags, expected in ((os.O_RDONLY, ["ok", "EACCES"]), (os.O_RDWR, ["ok", "ok"])):
        fd = os.open(file, flags)
        try:
            inside = host.probe(*verbs, options=("-p",), stdin=fd)
            twin = host.probe(*verbs, options=("-p", "--allow-userns"), stdin=fd)
        finally:
            os.close(fd)
        assert list(inside.tries().values()) == expected
        assert list(twin.tries().values()) == ["ok", "ok"]


@pytest.mark.parametrize("user", [(), ("-f",), ("-U", "65534")], ids=["root", "-f", "-U"])
def test_what_is_writable_is_so_under_the_rules(host: "Host", tmp_path: Path, user: tuple[str, ...]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (tmp_path, folder):
        path.chmod(0o777)
    one, two = folder / "one", folder / "two"
    verbs = [
        "mkdir",
        one,
        "mkdir",
        two,
        "create",
        one / "x",
        "rename",
        one / "x",
        two / "y",
        "unlink",
        two / "y",
    ]
    verbs += [
        "create",
        "/dev/shm/x",
        "write",
        "/dev/null",
        "create",
        "/t/x",
        "put",
        "/proc/self/comm",
        "other",
    ]
    seen = host.probe(*verbs, options=("-p", "-w", folder, "--tmpfs", "/t", *user))
    assert set(seen.tries().values()) == {"ok"}, seen
    assert (
        host.probe("create", folder / "z", options=("-r", folder, *user))[f"create:{folder / 'z'}"] == "EROFS"
    )


def test_program_opens_its_output_again(host: "Host", tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as log:
        seen = host.start("write", "/dev/stdout", "write", "/dev/stderr", options=("-p",), stdout=log)
        host.finish(seen)
    assert (tmp_path / "log").read_text() == "write:/dev/stdout ok\nwrite:/dev/stderr ok\n"


# a device can be written through a read-only mount: only the rules deny it
DEVICE = ("--bind", "/dev/zero:/zero:dev")


@has_rules
@pytest.mark.parametrize("options", [(), ("-U", "65534"), ("-f",)], ids=["root", "-U", "-f"])
def test_program_that_enters_is_under_the_rules(
    host: "Host", tmp_path: Path, options: tuple[str, ...]
) -> None:
    tmp_path.chmod(0o777)
    verbs = ("write", "/zero", "create", tmp_path / "x", "write", "/dev/null", "mkdir", "/t/x")
    for free, expected in (((), "EACCES"), (("--allow-userns",), "ok")):
        told = [f"errno {errno.EACCES}" if expected == "EACCES" else "ok", "ok", "ok", "ok"]
        jail = host.start(
            *verbs, "stay", options=(*DEVICE, "-p", "-w", tmp_path, "--tmpfs", "/t", *free, *options)
        )
        said = []
        while (line := host.first_line(jail)) != "ready":
            said.append(line)
        (tmp_path / "x").unlink()
        # what the service has made in /t is there already
        inner = [word if word != "/t/x" else "/t/y" for word in verbs]
        seen = host.run(JAILCTL, "exec", host.children_of(jail.pid)[0], "--", host.probes["glibc"], *inner)
        host.finish(jail)
        assert [*seen.tries().values()] == [expected, "ok", "ok", "ok"], seen
        assert [line.partition(" ")[2] for line in said] == told
        (tmp_path / "x").unlink()


def test_place_below_a_mask_is_no_place(host: "Host", tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    options = ("-r", tmp_path, "-w", tmp_path / "sub", "--mask", tmp_path)
    assert host.probe("list", tmp_path, options=options).all("entry") == []
    assert host.probe("list", tmp_path, options=options[:4]).all("entry") == ["sub"]
