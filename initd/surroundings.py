# SPDX-License-Identifier: MIT
"""What initd changes about its own process before it begins: descriptors, their number, its name, environment."""

import os
import resource

from jail.spec import PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.settings import Settings

NOFILE = 8192  # each peer of the broker takes a descriptor, each service up to three


def raise_nofile() -> tuple[int, int]:
    """As many descriptors as may be had, up to NOFILE: the broker makes its bound of it. Returns what it was."""
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = NOFILE if hard == resource.RLIM_INFINITY else min(NOFILE, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return before


def close_inherited() -> None:
    """Descriptors that whoever started us left open: each script and command would have them too."""
    try:
        fds = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # no /proc yet
        fds = list(range(256))
    for fd in fds:
        if fd > 2:
            try:
                os.close(fd)
            except OSError:
                continue  # the one that listed them, say


def name_process() -> None:
    """Be found under this name, and not as the interpreter."""
    try:
        with open("/proc/self/comm", "w") as file:
            file.write("initd")
    except OSError:
        return  # no /proc yet, or ever


def export(settings: "Settings") -> None:
    """What scripts and services find in their environment, beside what we found in ours."""
    os.environ.setdefault("PATH", PATH)
    os.environ["UBUS_SOCKET"] = settings.socket
    if settings.root:
        os.environ["STOCKADE_ROOT"] = settings.root
