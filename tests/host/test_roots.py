# SPDX-License-Identifier: MIT
"""-R, -O and -T: another root file system, and roots that can be written to."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host
    from result import Result

ODD = "a b,c:d\\e=f"
SWAPPED = 30 if "STOCKADE_GUEST" in os.environ else 100


def has_overlay() -> bool:
    return "\toverlay\n" in Path("/proc/filesystems").read_text() or not os.system("modprobe -q overlay")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if not has_overlay():
        pytest.skip("this kernel has no overlayfs")
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture
def extroot(host: "Host", folder: Path) -> Path:
    """A root with a static probe, a file, and nothing else."""
    root = folder / ODD / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(host.probes["static-glibc"], root / "bin" / "probe")
    (root / "file").write_text("of the extroot\n")
    return root


def inside(host: "Host", extroot: Path, *verbs: object, options: tuple[object, ...] = ()) -> "Result":
    return host.jail("-n", "t", "-R", extroot, *options, "--", "/bin/probe", *verbs)


def test_extroot_is_the_root_and_read_only(host: "Host", extroot: Path) -> None:
    verbs = [
        "cat",
        "/file",
        "write",
        "/file",
        "create",
        "/new",
        "mkdir",
        "/dev/x",
        "read",
        host.probes.marker,
    ]
    seen = inside(host, extroot, *verbs, "write", "/dev/null", "list", "/")
    assert seen.all("line") == ["of the extroot"], seen
    assert seen.tries() == {
        "write:/file": "EROFS",
        "create:/new": "EROFS",
        "mkdir:/dev/x": "EROFS",
        f"read:{host.probes.marker}": "ENOENT",
        "write:/dev/null": "ok",
    }
    assert {"bin", "file", "dev"} <= set(seen.all("entry"))
    assert sorted(os.listdir(extroot)) == ["bin", "file"]  # our directories are a layer of their own


def test_extroot_gets_what_other_options_name(host: "Host", extroot: Path, folder: Path) -> None:
    (folder / "shown").write_text("shown\n")
    masked = next(
        path for path in ("/proc/key-users", "/proc/timer_list", "/proc/kallsyms") if os.path.exists(path)
    )
    assert host.outside("cat", masked).all("line")
    options = (
        "-p",
        "-s",
        "-r",
        f"{folder}/shown:/etc/deep/shown",
        "-w",
        f"{folder}/shown:/rw",
        "-h",
        "other",
    )
    verbs = [
        "cat",
        "/etc/deep/shown",
        "write",
        "/etc/deep/shown",
        "write",
        "/rw",
        "cat",
        masked,
        "process",
    ]
    seen = inside(
        host,
        extroot,
        *verbs,
        "read",
        "/proc/self/status",
        "write",
        "/proc/sys/kernel/hostname",
        options=options,
    )
    assert seen.all("line") == ["shown"], seen
    assert seen["hostname"] == "other"
    tries = seen.tries()
    assert (tries["write:/etc/deep/shown"], tries["write:/rw"]) == ("EROFS", "ok")
    assert (tries["read:/proc/self/status"], tries["write:/proc/sys/kernel/hostname"]) == ("ok", "EROFS")
    assert "shown" not in os.listdir(extroot)


def test_extroot_has_nothing_of_the_host_in_its_mounts(host: "Host", extroot: Path, folder: Path) -> None:
    lines = inside(host, extroot, "cat", "/proc/self/mountinfo", options=("-p",)).all("line")
    [root] = [line for line in lines if line.split()[4] == "/"]
    assert " overlay " in root and str(folder) not in root
    assert {"ro", "nosuid", "nodev"} <= set(root.split()[5].split(","))


@pytest.mark.parametrize("where", ["/dev", "/proc", "/etc", "/etc/resolv.conf", "/lib"])
def test_links_of_an_extroot_lead_no_mount_out_of_it(
    host: "Host", extroot: Path, folder: Path, where: str
) -> None:
    """Absolute ones and ones that climb; what they name on the host stays as it is."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "resolv.conf").write_text("own\n")
    for target in (str(outside), "/" + "../" * 30 + str(outside)[1:], str(outside / "resolv.conf")):
        link = extroot / where[1:]
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
        shown = {"/proc": "/x", "/dev": "/dev/x"}.get(where, where)
        options = ("-p", "-r", f"{host.probes.marker}:{shown}")
        seen = inside(host, extroot, "exit", 0, options=options)
        assert seen.status in (0, 125), seen
        link.unlink()
        assert os.listdir(outside) == ["resolv.conf"]
        assert (outside / "resolv.conf").read_text() == "own\n"


def test_targets_follow_the_links_of_the_extroot_inside(host: "Host", extroot: Path) -> None:
    (extroot / "real").mkdir()
    (extroot / "real" / "kept").write_text("kept\n")
    (extroot / "link").symlink_to("/real")
    seen = inside(
        host,
        extroot,
        "cat",
        "/real/shown",
        "cat",
        "/link/kept",
        options=("-r", f"{host.probes.marker}:/link/shown"),
    )
    assert seen.all("line") == ["marker", "kept"], seen


def test_links_swapped_during_the_set_up_lead_nowhere(host: "Host", extroot: Path, folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    for name in ("dev", "etc"):
        (extroot / name).mkdir()
        (extroot / f"{name}.link").symlink_to(outside)
    swap = f"""
import os
os.chdir({str(extroot)!r})
print("ready", flush=True)
while True:
    for name in ("dev", "etc"):
        for a, b in ((name, name + ".away"), (name + ".link", name), (name, name + ".link"), (name + ".away", name)):
            os.rename(a, b)
"""
    swapper = host.spawn("python3", "-c", swap)
    host.wait_ready(swapper)
    argv = [
        "-n",
        "t",
        "-p",
        "-R",
        str(extroot),
        "-r",
        f"{host.probes.marker}:/etc/x",
        "--",
        "/bin/probe",
        "exit",
        "0",
    ]
    seen = host.driver({"argv": argv, "times": SWAPPED})
    report = json.loads(seen.err.splitlines()[-1])
    assert report["unchanged"]
    statuses = [launch["status"] for launch in report["launches"]]
    assert set(statuses) <= {0, 125} and 0 in statuses
    assert swapper.poll() is None
    swapper.kill()
    assert os.listdir(outside) == []


@pytest.mark.parametrize("wrong", ["/", "/etc/passwd", "/no/such", "/../"])
def test_extroot_that_is_none_is_refused(host: "Host", wrong: str) -> None:
    seen = host.jail("-n", "t", "-R", wrong, "--", "/bin/true")
    assert (seen.status, len(seen.err.splitlines())) == (125, 1), seen


def test_extroot_without_the_program_is_status_127(host: "Host", extroot: Path) -> None:
    assert host.jail("-n", "t", "-R", extroot, "--", "/bin/true").status == 127


def test_policy_holds_in_an_extroot(host: "Host", extroot: Path) -> None:
    policy = host.policy("prctl")
    seen = inside(host, extroot, "modes", "call", "getppid", "-", options=("-S", policy))
    assert (seen["seccomp"], seen["call:getppid"]) == ("2", "EXFULL")
    assert "the start-up calls stay allowed" in seen.err
    assert inside(host, extroot, "call", "getppid", "-")["call:getppid"] == "ok"


def test_setuid_of_an_extroot_gives_nothing(host: "Host", extroot: Path) -> None:
    (extroot / "bin" / "probe").chmod(0o4755)
    seen = inside(host, extroot, "ids", options=("-U", "65534"))
    assert seen["uid"] == "65534 65534 65534"


def overlay_option(kind: str, folder: Path) -> tuple[object, ...]:
    return ("-T", "1m") if kind == "memory" else ("-O", folder / ODD)


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("with_extroot", [False, True])
def test_overlay_makes_the_root_writable(
    host: "Host", extroot: Path, folder: Path, kind: str, with_extroot: bool
) -> None:
    options = overlay_option(kind, folder)
    verbs = ["create", "/new", "mkdir", "/etc/d", "create", "/dev/x", "write", "/etc/resolv.conf"]
    run = inside if with_extroot else lambda host, _, *verbs, options: host.probe(*verbs, options=options)
    before = host.probe(*verbs, options=["-r", "/etc/group"])
    assert set(before.tries().values()) == {"EROFS"}
    for again in (False, True):
        seen = run(host, extroot, *verbs, options=options).tries()
        kept = again and kind == "disk"
        assert seen["create:/new"] == seen["mkdir:/etc/d"] == ("EEXIST" if kept else "ok"), seen
        # what is mounted over it stays as it is
        assert seen["create:/dev/x"] == seen["write:/etc/resolv.conf"] == "EROFS"
    assert (folder / ODD / "upper" / "new").exists() == (kind == "disk")
    assert not (extroot / "new").exists()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_overlay_is_read_only_where_that_is_asked_for(host: "Host", folder: Path, kind: str) -> None:
    (folder / ODD).mkdir()
    options = (*overlay_option(kind, folder), "-o")
    assert host.probe("create", "/new", options=options)["create:/new"] == "EROFS"


def test_overlay_in_memory_ends_at_its_size(host: "Host", folder: Path) -> None:
    seen = host.probe("grow", "/file", options=["-T", "256k"])
    assert seen["grow:/file"] == "ENOSPC"
    twin = host.probe("grow", f"{folder}/file", options=["-w", folder])
    assert twin[f"grow:{folder}/file"] == "ok"


@pytest.mark.parametrize("size", ["", "0", "0m", "8x", "1m,mode=0777", "123456789", "-1", "m"])
def test_overlay_of_no_size_is_refused(host: "Host", size: str) -> None:
    seen = host.probe("exit", 0, options=["-T", size])
    assert (seen.status, len(seen.err.splitlines())) == (125, 1), seen


def test_links_that_a_service_left_in_its_overlay_lead_no_mount_out(host: "Host", folder: Path) -> None:
    outside, upper = folder / "outside", folder / ODD / "upper"
    outside.mkdir()
    for name in ("dev", "etc"):
        shutil.rmtree(upper, ignore_errors=True)
        upper.mkdir(parents=True)
        (upper / name).symlink_to(outside)
        seen = host.probe("exit", 0, options=["-O", folder / ODD, "-r", f"{host.probes.marker}:/etc/x"])
        assert (seen.status, len(seen.err.splitlines())) == (125, 1), seen
        assert os.listdir(outside) == []
    (upper / "etc").unlink()
    assert (
        host.probe("exit", 0, options=["-O", folder / ODD, "-r", f"{host.probes.marker}:/etc/x"]).status == 0
    )


def test_overlay_directories_that_are_links_are_refused(host: "Host", folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    for name in ("upper", "work"):
        shutil.rmtree(folder / ODD, ignore_errors=True)
        (folder / ODD).mkdir()
        (folder / ODD / name).symlink_to(outside)
        seen = host.probe("create", "/new", options=["-O", folder / ODD])
        assert (seen.status, len(seen.err.splitlines())) == (125, 1), seen
    assert os.listdir(outside) == []


@pytest.mark.parametrize("flags", [[], ["LAUNCH_OLD_KERNEL"]])
def test_layers_are_the_same_with_the_calls_of_old_kernels(
    host: "Host", extroot: Path, folder: Path, flags: list[str]
) -> None:
    argv = ["-n", "t", "-p", "-s", "-R", str(extroot), "-r", f"{host.probes.marker}:/m", "--", "/bin/probe"]
    seen = host.driver(
        {"argv": [*argv, "cat", "/m", "create", "/new", "create", "/dev/x", "pids"], "flags": flags}
    )
    assert seen.all("line") == ["marker"] and set(seen.tries().values()) == {"EROFS"}, seen
    assert seen["pids"] == "1 2"
