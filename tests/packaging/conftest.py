# SPDX-License-Identifier: MIT
"""These tests use the guests' harness and the scripts of buildroot/, which are in the checkout and not installed."""

import sys
from pathlib import Path

# last: `jail` is the installed one
sys.path.append(str(Path(__file__).resolve().parents[2]))
