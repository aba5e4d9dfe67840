# SPDX-License-Identifier: MIT
"""The one error tree. Only the commands print; nothing here knows how."""

EXIT_FAILURE = 125  # ours
EXIT_CANNOT_EXECUTE = 126
EXIT_NOT_FOUND = 127


class JailError(Exception):
    """Something that stops a start. str() is one line without the program's name."""

    status = EXIT_FAILURE


class UsageError(JailError):
    """The command line is wrong."""


class ConfigError(JailError):
    """A policy, a capability set or a service is wrong; the text starts with its path:line:column, if any."""


class SetupError(JailError):
    """A step of the set-up failed. `step` describes it; `__cause__` is the OSError."""

    def __init__(self, step: str, cause: OSError, status: int = EXIT_FAILURE) -> None:
        super().__init__(f"{step}: {cause.strerror}")
        self.step = step
        self.status = status
