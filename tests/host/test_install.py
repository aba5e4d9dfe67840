# SPDX-License-Identifier: MIT
"""install.py: the tree that comes out, and that what is somebody else's stays as it is."""

import os
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Host: TypeAlias = Any
ROOT = Path(__file__).resolve().parents[2]
SHELL_FILES = {
    str(path.relative_to(ROOT / "initd/files"))
    for path in (ROOT / "initd/files").rglob("*")
    if path.is_file()
}
LIST = "usr/share/stockade/installed"


@pytest.fixture(autouse=True)
def installed() -> None:
    in_place = Path(sysconfig.get_path("platlib"), "jail/_native.pyi").exists()
    if not in_place or "STOCKADE_GUEST" in os.environ:  # guests get theirs by another way
        pytest.skip("nothing that pip has installed beside this interpreter")


def install(host: Host, top: Path, prefix: str = "/usr", replace: str = "") -> str:
    done = host.run(sys.executable, ROOT / "install.py", top, prefix, replace)
    assert done.status == 0, done
    return str(done.out)


def files(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_symlink() or not path.is_dir()}


def test_the_tree_is_what_the_list_says_and_runs_from_there(host: Host, tmp_path: Path) -> None:
    assert install(host, tmp_path) == ""
    found = files(tmp_path)
    assert found == set((tmp_path / LIST).read_text().split())
    assert found >= SHELL_FILES
    assert {
        "usr/bin/ujail",
        "usr/bin/initd",
        "usr/libexec/stockade/ubus",
        "usr/share/man/man7/procd.sh.7",
        "usr/share/man/man8/initd.8",
    } <= found
    assert {path.split("/")[0] for path in found} == {"etc", "lib", "sbin", "usr"}
    assert (tmp_path / "usr/share/stockade/json-filters/dnsmasq.json").is_file()
    assert os.access(tmp_path / "sbin/service", os.X_OK)
    assert host.run(tmp_path / "usr/bin/initd", "--version").status == 0
    assert host.run(tmp_path / "usr/bin/ujail", "-n", "x", "--", "/bin/true").status == 0


def test_a_tree_made_under_a_strict_umask_is_open_to_all_users(host: Host, tmp_path: Path) -> None:
    """Services are not root, and their programs' libraries lie in these directories."""
    done = host.run(
        "sh", "-c", 'umask 077; exec "$@"', "sh", sys.executable, ROOT / "install.py", tmp_path, "/usr"
    )
    assert done.status == 0, done
    below = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert {path.stat().st_mode & 0o777 for path in below if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in below if path.is_file()} == {0o755, 0o644}


@pytest.mark.parametrize("prefix", ["/usr", "/opt/stockade"])
@pytest.mark.parametrize("is_merged", [False, True])
def test_jails_are_where_init_scripts_look(host: Host, tmp_path: Path, prefix: str, is_merged: bool) -> None:
    """`[ -x /sbin/ujail ]` comes before procd_add_jail: without it the service would run with no jail at all."""
    for name in ("sbin", "lib"):
        (tmp_path / "usr" / name).mkdir(parents=True)
        if is_merged:
            (tmp_path / name).symlink_to(f"usr/{name}")
    assert install(host, tmp_path, prefix) == ""
    assert host.run(tmp_path / "sbin/ujail", "-n", "x", "--", "/bin/true").status == 0
    assert host.run(tmp_path / "sbin/utrace", "--version").out.startswith("utrace ")
    shim = (tmp_path / "lib/libpreload-seccomp.so").resolve(strict=True)
    policy = tmp_path / "usr/share/stockade/json-filters/dnsmasq.json"
    by_hand = {"SECCOMP_FILE": str(policy), "LD_PRELOAD": str(tmp_path / "lib/libpreload-seccomp.so")}
    assert shim.is_relative_to(tmp_path) and policy.exists() == (prefix == "/usr")
    if policy.exists():
        assert host.run("/bin/true", env=by_hand).status == 0
        assert host.run("/usr/bin/env", "/bin/true", env=by_hand).status == 128 + signal.SIGSYS  # no execve
    assert install(host, tmp_path, prefix) == ""


def test_another_prefix_has_a_link_for_the_shell_files(host: Host, tmp_path: Path) -> None:
    install(host, tmp_path, "/opt/stockade")
    link = tmp_path / "usr/libexec/stockade/ubus"
    assert os.readlink(link) == "../../../opt/stockade/libexec/stockade/ubus"
    assert host.run(link, "-s", "/none", "list").err == "Failed to connect to ubus\n"


def test_a_file_in_the_links_place_is_kept_and_said(host: Host, tmp_path: Path) -> None:
    theirs = tmp_path / "usr/libexec/stockade/ubus"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    assert install(host, tmp_path, "/opt/stockade") == "kept: /usr/libexec/stockade/ubus, which is not ours\n"
    assert theirs.read_text() == "theirs\n"


def test_what_is_not_ours_is_kept_and_said(host: Host, tmp_path: Path) -> None:
    for name in ("sbin/service", "lib/functions.sh", "etc/other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("theirs\n")
    said = install(host, tmp_path)
    assert said == "kept: /lib/functions.sh, which is not ours\nkept: /sbin/service, which is not ours\n"
    for name in ("sbin/service", "lib/functions.sh", "etc/other"):
        assert (tmp_path / name).read_text() == "theirs\n"
    assert not {"sbin/service", "lib/functions.sh"} & set((tmp_path / LIST).read_text().split())


def test_replacing_leaves_openwrts_libraries(host: Host, tmp_path: Path) -> None:
    for name in ("sbin/service", "lib/functions.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("theirs\n")
    assert install(host, tmp_path, replace="yes") == "kept: /lib/functions.sh, which is not ours\n"
    assert (tmp_path / "sbin/service").read_bytes() == (ROOT / "initd/files/sbin/service").read_bytes()


def test_installing_again_updates_and_removes_what_is_gone(host: Host, tmp_path: Path) -> None:
    install(host, tmp_path)
    (tmp_path / "lib/functions.sh").write_text("older\n")
    (tmp_path / "lib/gone.sh").touch()
    (tmp_path / "lib/other.sh").touch()
    with open(tmp_path / LIST, "a") as names:
        names.write("lib/gone.sh\n")
    assert install(host, tmp_path) == ""
    assert files(tmp_path) == {*(tmp_path / LIST).read_text().split(), "lib/other.sh"}
    assert (tmp_path / "lib/functions.sh").read_text() != "older\n"
