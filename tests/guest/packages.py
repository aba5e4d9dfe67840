# SPDX-License-Identifier: MIT
"""Debian packages of any architecture, by an apt of our own: the machine's dpkg state is never touched.

Where the packages come from is what the machine's own apt is configured to use, less the security suite (it
does not have every architecture).
"""

import shutil
import subprocess
import time
from pathlib import Path

from tests.guest.cache import cache_folder, kept
from tests.guest.shell import GuestError, download, output, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
INDEX_AGE_S = 24 * 3600


def machine_sources(log: Path) -> list[tuple[str, str]]:
    """(address, suite) of Debian in the machine's configuration; its lists of packages say which that is."""
    found = known_sources()
    if not found:
        download("apt-get", "update", "-q", log=log)
        found = known_sources()
    if not found:
        raise GuestError("apt knows no Debian source: this has to be a Debian machine")
    return found


def known_sources() -> list[tuple[str, str]]:
    fields = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)|$(RELEASE)"
    found = []
    for line in output("apt-get", "indextargets", "--format", fields, "Created-By: Packages").splitlines():
        origin, label, component, address, suite = line.split("|")
        if (origin, label, component) == ("Debian", "Debian", "main") and (address, suite) not in found:
            found.append((address, suite))
    return found


def backports(sources: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Where the machine's Debian has newer packages for the same release."""
    return [(address, f"{suite}-backports") for address, suite in sources if "-" not in suite]


class Apt:
    """An apt for one architecture, with an empty dpkg state; one for backports knows nothing else, so that nothing
    comes from there that was not asked for there."""

    def __init__(self, arch: str, from_backports: bool = False) -> None:
        self.arch = arch
        self.from_backports = from_backports
        self.folder = cache_folder() / "apt" / (f"{arch}-backports" if from_backports else arch)
        self.log = self.folder / "log"
        for name in ("state/lists/partial", "cache/archives/partial", "etc/sources.d"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.env = {"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}
        self._configure()
        self._update()

    def _configure(self) -> None:
        (self.folder / "status").touch()
        (self.folder / "apt.conf").write_text(
            f'APT::Architecture "{self.arch}";\n'
            f'#clear APT::Architectures;\nAPT::Architectures {{ "{self.arch}"; }};\n'
            'APT::Sandbox::User "root";\n'
            "Acquire::Retries 3;\nAcquire::Languages none;\n"
            f'Dir::State "{self.folder}/state";\nDir::State::status "{self.folder}/status";\n'
            f'Dir::Cache "{self.folder}/cache";\n'
            f'Dir::Etc::sourcelist "{self.folder}/etc/sources.list";\n'
            f'Dir::Etc::sourceparts "{self.folder}/etc/sources.d";\n'
        )
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        found = machine_sources(self.log)
        # sources are the same for all architectures: one list of them is enough
        with_sources = self.arch == "amd64" and not self.from_backports
        lines = [
            f"{kind} {signed}{address} {suite} main\n"
            for address, suite in (backports(found) if self.from_backports else found)
            for kind in ("deb", *["deb-src"] * with_sources)
        ]
        (self.folder / "etc/sources.list").write_text("".join(lines))

    def _update(self) -> None:
        stamp = self.folder / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > INDEX_AGE_S:
            download("apt-get", "update", "-q", log=self.log, env=self.env)
            stamp.touch()

    def newest(self, metapackage: str) -> str:
        """The package that a metapackage stands for: its first dependency."""
        shown = output("apt-cache", "show", "--no-all-versions", metapackage, env=self.env)
        for line in shown.splitlines():
            if line.startswith("Depends: "):
                return line.removeprefix("Depends: ").split()[0].rstrip(",")
        raise GuestError(f"{self.arch}: {metapackage} depends on nothing")

    def fetch(self, names: list[str], into: Path) -> None:
        """Download .deb files; the error names the packages that this architecture does not have."""
        known = set(output("apt-cache", "pkgnames", env=self.env).split())
        missing = [name for name in names if name not in known]
        if missing:
            raise GuestError(f"no such package for {self.arch}: {' '.join(missing)}")
        download("apt-get", "download", "-q", *names, log=self.log, cwd=into, env=self.env)

    def fetch_source(self, name: str, into: Path) -> None:
        download("apt-get", "source", "-q", "--download-only", name, log=self.log, cwd=into, env=self.env)


def unpack(arch: str, names: list[str], into: Path) -> None:
    """Unpack packages into a directory; nothing of them is run."""
    unpack_from(Apt(arch), names, into)


def unpack_from(apt: Apt, names: list[str], into: Path) -> None:
    debs = into / ".debs"
    debs.mkdir(parents=True)
    apt.fetch(names, debs)
    for deb in sorted(debs.iterdir()):
        run("dpkg", "-x", deb, into, log=debs.parent / ".log")
    shutil.rmtree(debs)
    (into / ".log").unlink()


def unpacked(arch: str, name: str, names: list[str]) -> Path:
    """The kept directory into which these packages are unpacked."""
    return kept(f"{name}-{arch}", names, lambda place: unpack(arch, names, place))


def source(name: str, log: Path, into: Path) -> Path:
    """Unpack the upstream source of a Debian source package; returns its directory."""
    files = into / f"{name}.files"
    files.mkdir()
    Apt("amd64").fetch_source(name, files)
    archive = next(
        path for path in files.iterdir() if ".orig.tar." in path.name and not path.name.endswith(".asc")
    )
    place = into / name
    place.mkdir()
    run("tar", "-xf", archive, "-C", place, "--strip-components=1", log=log)
    shutil.rmtree(files)
    return place


def machine_arch() -> str:
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
