# SPDX-License-Identifier: MIT
"""The pure parts of bringing a system up: order of scripts, missing mounts, host name, facts of the machine."""

import os
from pathlib import Path

import pytest

from initd import facts
from initd.boot import hostname_of
from initd.mounts import WANTED, leaving, missing, mount_points
from initd.rcd import in_order, list_scripts, script_command, script_name

BARE = "1 1 0:2 / / rw - rootfs none rw\n"
FULL = BARE + "".join(
    f"{number} 1 0:{number} / {mount.path} rw shared:1 - {mount.fstype} none rw\n"
    for number, mount in enumerate(WANTED, 20)
)


def test_scripts_run_in_the_order_of_bytes() -> None:
    names = ["S95done", "K10x", "S100late", "S20b", "S20a", "S00first", "README", "S", ".S10hidden"]
    assert in_order(names, "S") == ["S00first", "S100late", "S20a", "S20b", "S95done"]
    assert in_order(names, "K") == ["K10x"]


def test_scripts_are_listed_with_their_folder(tmp_path: Path) -> None:
    (tmp_path / "S2b").touch()
    (tmp_path / "S10a").touch()
    assert list_scripts(str(tmp_path), "S") == [f"{tmp_path}/S10a", f"{tmp_path}/S2b"]
    with pytest.raises(FileNotFoundError):
        list_scripts(f"{tmp_path}/none", "S")


def test_a_scripts_name_is_that_of_what_its_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "S20six").symlink_to("../init.d/6in4")
    (tmp_path / "S100web").touch()
    assert script_name(f"{tmp_path}/S20six") == "6in4"
    assert script_name(f"{tmp_path}/S100web") == "web"


def test_below_a_prefix_its_own_rc_common_is_used(tmp_path: Path) -> None:
    script = tmp_path / "x"
    script.write_text("#!/bin/sh /etc/rc.common\nSTART=10\n")
    assert script_command(str(script), "boot", "/p") == ["/bin/sh", "/p/etc/rc.common", str(script), "boot"]
    assert script_command(str(script), "boot", "") == [str(script), "boot"]
    script.write_text("#!/bin/sh\n")
    assert script_command(str(script), "boot", "/p") == [str(script), "boot"]


def test_only_what_is_missing_is_mounted() -> None:
    assert [mount.path for mount in missing(BARE)] == [mount.path for mount in WANTED]
    assert missing(FULL) == []
    without_run = "\n".join(line for line in FULL.splitlines() if " /run " not in line)
    assert [mount.path for mount in missing(without_run)] == ["/run"]


def test_mount_points_come_before_what_lies_in_them() -> None:
    seen: list[str] = []
    for mount in WANTED:
        parent = mount.path.rsplit("/", 1)[0]
        assert parent in ("", "/sys/fs", *seen)
        seen.append(mount.path)


def test_names_with_blanks_are_understood() -> None:
    assert mount_points("9 1 0:9 / /mnt/a\\040b\\134c rw - ext4 /dev/x rw\n") == ["/mnt/a b\\c"]


def test_the_last_mounted_leaves_first_and_the_kernels_own_stay() -> None:
    text = FULL + "90 1 8:1 / /mnt rw - ext4 a rw\n91 90 8:2 / /mnt/usb rw - ext4 b rw\n"
    gone, kept = leaving(text)
    assert gone[:2] == ["/mnt/usb", "/mnt"] and kept == [*gone, "/"]
    assert not {"/", "/proc", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts"} & set(gone)


@pytest.mark.parametrize(
    ("uci", "plain", "name"),
    [
        ("config system\n\toption hostname 'OpenWrt'\n", "other\n", "OpenWrt"),
        ('config system main\n\toption zone UTC\n\toption hostname "a-b"\n', "", "a-b"),
        ("config led\n\toption hostname 'no'\n", "# comment\n\nplain\n", "plain"),
        ("config system\nconfig timeserver ntp\n\toption hostname no\n", "", ""),
        ("", "", ""),
    ],
)
def test_the_host_name_is_the_firmwares(uci: str, plain: str, name: str) -> None:
    assert hostname_of(uci, plain) == name


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("system type\t\t: MIPS Malta\nmachine\t\t: mti,malta\ncpu model\t: MIPS 34Kc\n", "MIPS Malta"),
        ("processor\t: 0\nmodel name\t: Intel(R) N100\n", "Intel(R) N100"),
        ("Processor\t: ARMv7 rev 5\nmodel name\t: x\n", "ARMv7 rev 5"),
        ("processor\t: 0\nBogoMIPS\t: 48.00\n", "aarch64"),
    ],
)
def test_the_processor_is_named_as_its_architecture_does(cpuinfo: str, name: str) -> None:
    assert facts.processor(cpuinfo, "aarch64") == name


OPENWRT = """\
DISTRIB_ID='OpenWrt'
DISTRIB_RELEASE='23.05.2'
DISTRIB_REVISION='r23630-842932a63d'
DISTRIB_TARGET='ath79/generic'
DISTRIB_DESCRIPTION='OpenWrt 23.05.2 r23630-842932a63d'
DISTRIB_TAINTS=''
"""


def test_the_release_is_openwrts_or_that_of_os_release() -> None:
    assert facts.release(OPENWRT, "NAME=Other\n") == {
        "distribution": "OpenWrt",
        "version": "23.05.2",
        "revision": "r23630-842932a63d",
        "target": "ath79/generic",
        "description": "OpenWrt 23.05.2 r23630-842932a63d",
    }
    debian = 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n# no\nodd line\n'
    assert facts.release("", debian) == {
        "distribution": "Debian GNU/Linux",
        "version": "12",
        "description": "Debian 12",
    }


def test_the_firmwares_file_system_is_below_the_overlay() -> None:
    rom = "20 1 31:3 / /rom ro - squashfs /dev/root ro\n"
    overlay = "1 0 0:20 / / rw,noatime - overlay overlayfs:/overlay rw\n"
    assert facts.rootfs_type(rom + overlay) == "squashfs"
    assert facts.rootfs_type(overlay) == "overlay"
    assert facts.rootfs_type("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n") == "ext4"


def test_memory_is_in_bytes_and_load_in_fixed_point() -> None:
    text = "MemTotal:  1024 kB\nMemFree: 512 kB\nOdd\nCached: x kB\n"
    found = facts.amounts(text, facts.MEMORY)
    assert found["total"] == 1 << 20 and found["free"] == 1 << 19 and found["cached"] == 0
    assert facts.load("0.50 1.00 0.00 1/99 1234\n") == [32768, 65536, 0]
    assert facts.load("") == []


def test_info_and_board_have_openwrts_fields() -> None:
    assert list(facts.info()) == ["localtime", "uptime", "load", "memory", "root", "tmp", "swap"]
    assert {"kernel", "hostname", "system", "release"} <= set(facts.board())
    assert set(facts.space("/")) == {"total", "free", "used", "avail"}


def test_the_boards_name_is_not_what_anybody_has_put_into_tmp(tmp_path: Path) -> None:
    folder = tmp_path / "tmp" / "sysinfo"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "model").write_text("A router\n")
    os.mkfifo(folder / "board_name")  # would hold up initd
    assert facts.sysinfo(str(tmp_path), "model") == "A router"
    assert facts.sysinfo(str(tmp_path), "board_name") == ""
    assert facts.board(str(tmp_path))["model"] == "A router"
    folder.chmod(0o777)
    assert facts.sysinfo(str(tmp_path), "model") == ""
    folder.chmod(0o755)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert facts.sysinfo(str(tmp_path), "model") == ""
