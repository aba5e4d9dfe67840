# SPDX-License-Identifier: MIT
"""A test that waits for what never comes fails where it waits; the suite goes on."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

OURS = str(Path(__file__).resolve().parents[1] / "conftest.py")


@pytest.mark.parametrize("answers", [False, True], ids=["nothing comes", "it comes"])
def test_a_test_that_stands_still_fails(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    plugins = request.config.pluginmanager.get_plugins()
    (conftest,) = (plugin for plugin in plugins if getattr(plugin, "__file__", "") == OURS)
    inner = conftest.pytest_runtest_call(SimpleNamespace(name="test_waits"))
    outer = signal.signal(signal.SIGALRM, signal.SIG_DFL), signal.setitimer(signal.ITIMER_REAL, 0)
    read, write = os.pipe()
    monkeypatch.setattr(conftest, "STANDSTILL_S", 0.02)
    try:
        next(inner)
        if answers:
            os.write(write, b"x")
            assert os.read(read, 1) == b"x"
        else:
            with pytest.raises(pytest.fail.Exception, match="test_waits stands still"):
                os.read(read, 1)
        with pytest.raises(StopIteration):
            next(inner)
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    finally:
        os.close(read)
        os.close(write)
        signal.signal(signal.SIGALRM, outer[0])
        signal.setitimer(signal.ITIMER_REAL, *outer[1])
