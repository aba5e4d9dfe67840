# SPDX-License-Identifier: MIT
"""The files of a jail: what is staged, where, and that read-only means read-only everywhere."""

import errno
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jails import Host
    from result import Result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a file in it that other users may enter and see."""
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("text\n")
    return tmp_path


def report(seen: "Result") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(seen.err.splitlines()[-1])
    return found


def test_root_and_dev_are_read_only(host: "Host") -> None:
    verbs = [
        "mkdir",
        "/x",
        "create",
        "/y",
        "mkdir",
        "/tmp/x",
        "create",
        "/dev/x",
        "unlink",
        "/dev/null",
        "chmod",
        "/",
    ]
    inside = host.probe(*verbs)
    assert set(inside.tries().values()) == {"EROFS"}, inside
    scratch = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /dev; exec "$@"', "sh"]
    outside = host.run(
        *scratch, host.probes["static-glibc"], "create", "/dev/x", "mkdir", "/dev/y", "unlink", "/dev/x"
    )
    assert set(outside.tries().values()) == {"ok"}


def test_root_is_limited_in_size_and_in_files(host: "Host") -> None:
    line = [
        each
        for each in host.probe("cat", "/proc/self/mountinfo", options=["-p"]).all("line")
        if " / / " in each
    ]
    assert len(line) == 1 and "size=1024k" in line[0] and "nr_inodes=4096" in line[0], line
    assert " ro," in line[0] and "nosuid" in line[0] and "nodev" in line[0] and "noexec" in line[0]


def test_bind_read_only_file_cannot_be_changed(host: "Host", folder: Path) -> None:
    file = folder / "file"
    verbs = ["write", file, "chmod", file, "unlink", file, "create", folder / "new"]
    inside = host.probe(*verbs, options=["-r", file])
    assert set(inside.tries().values()) <= {"EROFS", "EBUSY"}, inside
    assert file.read_text() == "text\n"
    assert set(host.outside("write", file, "chmod", file).tries().values()) == {"ok"}


def test_bind_read_only_directory_is_so_at_every_depth(host: "Host", folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    verbs = [
        "create",
        folder / "a/b/new",
        "mkdir",
        folder / "a/new",
        "write",
        folder / "file",
        "chmod",
        folder / "a",
    ]
    inside = host.probe(*verbs, options=["-r", folder])
    assert set(inside.tries().values()) == {"EROFS"}, inside
    assert set(host.outside(*verbs).tries().values()) == {"ok"}


def test_bind_read_only_directory_takes_the_mounts_below_along_read_only(host: "Host", folder: Path) -> None:
    """The mounts are in a mount namespace of the test's own, shared as on hosts that systemd started."""
    (folder / "sub").mkdir()
    deep = folder / "sub" / "deep"
    script = (
        f"mount --make-rshared /; mount -t tmpfs one {folder}/sub; mkdir {deep}; mount -t tmpfs two {deep};"
        f'touch {deep}/file; "$@"; test -z "$(ls {deep}/made)" 2>/dev/null'
    )
    apart = [*host.apart, "sh", "-c", script, "sh"]
    verbs = ["list", deep, "create", deep / "new", "create", folder / "sub/new", "write", deep / "file"]
    inside = host.run(*apart, host.ujail, "-n", "t", "-r", folder, "--", host.probes["glibc"], *verbs)
    assert inside.all("entry") == ["file"]
    assert set(inside.tries().values()) == {"EROFS"}, inside
    assert set(host.run(*apart, host.probes["glibc"], *verbs).tries().values()) == {"ok"}


def test_mounts_of_the_jail_do_not_reach_a_host_with_a_shared_root(host: "Host", folder: Path) -> None:
    script = (
        'mount --make-rshared /; cat /proc/self/mountinfo >"$0.1"; "$@"; cat /proc/self/mountinfo >"$0.2"'
    )
    apart = [*host.apart, "sh", "-c", script, folder / "seen"]
    seen = host.run(*apart, host.ujail, "-n", "t", "-p", "-r", folder, "--", host.probes["glibc"], "exit", 5)
    assert not seen.err
    assert (folder / "seen.1").read_text() == (folder / "seen.2").read_text()


def test_bind_writable_file_is_written_on_the_host(host: "Host", folder: Path) -> None:
    file = folder / "file"
    inside = host.probe("put", file, "from inside", options=["-w", file])
    assert inside[f"put:{file}"] == "ok"
    assert file.read_text().startswith("from inside")


def test_bind_writable_directory_takes_new_files_that_the_host_sees(host: "Host", folder: Path) -> None:
    inside = host.probe("create", folder / "new", "mkdir", folder / "dir", options=["-w", folder])
    assert set(inside.tries().values()) == {"ok"}
    assert (folder / "new").exists() and (folder / "dir").is_dir()


def test_bind_has_no_devices_and_no_setuid(host: "Host", folder: Path) -> None:
    host.run("mknod", folder / "zero", "c", 1, 5)
    assert host.probe("read", folder / "zero", options=["-r", folder])[f"read:{folder}/zero"] == "EACCES"
    assert host.outside("read", folder / "zero")[f"read:{folder}/zero"] == "ok"
    line = [
        each for each in host.probe("cat", "/proc/self/mountinfo", options=["-p", "-w", folder]).all("line")
    ]
    [seen] = [each for each in line if f" {folder} " in each]
    assert "nosuid" in seen and "nodev" in seen


def test_bind_of_a_device_works_as_one(host: "Host") -> None:
    """-r of something below /dev replaces the jail's own /dev entry."""
    assert host.probe("read", "/dev/zero", options=["-r", "/dev/zero"])["read:/dev/zero"] == "ok"
    assert host.probe("read", "/x/z", options=["-r", "/dev/zero:/x/z"])["read:/x/z"] == "ok"


def test_bind_at_another_place(host: "Host", folder: Path) -> None:
    file = folder / "file"
    seen = host.probe("cat", "/etc/deep/er/name", "read", file, options=["-r", f"{file}:/etc/deep/er/name"])
    assert seen.all("line") == ["text"]
    assert seen[f"read:{file}"] == "ENOENT"
    seen = host.probe("cat", "/srv/file", "list", "/srv", options=["-r", f"{folder}:/srv"])
    assert (seen.all("line"), seen.all("entry")) == (["text"], ["file"])
    seen = host.probe("put", "/srv/file", "new!", options=["-w", f"{folder}:/srv"])
    assert file.read_text() == "new!\n"


def test_bind_first_registration_of_a_target_counts(host: "Host", folder: Path) -> None:
    other = folder / "other"
    other.write_text("other\n")
    file = folder / "file"
    seen = host.probe("cat", "/t", "write", "/t", options=["-r", f"{file}:/t", "-w", f"{other}:/t"])
    assert (seen.all("line"), seen["write:/t"]) == (["text"], "EROFS")
    seen = host.probe("cat", "/t", "write", "/t", options=["-w", f"{other}:/t", "-r", f"{file}:/t"])
    assert (seen.all("line"), seen["write:/t"]) == (["other"], "ok")


def test_bind_of_other_users_counts_where_a_user_is_named(host: "Host", folder: Path) -> None:
    """-U shows /etc/passwd by itself, after what was asked for."""
    seen = host.probe("cat", "/etc/passwd", options=["-U", "65534", "-r", f"{folder / 'file'}:/etc/passwd"])
    assert seen.all("line") == ["text"]
    assert len(host.probe("cat", "/etc/passwd", options=["-U", "65534"]).all("line")) > 1


def test_bind_writable_below_a_read_only_directory(host: "Host", folder: Path) -> None:
    (folder / "state").mkdir()
    verbs = ["create", folder / "new", "create", folder / "state/new"]
    for options in (["-r", folder, "-w", folder / "state"], ["-w", folder / "state", "-r", folder]):
        (folder / "state/new").unlink(missing_ok=True)
        assert host.probe(*verbs, options=options).tries() == {
            f"create:{folder}/new": "EROFS",
            f"create:{folder}/state/new": "ok",
        }


def test_missing_source_is_skipped_aloud(host: "Host", folder: Path) -> None:
    absent = folder / "absent"
    seen = host.probe("read", absent, "read", folder / "file", options=["-r", absent, "-w", folder / "file"])
    assert seen.status == 0
    assert len(seen.err.splitlines()) == 1
    assert "warning" in seen.err and str(absent) in seen.err
    assert seen.tries() == {f"read:{absent}": "ENOENT", f"read:{folder}/file": "ok"}


@pytest.mark.parametrize("option", ["-r", "-w"])
def test_missing_source_stops_the_start_where_the_jail_is_required(
    host: "Host", folder: Path, option: str
) -> None:
    seen = host.probe("exit", 0, options=["-E", option, folder / "absent"])
    assert (seen.status, len(seen.err.splitlines())) == (125, 1)
    assert str(folder / "absent") in seen.err


def test_program_that_is_shared_brings_its_libraries(host: "Host") -> None:
    other = host.probes["musl"]
    seen = host.probe("spawn", other, "exit", 4, options=["-r", other])
    assert seen["spawned"] == "4"
    assert host.probe("spawn", other, "exit", 4)["spawned"] == "2"  # ENOENT


def test_library_and_script_need_not_be_executable_to_be_shared(host: "Host", folder: Path) -> None:
    """Distributions install libraries with mode 0644, and scripts that are only read by others as well."""
    library, script = folder / "libprobe.so", folder / "functions.sh"
    library.write_bytes(host.probes["musl"].read_bytes())
    script.write_text("#!/bin/sh\n")
    for path in (library, script):
        path.chmod(0o644)
    seen = host.probe("read", library, "read", script, "list", "/lib", options=["-r", library, "-r", script])
    assert seen.status == 0, seen
    assert set(seen.tries().values()) == {"ok"}


def test_library_that_is_shared_brings_its_own(host: "Host") -> None:
    """As a plugin: the program opens it, nothing else names its libraries."""
    library = next(Path("/").glob("lib/*/libnetfilter_conntrack.so.3"), None)
    if library is None:
        pytest.skip("no library here that needs another one")
    needed = library.with_name("libmnl.so.0")
    assert host.probe("read", needed, options=["-r", library]).tries() == {f"read:{needed}": "ok"}
    assert host.probe("read", needed, options=["-r", "/etc/passwd"])[f"read:{needed}"] == "ENOENT"


def test_library_whose_own_is_missing_is_shown_without_it_and_that_is_said(
    host: "Host", folder: Path
) -> None:
    library = folder / "plugin.so"
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    made = host.run("gcc", "-shared", "-x", "c", "/dev/null", "-Wl,-soname,gone.so", "-o", folder / "gone.so")
    assert made.status == 0, made
    linked = ("-Wl,--no-as-needed", folder / "gone.so", "-o", library)
    assert host.run("gcc", "-shared", "-x", "c", "/dev/null", "-x", "none", *linked).status == 0
    (folder / "gone.so").unlink()
    seen = host.probe("read", library, options=["-r", library])
    assert list(seen.tries().values()) == ["ok"], seen
    assert f"what {library} needs: gone.so: not found" in seen.err
    assert host.probe("read", library, options=["-E", "-r", library]).status == 125


def test_link_that_points_out_is_resolved_on_the_host_only_at_planning(host: "Host", folder: Path) -> None:
    """A link inside a shared directory is followed in the jail, where its target is not."""
    (folder / "shared").mkdir()
    (folder / "shared" / "link").symlink_to(folder / "file")
    way = folder / "shared" / "link"
    assert host.probe("read", way, options=["-r", folder / "shared"])[f"read:{way}"] == "ENOENT"
    assert host.outside("read", way)[f"read:{way}"] == "ok"


@pytest.mark.parametrize("flags", [[], ["LAUNCH_OLD_KERNEL"]])
def test_source_replaced_after_the_plan_is_refused(host: "Host", folder: Path, flags: list[str]) -> None:
    new = folder / "new"
    new.write_text("not what was planned\n")
    argv = ["-n", "t", "-r", str(folder / "file"), "--", str(host.probes["glibc"]), "exit", "0"]
    seen = host.driver({"argv": argv, "flags": flags, "replace": [str(folder / "file"), str(new)]})
    [launch] = report(seen)["launches"]
    assert (launch["status"], launch["errno"]) == (125, errno.ESTALE), launch
    assert str(folder / "file") in launch["failed"]
    assert report(seen)["unchanged"]


def test_program_replaced_after_the_plan_is_refused(host: "Host", folder: Path) -> None:
    program, new = folder / "program", folder / "new"
    program.write_bytes(host.probes["static-glibc"].read_bytes())
    program.chmod(0o755)
    new.write_bytes(program.read_bytes())
    new.chmod(0o755)
    argv = ["-n", "t", "--", str(program), "exit", "0"]
    good = report(host.driver({"argv": argv}))
    assert good["launches"][0]["status"] == 0
    bad = report(host.driver({"argv": argv, "replace": [str(program), str(new)]}))
    assert (bad["launches"][0]["errno"], bad["unchanged"]) == (errno.ESTALE, True)


@pytest.mark.parametrize("flags", [[], ["LAUNCH_OLD_KERNEL"]])
def test_target_that_became_a_link_after_the_plan_is_refused(
    host: "Host", folder: Path, flags: list[str]
) -> None:
    place, link = folder / "w/x", folder / "link"
    place.parent.mkdir()
    place.write_text("")
    link.symlink_to("/dev/null")
    argv = ["-n", "t", "-w", f"{folder}/w:/w", "-r", f"{folder}/file:/w/x", "--"]
    argv += [str(host.probes["glibc"]), "exit", "0"]
    whole = report(host.driver({"argv": argv, "flags": flags}))
    assert whole["launches"][0]["status"] == 0
    [launch] = report(host.driver({"argv": argv, "flags": flags, "replace": [str(place), str(link)]}))[
        "launches"
    ]
    assert (launch["status"], launch["errno"]) == (125, errno.ELOOP), launch


def test_target_through_a_link_of_a_writable_directory_is_not_followed(host: "Host", folder: Path) -> None:
    """A service that can write where a later bind goes must not move the bind: the start stops."""
    (folder / "w").mkdir()
    (folder / "w" / "sub").symlink_to("/dev")
    seen = host.probe("list", "/dev", options=["-w", f"{folder}/w:/w", "-r", f"{folder}/file:/w/sub/null"])
    assert seen.status == 125, seen
    assert len(seen.err.splitlines()) == 1


def test_explain_prints_the_plan_and_starts_nothing(host: "Host", folder: Path) -> None:
    seen = host.probe("create", folder / "made", options=["--explain", "-w", folder])
    assert seen.status == 0 and not (folder / "made").exists()
    assert "pivot into the new root" in seen.out and f"bind {folder}" in seen.out


@pytest.mark.parametrize("options", [["-c"], ["-C", "cap_net_raw"], ["-c", "-U", "65534"]])
def test_wrapper_mode_has_no_namespaces_and_says_so(host: "Host", options: list[str]) -> None:
    seen = host.probe("read", host.probes.marker, "modes", "process", options=options)
    assert seen[f"read:{host.probes.marker}"] == "ok"
    assert seen["no_new_privs"] == "1"
    assert int(seen["pid"]) > 2
    assert "warning" in seen.err and "not isolated" in seen.err
    assert "warning" not in host.probe("modes").err


def test_wrapper_mode_becomes_a_jail_with_any_file_option(host: "Host") -> None:
    seen = host.probe("read", host.probes.marker, options=["-c", "-r", "/etc/passwd"])
    assert seen[f"read:{host.probes.marker}"] == "ENOENT"


def test_what_the_probe_shows_of_a_file_is_whole(host: "Host", folder: Path) -> None:
    """However long it is and its lines are: other tests count on it."""
    lines = ["short", "", "x" * 5000, *(f"{number} {'y' * 90}" for number in range(1500)), "no end"]
    path = folder / "long"
    path.write_text("\n".join(lines))
    assert host.outside("cat", path).all("line") == lines
