# SPDX-License-Identifier: MIT
"""Run by test_initd_syslog.py in a mount namespace of its own: initd's log beside BusyBox syslogd on a /dev of its own.

Argument: a folder. Prints what was seen as JSON.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from initd.children import Children
from initd.log import INFO, Log
from initd.loop import Loop
from initd.output import Output

LIMIT_S = 20
LINES = 200_000


def own_dev() -> None:
    """A /dev that syslogd can put its socket into."""
    subprocess.run(["mount", "-t", "tmpfs", "dev", "/dev"], check=True)
    for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
        os.mknod(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(1, minor))


class Driver:
    """The log, syslogd, and the file that it writes."""

    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.children = Children(self.loop)
        self.log = Log(self.loop)
        self.file = folder / "messages"
        self.pid = 0
        self.seen: dict[str, object] = {}

    def start_syslogd(self) -> None:
        line = ["busybox", "syslogd", "-n", "-O", str(self.file)]
        Path("/dev/log").unlink(missing_ok=True)
        self.pid = os.posix_spawnp(line[0], line, os.environ)
        self.until(Path("/dev/log").exists)

    def stop_syslogd(self) -> None:
        ended: list[int] = []
        self.children.watch(self.pid, ended.append)
        os.kill(self.pid, signal.SIGKILL)
        self.until(lambda: bool(ended))

    def texts(self) -> list[str]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line for line in lines if "syslogd" not in line]

    def until(self, is_done: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_done():
            if time.monotonic() > end_s:
                raise TimeoutError(f"{len(self.texts())} lines, {len(self.log._backlog)} wait")
            self.loop.step(0.05)

    def flood(self) -> None:
        """More lines than anybody wants, from a real process, while a timer of the loop watches the time."""
        ended: list[int] = []
        turns = [self.loop.now()]

        def turn() -> None:
            turns.append(self.loop.now())
            self.loop.after(0.01, turn)

        turn()
        reads, writes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writes, True)
        actions = [(os.POSIX_SPAWN_DUP2, writes, 1)]
        pid = os.posix_spawnp("seq", ["seq", str(LINES)], os.environ, file_actions=actions)
        os.close(writes)
        output = Output(self.loop, self.log, reads, "flood", pid, INFO, "local0")
        self.children.watch(pid, ended.append)
        started_s = self.loop.now()
        self.until(lambda: bool(ended) and output.is_closed)
        self.until(lambda: not self.log._backlog)
        self.log.info("end of the flood")
        self.until(lambda: "end of the flood" in "".join(self.texts()[-1:]))
        self.seen["flood"] = [line for line in self.texts() if "flood[" in line]
        self.seen["status"] = ended[0]
        self.seen["took_s"] = self.loop.now() - started_s
        self.seen["gap_s"] = max(after - before for before, after in pairwise(turns))

    def full_socket(self) -> None:
        """syslogd stands still, the socket fills, and nobody waits for it."""
        os.kill(self.pid, signal.SIGSTOP)
        for number in range(400):
            self.log.info(f"still {number}")
        self.seen["waited"] = len(self.log._backlog)
        os.kill(self.pid, signal.SIGCONT)
        self.until(lambda: sum("still" in line for line in self.texts()) == 400)
        self.seen["still"] = [line for line in self.texts() if "still" in line]

    def restart(self) -> None:
        """syslogd goes away and comes back with a new socket."""
        self.log.info("restart 0")
        self.until(lambda: "restart 0" in self.texts()[-1])
        self.stop_syslogd()
        self.log.info("restart 1")
        self.loop.step(0.3)
        self.log.info("restart 2")
        self.start_syslogd()
        self.log.info("restart 3")
        self.until(lambda: "restart 3" in self.texts()[-1])
        self.seen["restart"] = [line for line in self.texts() if "restart" in line]

    def forge(self) -> None:
        """What would begin a new line, or a new message, does not."""
        self.log.write(INFO, "a\n<0>Jan  1 00:00:00 forged: b\0c", "svc\nx", 7)
        self.until(lambda: "forged" in self.texts()[-1])
        self.seen["forged"] = self.texts()[-1]


def main() -> None:
    own_dev()
    driver = Driver(Path(sys.argv[1]))
    driver.start_syslogd()
    for scene in (driver.flood, driver.full_socket, driver.restart, driver.forge):
        scene()
    driver.stop_syslogd()
    print(json.dumps(driver.seen))


if __name__ == "__main__":
    main()
