# SPDX-License-Identifier: MIT
"""Which process is the service of a jail, where others have numbers that look like its own."""

import pytest

from jail import procfs, running


def test_service_is_not_a_process_of_a_namespace_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jail that may make namespaces can leave PID 1 a child whose last number is the service's."""
    numbers = {30: "30\t7\t2", 40: "40\t2"}
    monkeypatch.setattr(running, "_children", lambda pid: list(numbers))
    monkeypatch.setattr(procfs, "status", lambda pid: {"NSpid": numbers[pid]})
    assert running._child(20, "2") == 40
    assert running._child(20, "7") == 30
    with pytest.raises(StopIteration):
        running._child(20, "3")
