# SPDX-License-Identifier: MIT
"""Start a script: a session of its own, nothing to read, one pipe for all that it prints, initd's environment."""

import os
import resource

from initd.slim import signal
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class ScriptStarter:
    """Callable as start(argv) → pid, descriptors to read. `nofile` is the limit that initd itself began with."""

    def __init__(self, nofile: tuple[int, int]) -> None:
        self.nofile = nofile

    def __call__(self, argv: list[str]) -> tuple[int, list[int]]:
        """Raises OSError where there is no process; a program that cannot be executed ends with 126 or 127."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(ours, False)
            pid = os.fork()
        except OSError:
            os.close(ours)
            os.close(theirs)
            raise
        if not pid:
            self._become(argv, theirs)
        os.close(theirs)
        return pid, [ours]

    def _become(self, argv: list[str], out: int) -> "NoReturn":
        """Whatever happens, this copy of initd does not go on."""
        status = EXIT_CANNOT_EXECUTE
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            resource.setrlimit(resource.RLIMIT_NOFILE, self.nofile)
            os.execv(argv[0], argv)
        except FileNotFoundError as error:
            status = EXIT_NOT_FOUND
            _say(f"{argv[0]}: {error.strerror}")
        except OSError as error:
            _say(f"{argv[0]}: {error.strerror}")
        finally:
            os._exit(status)


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode("utf-8", "surrogateescape"))
