# SPDX-License-Identifier: MIT
"""Port rules in a network that others use: Landlock's, as one step. Asks the kernel what it knows; no effects."""

from jail import raresteps, steps
from jail._native import lib
from jail.errors import ConfigError, UsageError
from jail.networds import PortRule
from jail.spec import JailSpec

ABI_WITH_PORTS = 4  # Linux 6.7
PORTS_MAX = 1024


def port_step(spec: JailSpec) -> steps.Step:
    """Raises UsageError for rules that Landlock has no words for, ConfigError where the kernel has none."""
    network = spec.network()
    assert network
    binds, connects = _ports("bind", network.binds), _ports("connect", network.connects)
    if lib.landlock_abi() < ABI_WITH_PORTS:
        raise ConfigError(
            "bind and connect rules in the host's network need Landlock of Linux 6.7; a network of its own needs none"
        )
    return raresteps.ports(binds, connects)


def _ports(what: str, rules: list[PortRule]) -> list[int]:
    own = "in the host's network; give the jail one of its own"
    out: list[int] = []
    for rule in rules:
        if rule.protocol != "tcp":
            raise UsageError(f"{what}: {rule.protocol} ports cannot be held {own}")
        if rule.address:
            raise UsageError(f"{what}: addresses cannot be held {own}")
        if rule.high - rule.low + len(out) >= PORTS_MAX:
            raise UsageError(f"{what}: more than {PORTS_MAX} ports cannot be held {own}")
        out += range(rule.low, rule.high + 1)
    return out
