# SPDX-License-Identifier: MIT
"""What the commands do with a standard output that is full, closed, or read by nobody any more."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

BIN = Path(os.environ.get("STOCKADE_UJAIL") or Path(sysconfig.get_path("scripts"), "ujail")).parent
WORDS = (
    ("ujail", "--help"),
    ("ujail", "--explain", "-n", "x", "/bin/true"),
    ("utrace", "--version"),
    ("initd", "--help"),
    ("jailctl", "caps"),
)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_full_output_is_said_in_a_line(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / words[0], *words[1:]], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 125
    assert done.stderr in (
        f"{words[0]}: standard output: No space left on device\n",
        f"{words[0]}: x: standard output: No space left on device\n",
    )


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_who_has_read_enough_is_no_error(words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([BIN / words[0], *words[1:]], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_closed_output_is_nobodys_file(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", BIN / words[0], *words[1:]], stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
