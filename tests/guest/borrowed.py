# SPDX-License-Identifier: MIT
"""The daemons that tests use and this machine does not run: Debian's, unpacked, and BusyBox's servers, built.

Nothing is installed but libraries (the Makefile's DAEMON_PACKAGES): a package's own scripts would make users and
start services.

    python -m tests.guest.borrowed DIRECTORY

leaves links to what is kept in a directory: "debian", a root, and "busybox-glibc" and "busybox-musl", programs.
"""

import shutil
import sys
from pathlib import Path

from tests.guest.arches import ARCHES
from tests.guest.cache import kept
from tests.guest.packages import machine_arch
from tests.guest.servers import busybox
from tests.guest.shell import GuestError, download, run

PACKAGES = (
    *("lighttpd", "nginx", "nginx-common", "mosquitto", "mosquitto-clients", "chrony"),
    *("avahi-daemon", "busybox"),
)


def unpack(place: Path) -> None:
    """As the machine's own apt would install them."""
    debs = place / "debs"
    debs.mkdir()
    log = place / "log"
    try:
        run("apt-get", "download", "-q", *PACKAGES, log=log, cwd=debs)
    except GuestError:
        # no list of packages yet, or an old one
        download("apt-get", "update", "-q", log=log)
        download("apt-get", "download", "-q", *PACKAGES, log=log, cwd=debs)
    for deb in sorted(debs.iterdir()):
        run("dpkg", "-x", deb, place, log=log)
    shutil.rmtree(debs)
    # in jails and as other users
    place.chmod(0o755)


def fetch(folder: Path) -> None:
    made = {"debian": kept(f"debian-daemons-{machine_arch()}", ["1", *PACKAGES], unpack)}
    for libc in ("glibc", "musl") if machine_arch() == "amd64" else ():
        made[f"busybox-{libc}"] = busybox(ARCHES["x86_64"], libc)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in made.items():
        beside = folder / f".{name}"
        beside.unlink(missing_ok=True)
        beside.symlink_to(path)
        beside.rename(folder / name)


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except GuestError as error:
        sys.exit(f"the daemons for the tests are not there: {error}")
