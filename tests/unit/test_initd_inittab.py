# SPDX-License-Identifier: MIT
"""/etc/inittab: what a line means, and what is said of one that means nothing."""

from pathlib import Path

import pytest

from initd.inittab import CTRLALTDEL, EARLY, LATE, SHUTDOWN, SYSINIT, command_of, parse, term_of

# in the style of BusyBox's example, of Buildroot's and of OpenWrt's
BUSYBOX = """\
# comment
::sysinit:/bin/mount -o remount,rw /
::sysinit:/etc/init.d/rcS
ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100 # GENERIC_SERIAL

tty2::askfirst:-/bin/sh
/dev/tty3:2345:respawn:/sbin/getty 38400 tty3
::ctrlaltdel:/sbin/reboot
::shutdown:/etc/init.d/rcK
::shutdown:/bin/umount -a -r
"""
OPENWRT = """\
::sysinit:/etc/init.d/rcS S boot
::shutdown:/etc/init.d/rcS K shutdown
::askconsole:/usr/libexec/login.sh
ttyS1::respawnlate:/usr/bin/modem
"""


def seen(text: str, *actions: str) -> list[tuple[str, str]]:
    return [(entry.tty, entry.text) for entry in parse(text).of(*actions)]


def test_busyboxs_lines_by_their_time() -> None:
    assert parse(BUSYBOX).faults == []
    assert seen(BUSYBOX, SYSINIT) == [("console", "/bin/mount -o remount,rw /")]
    assert seen(BUSYBOX, *EARLY) == [
        ("ttyS0", "/sbin/getty -L ttyS0 115200 vt100 # GENERIC_SERIAL"),
        ("tty2", "-/bin/sh"),
        ("tty3", "/sbin/getty 38400 tty3"),
    ]
    assert [entry.asks for entry in parse(BUSYBOX).of(*EARLY)] == [False, True, False]
    assert seen(BUSYBOX, CTRLALTDEL) == [("console", "/sbin/reboot")]
    assert seen(BUSYBOX, SHUTDOWN) == [("console", "/bin/umount -a -r")]


def test_openwrts_lines_and_rc_d_which_is_run_anyway() -> None:
    assert parse(OPENWRT).faults == []
    assert seen(OPENWRT, SYSINIT, SHUTDOWN) == []
    assert seen(OPENWRT, *EARLY) == [("console", "/usr/libexec/login.sh")]
    assert seen(OPENWRT, *LATE) == [("ttyS1", "/usr/bin/modem")]


def test_the_one_of_our_images_is_understood() -> None:
    table = parse((Path(__file__).resolve().parents[2] / "buildroot/files/etc/inittab").read_text())
    assert table.faults == [] and len(table.of(*EARLY)) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("::respwan:/bin/x", "no action 'respwan': did you mean \"respawn\"?"),
        ("::restart:/sbin/init", "no action 'restart'"),
        ("::respawn:", "not of the form terminal:runlevels:action:command"),
        ("::respawn:-", "not of the form terminal:runlevels:action:command"),
        ("tty1:respawn:/sbin/getty", "not of the form terminal:runlevels:action:command"),
        ("/etc/x::respawn:/bin/x", "'/etc/x' is no terminal below /dev"),
        ("../etc::respawn:/bin/x", "'../etc' is no terminal below /dev"),
    ],
)
def test_a_line_that_means_nothing_is_named_and_the_others_count(line: str, reason: str) -> None:
    table = parse(f"\n{line}\n::once:/bin/y\n")
    assert table.faults == [f"/etc/inittab:2: {reason}; the line is left out"]
    assert [entry.text for entry in table.entries] == ["/bin/y"]


@pytest.mark.parametrize(
    ("text", "program", "argv"),
    [
        ("/bin/x -a  b", "/bin/x", ["/bin/x", "-a", "b"]),
        ("/sbin/getty -L console 0 # GENERIC", "/sbin/getty", ["/sbin/getty", "-L", "console", "0"]),
        ("-/bin/ash -i", "/bin/ash", ["-ash", "-i"]),
        ("swapon -a", "/bin/sh", ["sh", "-c", "swapon -a"]),
        ("/bin/x >/dev/null", "/bin/sh", ["sh", "-c", "/bin/x >/dev/null"]),
        ("-/bin/x $A", "/bin/sh", ["-sh", "-c", "/bin/x $A"]),
    ],
)
def test_command_of_a_line(text: str, program: str, argv: list[str]) -> None:
    assert command_of(text) == (program, argv)


def test_a_colon_belongs_to_the_command() -> None:
    assert seen("::once:/bin/x a:b\n", "once") == [("console", "/bin/x a:b")]


@pytest.mark.parametrize(
    ("tty", "active", "given", "term"),
    [
        ("console", "tty0 ttyS0\n", "linux", "vt102"),
        ("console", "tty0\n", "linux", "linux"),
        ("console", "", "", "vt102"),
        ("tty2", "ttyS0\n", "", "linux"),
        ("ttyS0", "tty0\n", "linux", "vt102"),
        ("tty2", "tty0\n", "xterm", "xterm"),
    ],
)
def test_term_is_that_of_the_terminal(tty: str, active: str, given: str, term: str) -> None:
    assert term_of(tty, active, given) == term
