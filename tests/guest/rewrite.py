# SPDX-License-Identifier: MIT
"""Do here what pytest would do in a guest with each module whose asserts it explains: rewrite and compile.

    PYTHONPATH=the guest's packages python -P rewrite.py FOLDER...

It takes a mips guest minutes. What is written is what pytest's own import hook writes.
"""

import sys
from pathlib import Path
from typing import Any

from _pytest.assertion.rewrite import PYC_TAIL, _rewrite_test, _write_pyc_fp

NO_CONFIG: Any = None


def rewrite(path: Path) -> None:
    source_hash, code = _rewrite_test(path, NO_CONFIG)
    out = path.parent / "__pycache__" / (path.stem + PYC_TAIL)
    out.parent.mkdir(exist_ok=True)
    with open(out, "wb") as file:
        _write_pyc_fp(file, source_hash, code)


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).rglob("*.py")):
            rewrite(path)
