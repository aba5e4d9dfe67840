# SPDX-License-Identifier: MIT
"""Rules go to the kernel together: all of them are in force, or none, and what it did not take is said."""

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jail.nftables import TOGETHER

if TYPE_CHECKING:
    from jails import Host

pytest.importorskip("pyroute2")
CODE = """
from jail import nftables, pyroute
from jail._native import lib
if lib.make_network():
    raise SystemExit("no network namespace")
pyroute.load(pyroute.RULES)
TABLE = ("table", {"name": "jail"})
def put(*commands):
    try:
        nftables.put(list(commands))
        print("ok")
    except nftables.Refused as error:
        print(error.what, error.strerror, sep=": ")
def chain(number, table="jail"):
    return ("chain", {"table": table, "name": f"c{number}"})
"""


def said(host: "Host", line: str) -> list[str]:
    words = [*host.apart, sys.executable, "-I", "-c", f"{CODE}{line}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_transaction_that_is_refused_leaves_nothing(host: "Host") -> None:
    missing = "chain: No such file or directory"
    assert said(host, "put(TABLE, chain(1, 'other')); put(chain(1))") == [missing, missing]
    assert said(host, "put(TABLE, chain(1)); put(chain(2))") == ["ok", "ok"]


def test_more_than_one_transaction_holds(host: "Host") -> None:
    """The kernel's answers to all that somebody may ask for would not fit into one socket."""
    count = 3 * TOGETHER
    lines = (
        f"put(TABLE, *map(chain, range({count})))",
        *(f"put(('rule', {{'table': 'jail', 'chain': 'c{number}'}}))" for number in (0, count - 1, count)),
    )
    *ok, refused = said(host, "; ".join(lines))
    assert ok == ["ok"] * 3 and refused == "rule: No such file or directory"


def test_transaction_that_may_not_begin_is_refused(host: "Host") -> None:
    """Its beginning is answered then, and nothing else of it."""
    line = "import os; os.setuid(65534); put(TABLE)"
    assert said(host, line) == ["transaction: Operation not permitted"]
    assert said(host, "put(TABLE)") == ["ok"]
