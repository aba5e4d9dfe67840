# SPDX-License-Identifier: MIT
"""What /proc says of a process is read line by line, whatever the process is called and where others mount."""

from pathlib import Path

import pytest

from jail import procfs
from jail.shares import _is_on_shared_mount

ENDS = ["\r", "\v", "\x1c", "\x85", "\u2028"]  # of a line, for others than the kernel


@pytest.mark.parametrize("end", ENDS)
def test_name_of_a_process_is_no_line_of_its_status(end: str) -> None:
    own = Path("/proc/self/comm")
    before = own.read_text()
    try:
        own.write_bytes(f"a{end}Mark: 1".encode())
        found = procfs.status(int(Path("/proc/self").readlink().name))
    finally:
        own.write_text(before.rstrip("\n"))
    assert "Mark" not in found and found["Name"].endswith("Mark: 1")


@pytest.mark.parametrize("end", ENDS)
def test_mount_point_of_a_user_is_no_line_of_its_own(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel escapes the newline alone, and fusermount mounts where a user says."""
    mounts = tmp_path / "mountinfo"
    text = f"1 2 0:3 / / rw shared:1 - ext4 a rw\n9 1 0:9 / /home/u/a{end}b rw - fuse.x{end}y b rw\n"
    mounts.write_bytes(text.encode())
    monkeypatch.setattr(procfs, "MOUNTINFO", str(mounts))
    assert _is_on_shared_mount(str(tmp_path))
    assert not _is_on_shared_mount(f"/home/u/a{end}b")
