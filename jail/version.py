# SPDX-License-Identifier: MIT
"""The version, in a file of its own: asking the installed distribution for it imports half the library."""

VERSION = "0.1.0"
