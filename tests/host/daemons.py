# SPDX-License-Identifier: MIT
"""The daemons that have a policy: what their scenarios need, and a call that each cannot do without.

tests/scenarios/NAME starts, uses, reloads and ends the daemon; test_daemons.py plays it, policies.py watches it.
"""

import os
import shutil
import sys
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
BORROWED = Path(sys.prefix) / "daemons"  # tests/guest/borrowed.py has put them there
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LIBCS = ("glibc", "musl")
FORKS = ("clone", "clone3", "fork", "vfork")
POLLS = ("poll", "ppoll", "ppoll_time64")
EPOLLS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


class Daemon:
    """One of them. `needed` are a call's names, and it is not one of sockets: on i386 all of these are socketcall.

    `debian`: it is one of those that are only unpacked. `libcs`: BusyBox's servers are built for these besides.
    """

    __slots__ = ("debian", "libcs", "name", "needed", "programs")

    def __init__(
        self,
        name: str,
        programs: str,
        needed: tuple[str, ...],
        *,
        debian: bool = False,
        libcs: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.programs = programs.split()
        self.needed = needed
        self.debian = debian
        self.libcs = libcs

    def builds(self) -> list[str]:
        """The ways to have it: "debian", or the libcs of a BusyBox of our own."""
        return list(self.libcs) or ["debian"]

    def environment(self, build: str) -> dict[str, str] | str:
        """What its scenario finds in the environment; or why it cannot be played here."""
        if build in self.libcs:
            found = _borrowed("SCENARIO_BUSYBOX", f"busybox-{build}")
        else:
            found = _borrowed("SCENARIO_DEBIAN", "debian") if self.debian else {}
        missing = [program for program in self.programs if not shutil.which(program, path=PATH)]
        return f"{missing[0]} is not installed" if missing and isinstance(found, dict) else found


def _borrowed(variable: str, name: str) -> dict[str, str] | str:
    path = BORROWED / name
    if path.exists():
        return {variable: str(path.resolve())}
    if "STOCKADE_GUEST" in os.environ:
        return "guests have no such daemon"
    return f"{path} is not there (python -m tests.guest.borrowed {BORROWED})"


DAEMONS = {
    daemon.name: daemon
    for daemon in (
        Daemon("avahi-daemon", "ip", POLLS, debian=True),
        Daemon("chronyd", "ip", ("select", "_newselect", "pselect6", "pselect6_time64"), debian=True),
        Daemon("dnsmasq", "dnsmasq busybox dig ip", POLLS),
        Daemon("dropbear", "dropbear dbclient busybox ip", FORKS),
        Daemon("httpd", "busybox ip", FORKS, libcs=LIBCS),
        Daemon("lighttpd", "busybox ip", EPOLLS, debian=True),
        Daemon("mosquitto", "busybox ip openssl", EPOLLS, debian=True),
        # of its master, which starts dead workers again
        Daemon("nginx", "busybox ip openssl", ("rt_sigsuspend", "sigsuspend"), debian=True),
        Daemon("ntpd", "ip", POLLS, libcs=LIBCS),
        Daemon("telnetd", "busybox ip", FORKS, libcs=LIBCS),
        Daemon("udhcpc", "busybox dnsmasq ip", FORKS, libcs=LIBCS),
    )
}
