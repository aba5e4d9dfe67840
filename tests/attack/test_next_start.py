# SPDX-License-Identifier: MIT
"""What a service leaves in its directories, so that its next start gives it more than was meant."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jails import Host

SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


@pytest.fixture
def folder(host: "Host", tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


def test_service_gives_itself_no_capabilities(host: "Host", folder: Path, tmp_path: Path) -> None:
    for place in (folder, tmp_path):
        (place / "caps").write_text(json.dumps({name: ["CAP_SYS_ADMIN"] for name in SETS}))
    seen = host.probe("exit", 0, options=("-w", folder, "-C", folder / "caps"))
    assert seen.status == 125 and "which the jail may write" in seen.err, seen
    twin = host.probe("exit", 0, options=("-w", folder, "-C", tmp_path / "caps"))
    assert twin.status == 0, twin


@pytest.mark.parametrize("options", [(), ("-f",)], ids=["root", "user-namespace"])
def test_link_in_the_place_of_an_overlay_gives_no_directory_of_the_hosts(
    host: "Host", folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """In a user namespace who has an overlay owns its directory."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "overlay").mkdir()
    (folder / "overlay").symlink_to(tmp_path / "etc")
    seen = host.probe("exit", 0, options=(*options, "-w", folder, "-O", folder / "overlay"))
    assert seen.status == 125 and "which the jail may write" in seen.err, seen
    assert (tmp_path / "etc").stat().st_uid == 0 and not list((tmp_path / "etc").iterdir())
    twin = host.probe("exit", 0, options=(*options, "-w", folder, "-O", tmp_path / "overlay"))
    assert twin.status == 0 and list((tmp_path / "overlay").iterdir()), twin


@pytest.mark.parametrize("option", ["-P", "-M"])
def test_link_in_the_place_of_a_directory_has_nothing_written_elsewhere(
    host: "Host", folder: Path, tmp_path: Path, option: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "log").symlink_to(elsewhere)
    words = ("-w", folder, "-S", host.policy(default="SCMP_ACT_ALLOW"))
    seen = host.probe("exit", 0, options=(*words, option, folder / "log/denied"))
    assert seen.status == 125 and "it could put a link there" in seen.err, seen
    assert not list(elsewhere.iterdir())
    twin = host.probe("exit", 0, options=(*words, option, folder / "denied"))
    assert twin.status == 0 and (folder / "denied").exists(), twin


@pytest.mark.parametrize("asked", [(), ("-r", "@resolver")], ids=["unasked", "asked"])
def test_link_in_the_way_of_resolv_conf_shows_no_file_of_the_hosts(
    host: "Host", folder: Path, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    """It comes with any option that asks for files, and on OpenWrt leads through /tmp."""
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").symlink_to(folder / "resolv.conf")
    script = 'mount --bind "$0/etc" /etc && exec "$@"'
    words = (
        host.ujail,
        "-n",
        "t",
        "-w",
        folder,
        *asked,
        "--",
        host.probes["static-glibc"],
        "cat",
        "/etc/resolv.conf",
    )

    (folder / "auto").write_text("nameserver 192.0.2.1\n")
    (folder / "resolv.conf").symlink_to("auto")
    twin = host.run(*host.apart, "sh", "-ec", script, tmp_path, *words)
    assert (twin.status, twin.all("line")) == (0, ["nameserver 192.0.2.1"]), twin
    (folder / "resolv.conf").unlink()
    (folder / "resolv.conf").symlink_to(tmp_path / "secret")
    seen = host.run(*host.apart, "sh", "-ec", script, tmp_path, *words)
    assert (seen.status, seen.all("line")) == (125, []), seen
    assert "which the jail may write, leads to" in seen.err, seen


def test_link_in_the_place_of_a_live_file_gives_no_directory_of_the_hosts(
    host: "Host", folder: Path, tmp_path: Path
) -> None:
    """Where a file is seen live and writable, so is its directory."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("")
    options = ("--bind", f"{folder}/leases::rw,live")
    (folder / "leases").write_text("")
    twin = host.probe("create", "/.live/0/new", options=options)
    assert twin.status == 0 and (folder / "new").exists(), twin
    (folder / "leases").unlink()
    (folder / "leases").symlink_to(tmp_path / "etc/passwd")
    seen = host.probe("create", "/.live/0/new", options=options)
    assert seen.status == 125 and "which the jail may write, leads to" in seen.err, seen
    assert not (tmp_path / "etc/new").exists()
