# SPDX-License-Identifier: MIT
"""Describe `jail._native` to cffi, in API mode: the headers that the C includes are the cdef.

The only file that imports cffi. Imported by setup.py, never at run time.
"""

import re
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ("preload/policy.h", "jail/native/native.h")
# shim.c and init.c are artifacts of their own, see setup.py
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("preload", "jail/native")
    for path in (ROOT / folder).glob("*.c")
    if path.name not in ("shim.c", "init.c", "_native.c")
)


def declarations(header: str) -> str:
    """Return the text of a header without what cffi's parser does not know: conditionals and includes.

    A constant keeps its name and gets its value from the C compiler.
    """
    text = (ROOT / header).read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    lines = []
    for line in text.splitlines():
        constant = re.match(r"#define\s+([A-Z]\w+)\s+\S", line)
        if constant:
            lines.append(f"#define {constant[1]} ...")
        elif not line.startswith("#"):
            lines.append(line)
    return "\n".join(lines)


ffi = cffi.FFI()
for name in HEADERS:
    ffi.cdef(declarations(name))
ffi.set_source(
    "jail._native",
    "".join(f'#include "{Path(name).name}"\n' for name in HEADERS),
    sources=SOURCES,
    include_dirs=["preload", "jail/native"],
    extra_compile_args=["-std=gnu11", "-Wall", "-Wextra", "-Wvla", "-Wshadow", "-Wno-unused-parameter"],
)
