# SPDX-License-Identifier: MIT
"""Run the commands that build guests: what they say goes to a log, and its end is shown when one fails."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

TAIL_LINES = 40
TRIES = 4
PAUSE_S = 5


class GuestError(Exception):
    """A guest could not be made or did not end as it should; the message says all."""


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def run(*command: object, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a command in the background of the machine, its output appended to `log`."""
    words = ["nice", "-n", "10", *map(str, command)]
    with open(log, "a") as out:
        out.write(f"\n$ {' '.join(words[3:])}\n")
        out.flush()
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    if done.returncode:
        raise GuestError(f"{words[3]} ended with {done.returncode}; the end of {log}:\n{tail(log)}")


def output(*command: object, env: Mapping[str, str] | None = None) -> str:
    """What a command prints; an error with its stderr when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise GuestError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def download(
    *command: object, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run a command that fetches something, again when it fails: a mirror has hiccups."""
    for attempt in range(1, TRIES + 1):
        try:
            return run(*command, log=log, cwd=cwd, env=env)
        except GuestError:
            if attempt == TRIES:
                raise
            time.sleep(PAUSE_S * attempt)
