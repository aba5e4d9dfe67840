# SPDX-License-Identifier: MIT
"""Landlock rules behind the mounts, on kernels that have them: what no mount of the jail shows stays closed."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jail._native import lib

if TYPE_CHECKING:
    from tests.conftest import Host

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
