# SPDX-License-Identifier: MIT
"""The C halves do what the whole modules do."""

import os
import signal
import socket as whole
import warnings
from pathlib import Path

from initd.slim import accept, signal_name, socket


def test_signals_have_the_names_that_python_gives_them() -> None:
    for number in range(1, signal.NSIG):
        try:
            expected = signal.Signals(number).name
        except ValueError:
            expected = ""
        assert signal_name(number) == expected
    assert signal_name(0) == "" and signal_name(15) == "SIGTERM"


def test_a_connection_is_accepted_and_not_inherited(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "socket"))
    listener.listen(1)
    peer = whole.socket(whole.AF_UNIX)
    peer.connect(str(tmp_path / "socket"))
    connected = accept(listener)
    assert not os.get_inheritable(connected.fileno())
    connected.send(b"x")
    assert peer.recv(1) == b"x"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in (connected, peer, listener):
            each.close()
