# SPDX-License-Identifier: MIT
"""The object `system` on the bus: what this machine is, how it does, and its end."""

import os

from initd import facts
from initd.slim import signal
from initd.ubus import wire
from initd.ubus.blob import INT8, INT32
from initd.ubus.object import Method, Object
from initd.ubus.wire import UbusError
from initd.watchdog_device import Watchdog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initd.ubus.blob import Table
    from initd.ubus.object import Call


class System:
    """`reboot` is None where this process may not end the machine."""

    def __init__(
        self, watchdog: Watchdog, root: str = "", reboot: "Callable[[], None] | None" = None
    ) -> None:
        self._watchdog = watchdog
        self._reboot = reboot
        self.object = Object(
            "system",
            {
                "board": Method(lambda call: facts.board(root)),
                "info": Method(lambda call: facts.info(root)),
                "reboot": Method(self._end),
                "watchdog": Method(
                    self._feed, {"frequency": INT32, "timeout": INT32, "magicclose": INT8, "stop": INT8}
                ),
                "signal": Method(_send_signal, {"pid": INT32, "signum": INT32}, ("pid", "signum")),
            },
        )

    def _end(self, call: "Call") -> None:
        if self._reboot is None:
            raise UbusError(wire.NOT_SUPPORTED)
        self._reboot()

    def _feed(self, call: "Call") -> "Table":
        dog, data = self._watchdog, call.data
        frequency, timeout = _positive(data, "frequency"), _positive(data, "timeout")
        try:
            if timeout:
                dog.set_timeout(timeout)
            if frequency:
                # fed later than it bites, it would bite
                dog.frequency_s = max(1, min(frequency, dog.timeout_s // 2))
            if "magicclose" in data:
                dog.is_magic = bool(data["magicclose"])
            if "stop" in data:
                dog.stop() if data["stop"] else dog.start()
        except OSError as error:
            raise UbusError(wire.UNKNOWN_ERROR) from error
        return {
            "status": dog.state,
            "timeout": dog.timeout_s,
            "frequency": dog.frequency_s,
            "magicclose": dog.is_magic,
        }


def _positive(data: "Table", key: str) -> int:
    value = data.get(key, 0)
    if not isinstance(value, int) or value < 0:
        raise UbusError(wire.INVALID_ARGUMENT)
    return value


def _send_signal(call: "Call") -> None:
    pid, number = call.data["pid"], call.data["signum"]
    assert isinstance(pid, int) and isinstance(number, int)
    # 0, -1 and the rest of the negative ones mean many processes, and one is asked for
    if pid <= 0 or not 0 <= number < signal.NSIG:
        raise UbusError(wire.INVALID_ARGUMENT)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise UbusError(wire.NOT_FOUND) from None
    except PermissionError:
        raise UbusError(wire.PERMISSION_DENIED) from None
