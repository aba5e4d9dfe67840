# SPDX-License-Identifier: MIT
"""A plugin for pytest in a guest, which is slow: properties get fewer examples and no deadline."""

from typing import Any

import pytest
from hypothesis import settings

EXAMPLES = 10

settings.register_profile("guest", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
settings.load_profile("guest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Also where a test says how many: hypothesis keeps that on the test function."""
    for item in items:
        function = getattr(item, "obj", None)
        own = getattr(function, "_hypothesis_internal_use_settings", None)
        if own is not None and own.max_examples > EXAMPLES:
            target: Any = getattr(function, "__func__", function)
            target._hypothesis_internal_use_settings = settings(own, max_examples=EXAMPLES)
