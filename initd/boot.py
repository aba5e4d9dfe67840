# SPDX-License-Identifier: MIT
"""The duties of process 1: a usable system before the first script, and an orderly end after the last one.

None of this may raise: what fails is said, and the rest is done. Whatever happens, process 1 does not exit.
"""

import fcntl
import os
import struct
import time

from initd import facts
from initd.mounts import leave, mount_missing
from initd.slim import signal, socket
from jail._native import lib
from jail.spec import PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Warn = Callable[[str], None]

CONSOLE = "/dev/console"
TERM_WAIT_S = 5.0  # for what is left of processes at the end
KILL_WAIT_S = 2.0
PAUSE_S = 5.0  # before another try where nothing works
REBOOT, POWEROFF, HALT = "reboot", "poweroff", "halt"
ENDS = {REBOOT: lib.RB_AUTOBOOT, POWEROFF: lib.RB_POWER_OFF, HALT: lib.RB_HALT_SYSTEM}


def prepare(warn: "Warn") -> bool:
    """File systems, console, loopback, host name. Returns whether the machine is ours, not just a namespace."""
    os.environ.setdefault("PATH", PATH)
    os.chdir("/")
    os.umask(0o022)
    mount_missing(warn)
    if not has_stderr():
        open_console(warn)
    raise_loopback(warn)
    set_hostname(warn)
    # from now on ctrl-alt-del is a signal for us; the kernel refuses that inside somebody else's machine
    return not lib.end_machine(lib.RB_DISABLE_CAD)


def has_stderr() -> bool:
    """Whether somebody may read what we say: the kernel gives its console, if it finds one before /dev is there."""
    try:
        return os.fstat(2).st_rdev != os.makedev(1, 3)  # /dev/null, from the launcher
    except OSError:
        return False


def open_console(warn: "Warn") -> None:
    """0, 1 and 2 are the console, else nothing."""
    for path in (CONSOLE, os.devnull):
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            warn(f"{path}: {error.strerror}")
            continue
        for target in range(3):
            os.dup2(fd, target)
        if fd > 2:
            os.close(fd)
        return


def raise_loopback(warn: "Warn") -> None:
    """The interface `lo` goes up; its addresses come with that."""
    any_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = struct.pack("16sH14x", b"lo", 0)
    try:
        answer = fcntl.ioctl(any_socket, lib.SIOCGIFFLAGS, request)
        flags = struct.unpack_from("16sH", answer)[1] | lib.IFF_UP
        fcntl.ioctl(any_socket, lib.SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))
    except OSError as error:
        warn(f"lo: {error.strerror}")
    finally:
        any_socket.close()


def hostname_of(uci: str, plain: str) -> str:
    """The host name out of the text of /etc/config/system, else of /etc/hostname."""
    section = ""
    for line in uci.splitlines():
        words = line.split(None, 2)
        if words[:1] == ["config"] and len(words) > 1:
            section = words[1].strip("'\"")
        elif words[:2] == ["option", "hostname"] and len(words) == 3 and section == "system":
            return words[2].strip().strip("'\"")
    lines = (line.strip() for line in plain.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def set_hostname(warn: "Warn") -> None:
    """As the firmware says; a name that was given before stays where it says nothing."""
    name = hostname_of(facts.read_text("/etc/config/system"), facts.read_text("/etc/hostname"))
    if name:
        try:
            socket.sethostname(name)
        except OSError as error:
            warn(f"host name {name!r}: {error.strerror}")


def end_system(how: str, is_machine: bool, warn: "Warn") -> "NoReturn":
    """TERM and KILL to every process, disks to rest, then the machine ends.

    Without `is_machine` it is a PID namespace that ends, and the file systems are somebody else's.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for number, wait_s in ((signal.SIGTERM, TERM_WAIT_S), (signal.SIGKILL, KILL_WAIT_S)):
        try:
            os.kill(-1, number)
        except OSError:
            break  # nobody is left
        if _wait_for_all(wait_s):
            break
    if is_machine:
        leave(warn)
    warn(f"{how} now")
    error = lib.end_machine(ENDS[how])
    if error:
        warn(f"{how}: {os.strerror(-error)}")
    while True:  # the kernel halts, or could not; either way there is nothing left to do
        time.sleep(PAUSE_S)
        if how != HALT:
            lib.end_machine(ENDS[how])


def _wait_for_all(wait_s: float) -> bool:
    """Whether every process but kernel threads ended in time: as process 1 we are the last one's parent."""
    end_s = time.monotonic() + wait_s
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        rest_s = end_s - time.monotonic()
        if rest_s <= 0:
            return False
        signal.sigtimedwait({signal.SIGCHLD}, rest_s)


def rescue(argv: list[str], warn: "Warn") -> "NoReturn":
    """Nothing works: a shell on the console, where there is one; after it, a new beginning."""
    warn("initd cannot start: a shell on the console; initd starts anew when it ends")
    try:
        pid = os.fork()
        if not pid:
            _become_shell()
        while os.wait()[0] != pid:
            pass
    except OSError as error:
        warn(f"no shell: {error.strerror}")
    while True:
        time.sleep(PAUSE_S)
        try:
            os.execv(argv[0], argv)
        except OSError as error:
            warn(f"{argv[0]}: {error.strerror}")


def _become_shell() -> "NoReturn":
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setsid()
        open_console(lambda text: None)
        fcntl.ioctl(0, lib.TIOCSCTTY, 1)
    except OSError:
        pass  # without job control, then
    try:
        os.execv("/bin/sh", ["-sh"])
    finally:
        os._exit(127)
