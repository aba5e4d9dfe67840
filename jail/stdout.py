# SPDX-License-Identifier: MIT
"""What a command was asked to say, on standard output. Imported when there is something to say."""

import posix
import sys

from jail.errors import JailError

EXIT_PIPE = 141  # as of a program that SIGPIPE ended: whoever read has seen enough


def show(text: str | bytes) -> None:
    """All of it, at once: an error is the caller's, and not a complaint of the interpreter's at its end.

    Raises JailError; SystemExit where nobody reads.
    """
    try:
        # UTF-8 whatever the locale: names of files are the bytes that they were
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
        sys.stdout.buffer.flush()
    except OSError as error:
        posix.dup2(posix.open("/dev/null", posix.O_WRONLY), 1)  # for what is still held back
        if isinstance(error, BrokenPipeError):
            raise SystemExit(EXIT_PIPE) from None
        raise JailError(f"standard output: {error.strerror}") from error
