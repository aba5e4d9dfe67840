# SPDX-License-Identifier: MIT
"""What `utrace --paths` proposes: names that a program made up cannot make lines or options of their own."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jail.propose import propose
from jail.trace import Touch

NASTY = "a\n  -w etc\x1b[2J b"


def proposed(*touches: tuple[str, str, int]) -> list[str]:
    program: Any = SimpleNamespace(name="/bin/true", calls={})
    trace: Any = SimpleNamespace(
        programs=[program],
        touches=[Touch(call, os.fsencode(path), mode, early=False) for call, path, mode in touches],
    )
    return propose(trace, None)


def test_names_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / NASTY
    path.touch(mode=0o644)
    path.chmod(0o644)
    lines = proposed(("open", str(path), os.O_RDONLY), ("open", str(tmp_path / "gone" / NASTY), os.O_RDONLY))
    owner = f"{path.owner()}:{path.group()} 0644"
    assert lines == [
        "proposed options of ujail:",
        f"  -r $'{tmp_path}/a\\012  -w etc\\033\\\\[2J b'  # {owner}, read",
        "looked for, not there now:",
        f"  $'{tmp_path}/gone/a\\012  -w etc\\033[2J b'",
    ]


def test_what_is_made_in_a_folder_covers_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "x y").touch()
    lines = proposed(
        ("open", str(tmp_path / "x y"), os.O_RDONLY),
        ("open", str(tmp_path / "new"), os.O_WRONLY | os.O_CREAT),
    )
    (line,) = lines[1:]
    assert line.startswith(f"  -w {tmp_path}  # ") and line.endswith("new was made in it")
