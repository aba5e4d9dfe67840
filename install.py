# SPDX-License-Identifier: MIT
"""Put the product below a directory: what pip has installed beside this interpreter, and initd's shell files.

    python install.py DESTDIR PREFIX [REPLACE]

Every path that is written is named in share/stockade/installed. A file of somebody else is kept, and said; with
`yes` as REPLACE those that talk to initd are replaced. OpenWrt's own libraries for scripts are never.
"""

import importlib.metadata
import os
import shutil
import sys
import sysconfig
from pathlib import Path

FILES = Path(__file__).resolve().parent / "initd/files"
LIBEXEC = Path("usr/libexec/stockade")  # where the shell files look
# where init scripts look before they ask for a jail, and where a policy that is put on by hand finds the shim
USUAL = {"ujail": "sbin/ujail", "utrace": "sbin/utrace", "libpreload-seccomp.so": "lib/libpreload-seccomp.so"}
NEVER = frozenset(
    (
        "lib/functions.sh",
        "lib/functions/network.sh",
        "lib/functions/service.sh",
        "lib/config/uci.sh",
        "usr/share/libubox/jshn.sh",
    )
)


class Tree:
    """A directory that becomes the root of a system, and what is ours in it."""

    def __init__(self, top: Path, prefix: Path, may_replace: bool) -> None:
        self.top = top
        self.prefix = prefix
        self.list = prefix / "share/stockade/installed"
        self.may_replace = may_replace
        self.before = self._before()
        self.ours: set[str] = set()

    def _before(self) -> set[str]:
        try:
            return set((self.top / self.list).read_text().splitlines())
        except FileNotFoundError:
            return set()

    def is_free(self, name: str) -> bool:
        """Whether the place is empty, ours already, or may be taken."""
        if not os.path.lexists(self.top / name) or name in self.before:
            return True
        return self.may_replace and name not in NEVER

    def add(self, source: Path, name: str) -> None:
        """Copy a file in one step: a script that runs meanwhile finds the old or the new one."""
        if not self.is_free(name):
            print(f"kept: /{name}, which is not ours")
            return
        target = self.top / name
        beside = target.with_name(f".{target.name}.new")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, beside)
        beside.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        os.replace(beside, target)
        self.ours.add(name)

    def link(self, name: str, target: Path) -> None:
        """A link to something else in the tree, in one step as well."""
        if not self.is_free(name):
            print(f"kept: /{name}, which is not ours")
            return
        path = self.top / name
        beside = path.with_name(f".{path.name}.new")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        # where /sbin is a link to /usr/sbin the way up is longer than it looks
        beside.symlink_to(os.path.relpath((self.top / target).resolve(), path.parent.resolve()))
        os.replace(beside, path)
        self.ours.add(name)

    def close(self) -> None:
        """Write the list; what an earlier version had and this one has not is gone."""
        for name in self.before - self.ours - {str(self.list)}:
            (self.top / name).unlink(missing_ok=True)
        path = self.top / self.list
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in sorted({*self.ours, str(self.list)})))


def add_packages(tree: Tree) -> None:
    """What pip's own record names: packages, launchers, manuals; at the same places of another prefix."""
    # not the first that is found: that may be what a build has left in this directory
    found = importlib.metadata.distributions(name="stockade", path=[sysconfig.get_path("platlib")])
    files = [file for distribution in found for file in distribution.files or ()]
    if not files:
        sys.exit("install: stockade is not installed beside this interpreter")
    for file in files:
        source = Path(os.path.normpath(str(file.locate())))
        target = tree.prefix / source.relative_to(sys.prefix)
        tree.add(source, str(target))
        if source.name == "policy.py":  # json-filters lie beside it
            tree.link(str(tree.prefix / "share/stockade/json-filters"), target.parent / "json-filters")
        if source.name in USUAL:
            tree.link(USUAL[source.name], target)


def add_shell_files(tree: Tree) -> None:
    """These have absolute places, whatever the prefix."""
    for source in sorted(path for path in FILES.rglob("*") if path.is_file()):
        tree.add(source, str(source.relative_to(FILES)))
    ubus = tree.prefix / "libexec/stockade/ubus"
    if ubus != LIBEXEC / "ubus":
        tree.link(str(LIBEXEC / "ubus"), ubus)


def main(destdir: str, prefix: str, replace: str = "") -> None:
    os.umask(0o022)  # directories, too, are for all users: services are not root
    tree = Tree(Path(destdir or "/"), Path(prefix.strip("/")), replace == "yes")
    add_packages(tree)
    add_shell_files(tree)
    tree.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
