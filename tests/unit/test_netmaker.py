# SPDX-License-Identifier: MIT
"""The parent's half of making a network: what the other process says is taken, or refused, and nothing stays open."""

import os
from collections.abc import Iterator

import pytest

from jail import network
from jail.errors import ConfigError, SetupError, UsageError
from jail.netmaker import OK, Making, make_and_wait, make_for_tracer, open_existing
from jail.networds import parse


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    before = os.listdir("/proc/self/fd")
    yield
    assert len(os.listdir("/proc/self/fd")) == len(before)


def making(monkeypatch: pytest.MonkeyPatch, script: str) -> Making:
    """One whose maker is this line of the shell's."""

    def become(jail_name: str, words: list[str]) -> None:
        assert (jail_name, words) == ("j", ["net=veth:eth0"])
        os.execv("/bin/sh", ["sh", "-c", script])

    monkeypatch.setattr(network, "main", become)
    return Making("j", ["net=veth:eth0"])


def refusal(made: Making) -> str:
    while not made.read():
        pass
    with pytest.raises(ConfigError) as caught:
        made.take()
    os.waitpid(made.pid, 0)
    return str(caught.value)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("printf 'network: no such thing'", "network: no such thing"),
        ("exit 3", "network: its maker ended early"),
        (r"printf '\001'", "network: its maker ended early"),
        ("echo ok; exec cat", "network: it is our own"),  # one that has made nothing
    ],
)
def test_what_is_no_network_is_refused(monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    assert refusal(making(monkeypatch, script)) == message


def test_keeper_that_has_ended_is_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made = making(monkeypatch, "echo ok")
    while not made.read():
        pass
    os.waitid(os.P_PID, made.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ConfigError, match="its keeper has ended"):
        made.take()
    os.waitpid(made.pid, 0)


def test_one_that_is_cancelled_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = making(monkeypatch, "exec cat")
    made.cancel()
    assert os.waitpid(made.pid, 0)[1] == 0
    made.kill()  # reaped: nobody is hit


def test_one_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = making(monkeypatch, "exec cat")
    made.kill()
    assert os.waitpid(made.pid, 0)[1] == 9
    made.cancel()


def test_existing_namespace_is_opened_and_a_missing_one_said() -> None:
    made = make_and_wait("j", parse(["netns:/proc/self/ns/net"], [], [], "j"))
    assert os.path.samestat(os.fstat(made.fd), os.stat("/proc/self/ns/net"))
    made.close()
    made.close()
    with pytest.raises(SetupError, match="open the network /no/such: No such file"):
        open_existing("/no/such")


def test_tracer_has_no_device_moved_in() -> None:
    with pytest.raises(UsageError, match="cannot be moved"):
        make_for_tracer("j", parse(["dev:eth0"], [], [], "j"))
    assert OK == b"ok\n"
