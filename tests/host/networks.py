# SPDX-License-Identifier: MIT
"""A network to try jails in, for tests: starts networld.py, and asks it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jails import Host

WORLD = Path(__file__).with_name("networld.py")
PORT = 40010  # where the world listens


class World:
    """networld.py, and jails in it."""

    def __init__(self, host: "Host") -> None:
        self.host = host
        pipe = subprocess.PIPE
        words = [*host.apart, sys.executable, "-I", str(WORLD)]
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        assert self._answer() == "ready"
        self.ask(serve=PORT)
        self.before = self.links()

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the world has ended"
        return json.loads(line)

    def ask(self, **request: object) -> Any:
        assert self.process.stdin
        self.process.stdin.write(f"{json.dumps(request)}\n")
        self.process.stdin.flush()
        return self._answer()

    def links(self) -> dict[str, str]:
        """The devices, and the alias of each."""
        links: dict[str, str] = self.ask(links=1)
        return links

    def words(self, options: tuple[str, ...], verbs: tuple[object, ...]) -> list[str]:
        probe = self.host.probes["glibc"]
        return [str(word) for word in (self.host.ujail, "-n", "t", *options, "--", probe, *verbs)]

    def run(self, *words: object) -> Any:
        """A program to its end: status, output and errors."""
        [done] = self.ask(run=[[str(word) for word in words]])
        return done

    def jail(self, options: tuple[str, ...], *verbs: object) -> Any:
        """The probe in a jail: what it told and how it ended."""
        [seen] = self.jails([options], *verbs)
        return seen

    def jails(self, each: list[tuple[str, ...]], *verbs: object) -> list[Any]:
        """One with each of these options, at the same time."""
        done = self.ask(run=[self.words(options, verbs) for options in each])
        return [type(self.host.run("true"))(*result) for result in done]

    def start(self, options: tuple[str, ...], *verbs: object) -> int:
        """The same, up to its line "ready". Returns the pid of ujail."""
        pid, lines = self.ask(start=self.words(options, (*verbs, "stay")))
        assert pid, lines
        return int(pid)

    def end(self, pid: int, number: int = 0) -> int:
        return int(self.ask(end=pid, signal=number)[0])

    def wait_as_before(self) -> None:
        """The kernel takes a namespace apart in its own time."""
        self.host.until(lambda: self.links().keys() == self.before.keys(), "devices that are as before")

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
