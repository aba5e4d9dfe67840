# SPDX-License-Identifier: MIT
"""--bind, --dev, --mask, patterns and presets: what is seen inside, beside what is seen without."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

SPAWNER = Path(__file__).with_name("spawner.py")
ODD = "a:b,c\\d*e"
# a shared file system for the host, a jail that waits, and what is done meanwhile
SLAVE = """
mount -t tmpfs shared "$1"
mount --make-shared "$1"
mkdir "$1/sub" "$1/own"
mkfifo "$1/go"
shift_by="$1"; shift
meanwhile=$1; shift
"$@" <"$shift_by/go" >"$shift_by/out" &
exec 9>"$shift_by/go"
until grep -q ready "$shift_by/out" || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
cd "$shift_by"
eval "$meanwhile"
exec 9>&-
wait $!
cat out
"""


def escaped(path: object) -> str:
    return "".join(f"\\{letter}" if letter in ":,\\*?[" else letter for letter in str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path


def test_flags_hold(host: "Host", folder: Path) -> None:
    program = folder / "probe"
    shutil.copy(host.probes["static-glibc"], program)
    (folder / "file").write_text("")
    verbs = ("write", "/x/file", "exec", "/x/probe", "exit", "7")
    for flags, write, status in (
        ("", "EROFS", 7),
        ("rw", "ok", 7),
        ("rw,noexec", "ok", 0),
        ("noexec", "EROFS", 0),
    ):
        seen = host.probe(*verbs, options=("--bind", f"{folder}:/x:{flags}"))
        assert (seen.tries()["write:/x/file"], seen.status) == (write, status), (flags, seen)
        if not status:
            assert seen.tries()["exec:/x/probe"] == "EACCES"


def test_device_nodes_work_only_where_that_was_said(host: "Host", folder: Path) -> None:
    os.mknod(folder / "null", 0o20666, os.makedev(1, 3))
    for flags, result in (("rw", "EACCES"), ("rw,dev", "ok")):
        seen = host.probe("write", "/x/null", options=("--bind", f"{folder}:/x:{flags}"))
        assert seen.tries() == {"write:/x/null": result}
    seen = host.probe("write", "/x", options=("--bind", "/dev/null:/x:rw,nodev"))
    assert seen.tries() == {"write:/x": "EACCES"}


def test_missing_source_stops_the_start_unless_it_is_optional(host: "Host") -> None:
    seen = host.probe("exit", 0, options=("--bind", "/no/such"))
    assert (seen.status, seen.err.strip()) == (125, "ujail: t: /no/such: No such file or directory")
    assert host.probe("exit", 0, options=("--bind", "/no/such::optional")).status == 0


def test_names_with_every_letter_that_has_a_meaning(host: "Host", folder: Path) -> None:
    (folder / ODD).mkdir()
    (folder / ODD / "file").write_text("odd\n")
    name = escaped(folder / ODD)
    for options in (("-r", name), ("-r", f"{name}:/x"), ("--bind", f"{name}:{escaped('/x:y')}:ro")):
        target = {2: folder / ODD, 1: None}[1 + (options[1] == name)] or (
            "/x:y" if "bind" in options[0] else "/x"
        )
        assert host.probe("cat", f"{target}/file", options=options).all("line") == ["odd"]
    assert host.probe("create", "/p:q/x", options=("--tmpfs", r"/p\:q")).tries() == {"create:/p:q/x": "ok"}


def test_pattern_shows_what_it_matches(host: "Host", folder: Path) -> None:
    for name in ("a.conf", "b.conf", "c.txt"):
        (folder / name).write_text(f"{name}\n")
    seen = host.probe("list", folder, options=("-r", f"{folder}/*.conf"))
    assert sorted(seen.all("entry")) == ["a.conf", "b.conf"]
    assert host.probe("list", folder, options=("-r", folder)).all("entry").count("c.txt") == 1
    none = host.probe("exit", 0, options=("-r", f"{folder}/*.none"))
    assert none.status == 0 and "nothing matches, skipped" in none.err
    assert host.probe("exit", 0, options=("-E", "-r", f"{folder}/*.none")).status == 125


def test_pattern_is_looked_up_again_at_the_next_start(host: "Host", folder: Path) -> None:
    (folder / "a.conf").write_text("")
    table = {
        "command": [str(host.probes["glibc"]), "list", str(folder)],
        "jail": {"name": "x", "mount": {f"{folder}/*.conf": "0"}},
        "stdout": True,
    }
    (folder / "late").write_text("")
    request = {"tables": [table, dict(table)], "replace": [str(folder / "b.conf"), str(folder / "late")]}
    done = host.run(sys.executable, "-I", SPAWNER, json.dumps(request))
    seen = [sorted(entry["out"].split()[1::2]) for entry in json.loads(done.out.splitlines()[-1])[:2]]
    assert seen == [["a.conf"], ["a.conf", "b.conf"]]


def test_mask_hides_files_and_directories(host: "Host", folder: Path) -> None:
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "sub/deep/secret").write_text("secret\n")
    (folder / "secret").write_text("secret\n")
    verbs = ("cat", folder / "secret", "read", folder / "sub/deep/secret", "write", folder / "secret")
    options = ("-w", folder, "--mask", folder / "secret", "--mask", folder / "sub/deep")
    seen = host.probe(*verbs, "umount", folder / "secret", options=options)
    assert seen.all("line") == [] and "ok" not in seen.tries().values(), seen
    twin = host.probe(*verbs, options=("-w", folder))
    assert twin.all("line") == ["secret"] and set(twin.tries().values()) == {"ok"}
    user = host.probe("read", folder / "secret", options=("-U", "65534", *options))
    assert user.tries() == {f"read:{folder}/secret": "EACCES"}


def test_mask_hides_what_the_kernel_shows(host: "Host") -> None:
    verbs = ("cat", "/proc/version", "list", "/proc/fs")
    seen = host.probe(*verbs, options=("-p", "--mask", "/proc/version"))
    assert seen.all("line") == []
    assert len(host.probe(*verbs, options=("-p",)).all("line")) == 1


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("FOLDER/none", "it could come to be there"),
        ("FOLDER/link", "name what it leads to"),
        ("/proc", "kernel's"),
    ],
)
def test_mask_that_could_fail_to_hide_stops_the_start(
    host: "Host", folder: Path, mask: str, message: str
) -> None:
    (folder / "link").symlink_to("file")
    seen = host.probe("exit", 0, options=("-r", folder, "--mask", mask.replace("FOLDER", str(folder))))
    assert (seen.status, message in seen.err) == (125, True), seen


def test_mask_of_what_nothing_shows_is_said(host: "Host", folder: Path) -> None:
    words = "mask: /no/such: nothing shows it"
    for options, status in (((), 0), (("-E",), 125)):
        seen = host.probe("exit", 0, options=("-r", folder, "--mask", "/no/such", *options))
        assert (seen.status, seen.err.count(words)) == (status, 1), seen
    assert words not in host.probe("exit", 0, options=("-r", folder, "--mask", folder / "file")).err


def test_device_is_shown_by_path_or_name(host: "Host") -> None:
    for node in ("kmsg", "/dev/kmsg"):
        seen = host.probe("list", "/dev", options=("--dev", node))
        assert "kmsg" in seen.all("entry")
    assert "kmsg" not in host.probe("list", "/dev").all("entry")
    seen = host.probe("exit", 0, options=("--dev", "/etc/passwd"))
    assert (seen.status, "not a device" in seen.err) == (125, True)


@pytest.mark.parametrize("how", ["slave", ""])
def test_mounts_made_later_come_in_and_never_go_out(host: "Host", folder: Path, how: str) -> None:
    place = folder / "place"
    place.mkdir()
    probe = host.probes["glibc"]
    meanwhile = "mount -t tmpfs later sub; touch sub/new"
    words = ("-n", "t", "-C", "all", "--bind", f"{place}::rw{',slave' if how else ''}", "--", probe, "stay")
    verbs = ("read", place / "sub/new", "mount", "tmpfs", place / "own", "create", place / "own/x")
    script = f'{SLAVE}\necho outside $(ls "$shift_by/own" | wc -l)'
    unshare = (*host.apart, "sh", "-ec", script, "sh")
    seen = host.run(*unshare, place, meanwhile, host.ujail, *words, *verbs)
    # whether it was made in the jail's own mount or on the shared one: never a mount out here
    assert seen["outside"] == "0", seen
    assert seen.tries() == {
        f"read:{place}/sub/new": "ok" if how else "ENOENT",
        "mount:tmpfs": "ok",
        f"create:{place}/own/x": "ok",
    }


def test_mounts_made_later_come_in_only_where_that_was_asked_for(host: "Host", folder: Path) -> None:
    """One share that follows the host makes no other share of the same jail do so."""
    place = folder / "place"
    place.mkdir()
    meanwhile = "mount -t tmpfs later sub; touch sub/new"
    options = ("--bind", f"{place}:/followed:slave", "--bind", f"{place}:/kept")
    verbs = ("stay", "read", "/followed/sub/new", "read", "/kept/sub/new")
    command = (host.ujail, "-n", "t", *options, "--", host.probes["glibc"], *verbs)
    seen = host.run(*host.apart, "sh", "-ec", SLAVE, "sh", place, meanwhile, *command)
    assert seen.tries() == {"read:/followed/sub/new": "ok", "read:/kept/sub/new": "ENOENT"}, seen


def test_slave_of_a_private_mount_is_refused(host: "Host", folder: Path) -> None:
    line = 'mount -t tmpfs x "$0" && mount --make-private "$0" && exec "$@"'
    words = (*host.apart, "sh", "-ec", line, folder, host.ujail, "-n", "t")
    seen = host.run(*words, "--bind", f"{folder}::slave", "--", host.probes["glibc"], "exit", "0")
    assert (seen.status, "is not shared" in seen.err) == (125, True), seen


@pytest.mark.parametrize("is_live", [True, False])
def test_replaced_file_shows_its_new_content_where_that_was_asked_for(
    host: "Host", folder: Path, is_live: bool
) -> None:
    (folder / "d").mkdir()
    (folder / "d/leases").write_text("old\n")
    flag = "live" if is_live else "ro"
    jail = host.start(
        "stay",
        "cat",
        "/var/leases",
        "write",
        "/var/leases",
        options=("--bind", f"{folder}/d/leases:/var/leases:{flag}"),
    )
    host.wait_ready(jail)
    (folder / "new").write_text("new\n")
    (folder / "new").rename(folder / "d/leases")
    seen = host.finish(jail)
    assert seen.all("line") == (["new"] if is_live else ["old"])
    assert seen.tries() == {"write:/var/leases": "EROFS"}


def test_live_file_in_a_directory_of_everybody_is_warned_of(host: "Host") -> None:
    seen = host.probe("read", "/etc/hostname", options=("--bind", "/etc/hostname::live"))
    assert "live shows all of /etc" in seen.err
    assert seen.tries() == {"read:/etc/hostname": "ok"}


@pytest.mark.parametrize("name", ["resolv.conf.d", "others"])
def test_resolver_follows_the_file_in_a_directory_of_its_own(host: "Host", folder: Path, name: str) -> None:
    """As OpenWrt has it: /etc/resolv.conf → /tmp/resolv.conf → /tmp/resolv.conf.d/resolv.conf.auto."""
    (folder / name).mkdir()
    (folder / name / "auto").write_text("nameserver 192.0.2.1\n")
    (folder / "etc").mkdir()
    (folder / "etc/resolv.conf").symlink_to(folder / name / "auto")
    (folder / "etc/hosts").write_text("hosts\n")
    script = (
        'mkfifo "$0/go"; mount --bind "$0/etc" /etc; "$@" <"$0/go" >"$0/out" & exec 9>"$0/go"\n'
        'until grep -q ready "$0/out"; do sleep 0.01; done\n'
        f'echo nameserver 192.0.2.2 >"$0/new"; mv "$0/new" "$0/{name}/auto"; exec 9>&-; wait $!; cat "$0/out"'
    )
    verbs = ("stay", "cat", "/etc/resolv.conf", "cat", "/etc/hosts")
    words = (host.ujail, "-n", "t", "-r", "@resolver", "--", host.probes["static-glibc"], *verbs)
    seen = host.run(*host.apart, "sh", "-ec", script, folder, *words)
    address = "192.0.2.2" if name.startswith("resolv") else "192.0.2.1"
    assert seen.all("line") == [f"nameserver {address}", "hosts"], seen


def test_presets_bring_what_there_is_and_say_nothing_of_the_rest(host: "Host") -> None:
    seen = host.probe(
        "read", "/etc/ssl/private", "read", "/etc/localtime", options=("-r", "@tls", "-r", "@tz")
    )
    assert (seen.err, seen.tries()["read:/etc/ssl/private"]) == ("", "ENOENT")
    assert (seen.tries()["read:/etc/localtime"] == "ok") is os.path.exists("/etc/localtime")
    assert host.probe("read", "/etc/localtime").tries() == {"read:/etc/localtime": "ENOENT"}
    unknown = host.probe("exit", 0, options=("-r", "@resolve"))
    assert (unknown.status, 'did you mean "@resolver"' in unknown.err) == (125, True)


def test_missing_read_only_share_in_a_writable_one_stops_the_start(host: "Host", folder: Path) -> None:
    """Left out, the service could make it; at the next start it would be taken for the host's."""
    options = ("-w", folder, "-r", folder / "conf")
    seen = host.probe("create", folder / "conf", options=options)
    assert (seen.status, "it could make it itself" in seen.err) == (125, True), seen
    (folder / "conf").write_text("")
    assert host.probe("write", folder / "conf", options=options).tries() == {f"write:{folder}/conf": "EROFS"}
    (folder / "conf").unlink()
    assert host.probe("exit", 0, options=("-r", folder, "-r", folder / "conf")).status == 0


def test_parameters_of_a_script_do_the_same(host: "Host", folder: Path) -> None:
    (folder / "secret").write_text("secret\n")
    table = {
        "command": [str(host.probes["glibc"]), "read", "/x/secret", "write", "/x/secret", "list", "/dev"],
        "jail": {"name": "x", "bind": [f"{folder}:/x:ro"], "dev": ["kmsg"], "mask": ["/x/secret"]},
        "user": "65534",
        "stdout": True,
    }
    done = host.run(sys.executable, "-I", SPAWNER, json.dumps({"tables": [table]}))
    [entry] = json.loads(done.out.splitlines()[-1])
    lines = entry["out"].splitlines()
    assert lines[:2] == ["read:/x/secret errno 13", "write:/x/secret errno 13"] and "entry kmsg" in lines
