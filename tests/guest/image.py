# SPDX-License-Identifier: MIT
"""The disk of a guest: its kept root, the product built for it, and the checkout with the tests."""

import shlex
import shutil
from pathlib import Path
from py_compile import PycInvalidationMode

from tests.guest import artifacts, boot
from tests.guest.arches import Arch
from tests.guest.filters import write_expected
from tests.guest.root import PYTHON, packages_folder, precompile, rewrite, root
from tests.guest.servers import busybox
from tests.guest.shell import run

HERE = Path(__file__).resolve().parent
SPARE_KIB = 16 * 1024


def environment(arch: Arch) -> dict[str, str]:
    """What the tests in a guest find in their environment."""
    return {
        # Debian's Python: packages are where Debian's own are, not in /usr/local
        "DEB_PYTHON_INSTALL_LAYOUT": "deb",
        "STOCKADE_GUEST": arch.name,
        "STOCKADE_PREBUILT": "/guest/programs",
        "STOCKADE_EXPECTED": "/guest/expected",
        "STOCKADE_UJAIL": "/usr/bin/ujail",
        "PYTHONPATH": "/stockade/tests/guest/inside:/stockade/tests/unit",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/.hypothesis",
    }


def write_image(arch: Arch, work: Path, log: Path, only: list[str]) -> Path:
    """Make root.ext4 in `work`. `only` are pytest's words, if it is not to run the suites."""
    place, source, image = work / "root", work / "source", work / "root.ext4"
    run("cp", "-a", root(arch), place, log=log)
    artifacts.copy_source(source)
    artifacts.install(arch, source, place, log)
    artifacts.programs(arch, source, place / "guest/programs", log)
    shutil.copy(busybox(arch, "musl"), place / "usr/bin/busybox-musl")
    write_expected(arch.name, place / "guest/expected")
    if not arch.debian:
        shutil.copy(HERE / "setpriv", place / "usr/bin/setpriv")
    # BIND's takes half a second to start
    shutil.copy(place / "guest/programs/dig-static-musl", place / "usr/bin/dig")
    for name in ("late.sh", "suites.sh"):
        (place / "guest" / name).write_bytes((HERE / name).read_bytes())
    boot.add_files(place)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment(arch).items()]
    (place / "guest/environment").write_text("".join(lines))
    (place / "guest/run").write_text(f"exec sh /guest/suites.sh {shlex.join(only)}\n")
    artifacts.copy_source(place / "stockade")
    rewrite(place / packages_folder(arch), [place / "stockade/tests"], log)
    # what tests import is not rewritten; with the times of files, for they may be changed in a guest's shell
    precompile(place / "stockade/tests", place, mode=PycInvalidationMode.TIMESTAMP)
    # Debian's looks for its crash reports at each start
    (place / f"usr/lib/{PYTHON}/sitecustomize.py").unlink(missing_ok=True)
    used_kib = sum(path.lstat().st_size // 1024 + 5 for path in place.rglob("*"))
    options = ["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "root_owner=0:0"]
    run("mkfs.ext4", *options, "-d", place, image, f"{used_kib * 11 // 10 + SPARE_KIB}k", log=log)
    return image
