# SPDX-License-Identifier: MIT
"""The file of denied calls: appended to, bounded, and never another file."""

import errno
import json
from pathlib import Path

import pytest

from jail import eventlog
from jail.denial import Denial
from jail.eventlog import EventLog


def denial() -> Denial:
    return Denial(1, "x86_64", 77, program="x", service="s")


def test_lines_are_added(tmp_path: Path) -> None:
    path = tmp_path / "events"
    for _ in range(2):
        events = EventLog(str(path))
        events.write(denial())
        events.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["syscall"], line["pid"]) for line in lines] == [("write", 77)] * 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_does_not_fit_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog, "MAX_BYTES", 300)
    path = tmp_path / "events"
    events = EventLog(str(path))
    for _ in range(10):
        events.write(denial())
    events.close()
    text = path.read_text()
    assert len(text) <= 300 and events.lost + text.count("\n") == 10 and text.endswith("}\n")


def test_what_has_a_second_name_or_is_no_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "hard").hardlink_to(target)
    for name in ("hard", "target"):
        with pytest.raises(OSError) as caught:
            EventLog(str(tmp_path / name))
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(OSError):
        EventLog("/dev/null")


def test_what_a_link_leads_to_is_neither_written_nor_made(tmp_path: Path) -> None:
    """Who may write the directory would choose the file otherwise: one link to it is all that it has."""
    precious, missing = tmp_path / "precious", tmp_path / "missing"
    precious.write_text("")
    for target in (precious, missing):
        link = tmp_path / f"to {target.name}"
        link.symlink_to(target)
        with pytest.raises(OSError) as caught:
            EventLog(str(link))
        assert caught.value.errno == errno.ELOOP
    assert not missing.exists()
