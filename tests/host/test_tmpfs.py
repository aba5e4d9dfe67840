# SPDX-License-Identifier: MIT
"""--tmpfs and the jail parameter of that name: written to in memory, as large as was said, gone with the jail."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

SPAWNER = Path(__file__).with_name("spawner.py")


def busybox() -> str:
    path = shutil.which("busybox")
    return path or pytest.skip("busybox is not installed")


def test_place_is_written_to_in_memory_and_nowhere_else(host: "Host") -> None:
    verbs = ("create", "/var/cache/x", "create", "/var/x", "mkdir", "/a:b/x")
    seen = host.probe(
        *verbs,
        "cat",
        "/proc/self/mountinfo",
        options=("-p", "--tmpfs", "/var/cache", "--tmpfs", r"/a\:b:64k,mode=0700"),
    )
    assert seen.tries() == {"create:/var/cache/x": "ok", "create:/var/x": "EROFS", "mkdir:/a:b/x": "ok"}
    mounts = {line.split()[4]: line.split() for line in seen.all("line")}
    assert {"nosuid", "nodev", "noexec"} <= set(mounts["/var/cache"][5].split(","))
    assert "size=64k" in mounts["/a:b"][-1] and "mode=700" in mounts["/a:b"][-1]
    twin = host.probe(*verbs[:2])
    assert twin.tries() == {"create:/var/cache/x": "ENOENT"}
    assert not Path("/var/cache/x").exists()


def test_user_of_the_service_may_write_unless_the_mode_says_no(host: "Host") -> None:
    for options, result in (("/t", "ok"), ("/t:mode=0755", "EACCES")):
        seen = host.probe("create", "/t/x", options=("-U", "65534", "--tmpfs", options))
        assert seen.tries() == {"create:/t/x": result}


def test_size_is_the_most_that_goes_in(host: "Host") -> None:
    shell = busybox()
    line = f"{shell} dd if=/dev/zero of=/t/x bs=1k count=1024 2>/dev/null; echo status $?"
    for size, status in (("256k", "1"), ("2m", "0")):
        seen = host.jail("-n", "t", "--tmpfs", f"/t:{size}", "-r", shell, "--", shell, "sh", "-c", line)
        assert seen["status"] == status, seen


def test_programs_in_it_run_only_if_that_was_asked_for(host: "Host") -> None:
    shell = busybox()
    line = f"{shell} cp {shell} /t/busybox; /t/busybox echo run it"
    for options, is_run in (("/t", False), ("/t:exec", True)):
        seen = host.jail("-n", "t", "--tmpfs", options, "-r", shell, "--", shell, "sh", "-c", line)
        assert ("run it" in seen.out) is is_run, seen


def test_in_a_directory_of_the_host_it_hides_what_is_there(host: "Host", tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/secret").write_text("secret\n")
    verbs = ("read", tmp_path / "sub/secret", "create", tmp_path / "sub/new")
    seen = host.probe(*verbs, options=("-r", tmp_path, "--tmpfs", tmp_path / "sub"))
    assert [*seen.tries().values()] == ["ENOENT", "ok"]
    twin = host.probe(*verbs, options=("-w", tmp_path))
    assert [*twin.tries().values()] == ["ok", "ok"]
    (tmp_path / "sub/new").unlink()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tmpfs", "/proc"), "/proc is the kernel's in a jail"),
        (("-p", "--tmpfs", "/proc/x"), "/proc is the kernel's in a jail"),
        (("--tmpfs", "/t", "--tmpfs", "/t"), "asked for in two ways"),
        (("-r", "/etc", "--tmpfs", "/etc"), "asked for in two ways"),
        (("-r", "/etc", "--tmpfs", "/etc/no/such"), "which has no such entry"),
        (("-r", "/etc", "--tmpfs", "/etc/init.d", "-r", "/etc/passwd:/etc/init.d/x"), "cannot be in it"),
    ],
)  # fmt: skip
def test_place_that_cannot_be_had_stops_the_start(
    host: "Host", options: tuple[str, ...], message: str
) -> None:
    seen = host.probe("exit", 0, options=options)
    assert (seen.status, len(seen.err.splitlines()), message in seen.err) == (125, 1, True), seen


def test_parameter_of_a_script_does_the_same(host: "Host") -> None:
    table = {
        "command": [str(host.probes["glibc"]), "create", "/t/x", "create", "/x"],
        "jail": {"name": "x", "tmpfs": ["/t:1m"]},
        "stdout": True,
    }
    done = host.run(sys.executable, "-I", SPAWNER, json.dumps({"tables": [table]}))
    [entry] = json.loads(done.out.splitlines()[-1])
    assert entry["out"] == "create:/t/x ok\ncreate:/x errno 30\n"
