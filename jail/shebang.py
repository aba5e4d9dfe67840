# SPDX-License-Identifier: MIT
"""The `#!` line of a script, as the kernel reads it. Imported where there is one."""

import os

from jail.elffile import Script, refuse

SHEBANG_BYTES = 256  # BINPRM_BUF_SIZE since Linux 5.1


def read_script(name: str, head: bytes) -> Script:
    """The kernel's reading of a `#!` line: at most 256 bytes, one interpreter, the rest is one argument.

    Source: execve(2); fs/binfmt_script.c since Linux 5.1.
    """
    buffer = head[:SHEBANG_BYTES]
    line, newline, _ = buffer[2:].partition(b"\n")
    line = line.lstrip(b" \t")
    if not newline and len(buffer) == SHEBANG_BYTES:
        line = line[:-1]  # the kernel keeps the last byte for a NUL
        if not any(end in line for end in (b" ", b"\t", b"\0")):
            raise refuse(name, f"#! line with an interpreter longer than {SHEBANG_BYTES} bytes")
    line = line.partition(b"\0")[0].rstrip(b" \t")
    if not line:
        raise refuse(name, "#! without an interpreter")
    interpreter = line.replace(b"\t", b" ").partition(b" ")[0]
    argument = line[len(interpreter) :].lstrip(b" \t")
    return Script(os.fsdecode(interpreter), os.fsdecode(argument))
