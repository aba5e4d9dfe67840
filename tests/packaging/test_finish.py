# SPDX-License-Identifier: MIT
"""Buildroot's target after its last step: what is there for which options, and that nothing else was touched."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FINISH = REPOSITORY / "buildroot/package/stockade/finish"
SITE = "usr/lib/python3.13/site-packages"
COMMANDS = ("ujail", "utrace", "jailctl", "initd")
SERVICES = ("log", "dnsmasq", "dropbear", "httpd", "ntpd")


def make_target(place: Path, prefix: str = "usr/", merged: bool = False) -> Path:
    """What the python-package infrastructure leaves; `prefix` is where it puts setuptools' data files."""
    for folder in ("usr/bin", "usr/lib", "etc/init.d"):
        (place / folder).mkdir(parents=True)
    for name in ("bin", "lib", "sbin"):
        if merged:
            (place / "usr" / name).mkdir(exist_ok=True)
            (place / name).symlink_to(f"usr/{name}")
        else:
            (place / name).mkdir()
    names = [f"{prefix}bin/{name}" for name in COMMANDS]
    names += [f"{prefix}libexec/stockade/ubus", f"{prefix}share/man/man8/ujail.8"]
    names += [f"{SITE}/jail/libpreload-seccomp.so", f"{SITE}/initd/main.pyc"]
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o755)
    return place


def finish(target: Path, *words: str) -> Path:
    subprocess.run([FINISH, target, REPOSITORY, *words], check=True)
    return target


def files(target: Path) -> set[str]:
    return {
        str(path.relative_to(target)) for path in target.rglob("*") if path.is_file() or path.is_symlink()
    }


@pytest.mark.parametrize("merged", [False, True], ids=["split", "merged-usr"])
@pytest.mark.parametrize("prefix", ["usr/", ""], ids=["data-in-usr", "data-in-root"])
def test_commands_are_in_usr_whatever_release_put_them_there(
    tmp_path: Path, prefix: str, merged: bool
) -> None:
    target = finish(make_target(tmp_path, prefix, merged), "initd", "pid1")
    for name in COMMANDS:
        assert os.access(target / "usr/bin" / name, os.X_OK)
        assert merged or not (target / "bin" / name).exists()
    assert (target / "usr/libexec/stockade/ubus").is_file()
    assert not (target / "libexec").exists()
    assert (target / "sbin/ujail").resolve() == (target / "usr/bin/ujail").resolve()
    assert (target / "sbin/init").resolve() == (target / "usr/bin/initd").resolve()
    assert (target / "lib/libpreload-seccomp.so").resolve() == target / SITE / "jail/libpreload-seccomp.so"


def test_second_time_changes_nothing(tmp_path: Path) -> None:
    words = ("initd", "pid1", "man", "log", "dnsmasq")
    once = files(finish(make_target(tmp_path), *words))
    assert files(finish(tmp_path, *words)) == once


def test_terminals_are_process_1s_business(tmp_path: Path) -> None:
    assert "etc/inittab" in files(finish(make_target(tmp_path / "a"), "initd", "pid1"))
    assert "etc/inittab" not in files(finish(make_target(tmp_path / "b"), "initd", "service"))
    target = make_target(tmp_path / "c")
    (target / "etc").mkdir(exist_ok=True)
    (target / "etc/inittab").write_text("# an image's own\n")
    assert (finish(target, "initd", "pid1") / "etc/inittab").read_text() == "# an image's own\n"


def test_without_initd_there_is_none(tmp_path: Path) -> None:
    found = files(finish(make_target(tmp_path), "dnsmasq"))
    assert not [name for name in found if "initd" in name or "rc.common" in name or "init.d" in name]
    assert "etc/seccomp/dnsmasq.json" in found


def test_services_are_those_of_the_configuration(tmp_path: Path) -> None:
    found = files(finish(make_target(tmp_path), "initd", "pid1", "dnsmasq"))
    assert {"etc/init.d/dnsmasq", "etc/config/dnsmasq", "etc/seccomp/dnsmasq.json"} <= found
    assert {"etc/rc.d/S19dnsmasq", "etc/rc.d/K90dnsmasq", "etc/capabilities/dnsmasq.json"} <= found
    assert not [name for name in found if "dropbear" in name or "httpd" in name or "ntpd" in name]


def test_daemon_without_a_script_of_ours_gets_its_policy(tmp_path: Path) -> None:
    found = files(finish(make_target(tmp_path), "initd", "pid1", "avahi-daemon"))
    assert "etc/seccomp/avahi-daemon.json" in found and "etc/init.d/avahi-daemon" not in found


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_a_script_that_can_be_enabled(tmp_path: Path, name: str) -> None:
    target = finish(make_target(tmp_path), "initd", "pid1", name)
    script = target / "etc/init.d" / name
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert len(list((target / "etc/rc.d").iterdir())) == 2
    assert all(link.resolve() == script for link in (target / "etc/rc.d").iterdir())


def test_daemon_is_not_started_twice(tmp_path: Path) -> None:
    target = make_target(tmp_path)
    others = ("S80dnsmasq", "S50dropbear", "S01syslogd", "S40network")
    for name in others:
        (target / "etc/init.d" / name).touch()
    finish(target, "initd", "service", "log", "dnsmasq")
    left = {path.name for path in (target / "etc/init.d").iterdir()}
    assert left & set(others) == {"S50dropbear", "S40network"}
    assert os.access(target / "etc/init.d/S15stockade", os.X_OK)
    assert not (target / "sbin/init").exists()


def test_another_packages_ubus_stays(tmp_path: Path) -> None:
    target = make_target(tmp_path)
    (target / "bin/ubus").touch()
    finish(target, "initd", "pid1")
    assert not (target / "usr/bin/ubus").exists()


def test_what_another_package_has_put_there_stays(tmp_path: Path) -> None:
    target = make_target(tmp_path)
    theirs = target / "usr/share/libubox/jshn.sh"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    finish(target, "initd", "pid1")
    finish(target, "initd", "pid1")
    assert theirs.read_text() == "theirs"


def test_what_an_earlier_run_has_put_there_is_replaced(tmp_path: Path) -> None:
    target = finish(make_target(tmp_path), "initd", "pid1")
    ours = target / "lib/functions/procd.sh"
    ours.write_text("of the last version")
    finish(target, "initd", "pid1")
    assert ours.read_bytes() == (REPOSITORY / "initd/files/lib/functions/procd.sh").read_bytes()


def test_manuals_only_where_they_are_asked_for(tmp_path: Path) -> None:
    assert "usr/share/man/man8/ujail.8" in files(finish(make_target(tmp_path / "a"), "man"))
    assert not [name for name in files(finish(make_target(tmp_path / "b"))) if "man8" in name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["INITD", "INITD_PID1"], "initd pid1"),
        (["INITD", "INITD_SERVICE", "MAN"], "initd service man"),
        (["POLICIES"], "dnsmasq log httpd ntpd telnetd udhcpc"),
        ([], ""),
    ],
)
def test_recipe_asks_for_what_the_configuration_says(tmp_path: Path, options: list[str], words: str) -> None:
    """Read by make itself, with nothing of Buildroot but the two variables of packages that are there."""
    lines = [f"BR2_PACKAGE_STOCKADE_{name}=y" for name in options]
    lines += ["BR2_PACKAGE_DNSMASQ=y", "BR2_PACKAGE_BUSYBOX=y", "TARGET_DIR=/target", "STOCKADE_DIR=/source"]
    lines += ["STOCKADE_PKGDIR=/package", f"include {FINISH.parent}/stockade.mk", "all:"]
    lines += ["\t@echo $(strip $(STOCKADE_FINISH))", "\t@echo $(STOCKADE_DEPENDENCIES)"]
    (tmp_path / "Makefile").write_text("\n".join(lines) + "\n")
    done = subprocess.run(["make", "-s", "-C", tmp_path, "all"], capture_output=True, text=True, check=True)
    call, needs = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    assert call == f"/package/finish /target /source {words}".strip()
    assert needs == "host-python-cffi python-cffi"
