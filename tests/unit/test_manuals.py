# SPDX-License-Identifier: MIT
"""The manuals of utrace and jailctl name what the commands understand. Those of the others: with their options."""

import re
from pathlib import Path

import pytest

from jail import jailctl, utrace

MAN = Path(__file__).resolve().parents[2] / "man"
LISTED = {"utrace": utrace.OPTIONS, "jailctl": jailctl.OPTIONS}


@pytest.mark.parametrize("command", LISTED)
def test_every_option_is_in_the_manual(command: str) -> None:
    manual = (MAN / f"{command}.8").read_text()
    for short, long, *_ in (row for row in LISTED[command] if len(row) > 1):
        both = rf"Fl {short} , -{long}\b" if short else rf"Fl -{long}\b"
        assert re.search(both, manual), long


def test_every_command_of_jailctl_is_in_its_manual() -> None:
    manual = (MAN / "jailctl.8").read_text()
    for words, *_ in jailctl.COMMANDS:
        assert re.search(rf"^\.It Cm (\w+ , )*{words}\b", manual, re.MULTILINE), words
