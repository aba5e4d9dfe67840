# SPDX-License-Identifier: MIT
"""An installed initd with a root, a bus and a log of its own, and what tests ask of it over ubus."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from initd.ubus import wire
from initd.ubus.blocking import Session
from initd.ubus.wire import UbusError

SLOWER = 5 if "STOCKADE_GUEST" in os.environ else 1
LIMIT_S = 30.0 * SLOWER
CALL_S = 20.0 * SLOWER
HERE = Path(__file__).resolve().parent


def wait_until(is_done: Callable[[], object], what: Callable[[], object]) -> None:
    """Poll; when the time is up, fail with what `what` says."""
    end_s = time.monotonic() + LIMIT_S
    while True:
        start_s = time.monotonic()
        if is_done():
            return
        now_s = time.monotonic()
        assert now_s < end_s, what()
        time.sleep(min(max(0.002, 4 * (now_s - start_s)), 0.5))  # what is waited for needs the processor more


class Supervised:
    """`stop()` it, or it is killed with all it has started."""

    def __init__(self, program: Path, folder: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.socket = str(folder / "var/run/ubus/ubus.sock")
        self.log_path = folder / "log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, str(program), "--root", str(folder), "-S", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._is_up, self.log)
        self.session = Session(self.socket, CALL_S)
        self.service = self.session.lookup_id("service")

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            with Session(self.socket, CALL_S) as session:
                session.lookup_id("service")
        except UbusError:
            return False
        return True

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def call(self, method: str, **data: Any) -> dict[str, Any]:
        answers = self.session.call(self.service, method, data)
        return dict(answers[0]) if answers else {}

    def set(self, name: str, **instances: Any) -> None:
        self.call("set", name=name, instances=instances)

    def instance(self, service: str, name: str = "one") -> dict[str, Any]:
        """Its entry in the list; {} if there is none."""
        listed: dict[str, Any] = self.call("list", name=service).get(service, {})
        found: dict[str, Any] = listed.get("instances", {}).get(name, {})
        return found

    def wait(self, service: str, name: str = "one", **fields: Any) -> dict[str, Any]:
        """Wait until the instance is listed with these values, and return its entry."""
        last: dict[str, Any] = {}

        def is_so() -> bool:
            nonlocal last
            last = self.instance(service, name)
            return all(last.get(key) == value for key, value in fields.items())

        wait_until(is_so, lambda: f"{last} is not {fields}\n{self.log()}")
        return last

    def wait_running(self, service: str, name: str = "one", other_than: int = 0) -> dict[str, Any]:
        """Wait for a process that is not that one."""
        last: dict[str, Any] = {}

        def is_so() -> bool:
            nonlocal last
            last = self.instance(service, name)
            return last.get("state") == "running" and last["pid"] != other_than

        wait_until(is_so, lambda: f"{last}\n{self.log()}")
        return last

    def wait_log(self, text: str) -> None:
        wait_until(lambda: text in self.log(), lambda: f"no {text!r} in\n{self.log()}")

    def stop(self) -> None:
        """TERM, and the orderly end."""
        self.session.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(LIMIT_S) == 0, self.log()

    def close(self) -> None:
        self.session.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def supervised(program: Path, folder: Path, prefix: tuple[str, ...] = ()) -> Iterator[Supervised]:
    """One that is killed at the end, and had no fault of its own until then."""
    made = Supervised(program, folder, prefix=prefix)
    yield made
    made.close()
    assert "Traceback" not in made.log()


def status_of_call(running: Supervised, method: str, **data: Any) -> int:
    try:
        running.call(method, **data)
    except UbusError as error:
        return error.code
    return wire.OK
