# SPDX-License-Identifier: MIT
"""What initd's command line says: the table of options, the usage text, and where everything lies."""

import os

from initd.ubus.acl import ACL_DIR
from initd.ubus.client import SOCKET_PATH
from jail.errors import UsageError
from jail.options import number, parse
from jail.options import usage as make_usage

INIT_DIR = "/etc/init.d"
RC_DIR = "/etc/rc.d"
LOG_SOCKET = "/dev/log"
# see jail/options.py
OPTIONS: tuple[tuple[str, ...], ...] = (
    ("Bus",),
    ("s", "socket", "PATH", f"ubus socket (default: $UBUS_SOCKET or {SOCKET_PATH})"),
    ("", "acl-dir", "DIR", f"ACL files, where initd is the broker (default {ACL_DIR})"),
    ("Scripts",),
    ("I", "init-dir", "DIR", f"init scripts (default {INIT_DIR})"),
    ("R", "rc-dir", "DIR", f"their links in the order of the boot (default {RC_DIR})"),
    ("", "boot", "", "run them with `boot` first and with `shutdown` at the end"),
    ("", "root", "PREFIX", "all of these defaults, and the log socket, lie below a directory"),
    ("Log",),
    ("S", "stderr", "", "log to stderr too"),
    ("d", "debug", "LEVEL", "1: log each change of an instance too"),
    ("Help",),
    ("", "help", "", "this text"),
    ("", "version", "", "print the version"),
)
HEAD = """\
usage: initd [OPTION]...
Start the services that init scripts ask for over ubus, each in its jail, and keep them running.
As process 1 it also brings the system up and down."""
FOOT = """\
TERM and INT stop all services, then initd; HUP reads the ACL files again. Exit status: 0, 125 failed to start.
As process 1 it never exits: TERM reboots, USR1 halts, USR2 powers off, and /etc/inittab is read."""


class Settings:
    """Paths and switches, complete."""

    __slots__ = (
        "acl_dir",
        "answer",
        "debug",
        "has_boot",
        "init_dir",
        "log_socket",
        "rc_dir",
        "root",
        "socket",
        "to_stderr",
    )

    def __init__(self, given: dict[str, str]) -> None:
        self.answer = next((name for name in ("help", "version") if name in given), "")
        self.root = given.get("root", "").rstrip("/")
        if self.root and not self.root.startswith("/"):
            raise UsageError(f"--root needs an absolute path, not {self.root!r}")
        socket = os.environ.get("UBUS_SOCKET") or self.root + SOCKET_PATH
        self.socket = given.get("socket") or socket
        self.acl_dir = given.get("acl-dir") or self.root + ACL_DIR
        self.init_dir = given.get("init-dir") or self.root + INIT_DIR
        self.rc_dir = given.get("rc-dir") or self.root + RC_DIR
        self.log_socket = self.root + LOG_SOCKET
        self.has_boot = "boot" in given
        self.to_stderr = "stderr" in given
        self.debug = number("--debug", given.get("debug", "0"))


def read_settings(args: list[str], is_first: bool = False) -> Settings:
    """Command line → settings. Raises UsageError.

    The kernel hands to process 1 all words of its own command line that it does not know.
    """
    options = parse(args, OPTIONS)
    if options.argv and not is_first:
        raise UsageError(f"{options.argv[0]!r} is no option; see initd --help")
    return Settings(options.given)


def usage() -> str:
    """The help text."""
    return make_usage(HEAD, OPTIONS, FOOT)
