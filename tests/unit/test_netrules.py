# SPDX-License-Identifier: MIT
"""Port rules as nf_tables has them: closed first, then what was named, then the answer to all else."""

from typing import Any

from jail._native import lib
from jail.netrules import commands
from jail.networds import parse


def made(bind: list[str], connect: list[str]) -> list[tuple[str, dict[str, Any]]]:
    return commands(parse([], bind, connect, "j"))


def names(settings: dict[str, Any]) -> list[str]:
    return [dict(expression["attrs"])["NFTA_EXPR_NAME"] for expression in settings["expressions"]]


def test_every_way_is_closed_before_anything_is_opened() -> None:
    found = made(["tcp:53"], ["udp:1"])
    assert [name for name, _ in found[:5]] == ["table", "chain", "chain", "chain", "rule"]
    hooks = {dict(settings["hook"]["attrs"])["NFTA_HOOK_HOOKNUM"] for _, settings in found[1:4]}
    assert hooks == {lib.NF_INET_LOCAL_IN, lib.NF_INET_LOCAL_OUT, lib.NF_INET_FORWARD}
    assert {settings["policy"] for _, settings in found[1:4]} == {lib.NF_DROP}


def test_each_rule_stands_in_its_chain_before_the_refusal() -> None:
    found = [settings for name, settings in made(["tcp:53", "udp:53"], ["tcp:1"]) if name == "rule"]
    chains = [settings["chain"] for settings in found]
    assert (chains.count("input"), chains.count("output")) == (6, 6)
    refusals = {"input": [["reject"]], "output": [["meta", "cmp", "reject"], ["reject"]]}
    for chain, last in refusals.items():
        inside = [names(settings) for settings in found if settings["chain"] == chain]
        assert inside[-len(last) :] == last
        assert {each[-1] for each in inside[: -len(last)]} == {"immediate"}


def test_address_is_compared_below_its_mask() -> None:
    rules = [settings for name, settings in made([], ["tcp:10.1.2.3/12:443"]) if name == "rule"]
    [rule] = [settings for settings in rules if names(settings).count("payload") == 2]
    text = repr(rule["expressions"])
    assert repr(bytes([255, 240, 0, 0])) in text and repr(bytes([10, 0, 0, 0])) in text
    assert repr((443).to_bytes(2, "big")) in text
