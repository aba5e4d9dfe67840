# SPDX-License-Identifier: MIT
"""The root of the image: out of a guest's root only what the image's programs need, the product, and its settings.

Every file belongs to a part (python, stockade, dnsmasq, …), whose sizes are told.
"""

import os
import py_compile
import shutil
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from buildroot.image.busybox import busybox
from buildroot.python_modules import modules
from jail.elf import closure
from tests.guest import artifacts, compilers
from tests.guest.arches import Arch
from tests.guest.root import ETC, LINKS, PYTHON, REPOSITORY, packages_folder, root
from tests.guest.shell import run
from tests.guest.toolchain import toolchain

FILES = REPOSITORY / "buildroot/files"
SHELL_FILES = REPOSITORY / "initd/files"
SERVICES = ("log", "dnsmasq", "dropbear", "httpd", "ntpd")
POLICIES = ("dnsmasq", "dropbear", "httpd", "ntpd")
FOLDERS = (
    *("dev", "proc", "sys", "run", "tmp", "root", "mnt", "www", "etc/dropbear", "etc/rc.d", "etc/seccomp"),
    *("var/empty", "var/lib/misc", "usr/lib"),
)
VAR_LINKS = {"run": "../run", "lock": "../run/lock", "log": "../tmp/log", "tmp": "../tmp"}
INDEX = "<!doctype html><title>router</title><p>served from a jail</p>\n"
# where procd's own are, and firmware expects them
COMMANDS = {"sbin/init": "/usr/bin/initd", "sbin/ujail": "/usr/bin/ujail", "sbin/utrace": "/usr/bin/utrace"}
PROGRAMS = {"dnsmasq": ("usr/sbin/dnsmasq",), "dropbear": ("usr/sbin/dropbear", "usr/bin/dropbearkey")}


class Tree:
    """A root that is being filled, and which part each file is of."""

    def __init__(self, place: Path, log: Path) -> None:
        self.place = place
        self.log = log
        self.parts: dict[str, str] = {}  # file → part

    def real(self, name: str) -> Path:
        """A path in it; /bin, /lib and so on are links into /usr."""
        first, _, rest = name.partition("/")
        return self.place / ("usr/" + name if first in LINKS and rest else name)

    def add(self, part: str, source: Path, name: str) -> Path:
        target = self.real(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        self.parts.setdefault(str(target.relative_to(self.place)), part)
        return target

    def link(self, part: str, name: str, leads_to: str) -> None:
        path = self.real(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            path.symlink_to(leads_to)
            self.parts.setdefault(str(path.relative_to(self.place)), part)

    def add_tree(self, part: str, source: Path, name: str = "") -> None:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                self.add(part, path, os.path.join(name, path.relative_to(source)))

    def add_program(self, part: str, source: Path, name: str, modules: tuple[str, ...] = ()) -> None:
        """A program of another root, what it loads later, and the libraries that these are linked with."""
        for one in (name, *modules):
            self.add(part, (source / one).resolve(), one)
        loads = tuple(f"/{one}" for one in modules)
        for path in closure(f"/{name}", loads, root=str(source)).files:
            inside = path.lstrip("/")
            if not os.path.lexists(self.real(inside)):
                self.add("libraries", Path(os.path.realpath(source / inside)), inside)

    def sizes(self) -> dict[str, int]:
        """Part → bytes of its files."""
        found: dict[str, int] = {}
        for name, part in self.parts.items():
            found[part] = found.get(part, 0) + os.lstat(self.place / name).st_size
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def make_tree(arch: Arch, work: Path) -> Tree:
    """Fill work/image; returns it."""
    tree = Tree(work / "image", work / "log")
    for name in FOLDERS:
        (tree.place / name).mkdir(parents=True, exist_ok=True)
    for name in LINKS[:3]:
        (tree.place / "usr" / name).mkdir(exist_ok=True)
        (tree.place / name).symlink_to(f"usr/{name}")
    (tree.place / "tmp").chmod(0o1777)
    source = root(arch)
    if (source / "usr/lib64").is_dir():
        (tree.place / "usr/lib64").mkdir(exist_ok=True)
        (tree.place / "lib64").symlink_to("usr/lib64")
    add_userland(tree, arch, source)
    add_python(tree, arch, source)
    add_product(tree, arch, work)
    add_settings(tree)
    strip(tree, arch)
    return tree


def add_userland(tree: Tree, arch: Arch, source: Path) -> None:
    for part, names in PROGRAMS.items():
        for name in names:
            tree.add_program(part, source, name)
    program = busybox(arch)
    tree.add("busybox", program, "bin/busybox")
    add_libraries(tree, source, program)
    for line in program.with_name("links").read_text().split():
        if line.lstrip("/") not in COMMANDS:  # its init is there for the boot in which it is process 1
            tree.link("busybox", line.lstrip("/"), "/bin/busybox")
    tree.link("busybox", "bin/sh", "busybox")


def add_libraries(tree: Tree, source: Path, program: Path) -> None:
    """What a program that is not of that root is linked with; it has no odd places to look in."""
    left = [program]
    while left:
        for name in needed(left.pop()):
            path = min((source / "usr/lib").rglob(name))
            inside = str(path.relative_to(source))
            if not os.path.lexists(tree.real(inside)):
                left.append(tree.add("libraries", path.resolve(), inside))


def needed(program: Path) -> list[str]:
    with open(program, "rb") as file:
        dynamic = ELFFile(file).get_section_by_name(".dynamic")
        assert isinstance(dynamic, DynamicSection), program
        # pyelftools makes the attribute as it reads the tag
        return [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]  # type: ignore[attr-defined]


def add_python(tree: Tree, arch: Arch, source: Path) -> None:
    """The interpreter and the modules of our list, compiled, without sources."""
    tree.link("python", "usr/bin/python3", PYTHON)
    library = f"usr/lib/{PYTHON}"
    (tree.place / library / "lib-dynload").mkdir(parents=True, exist_ok=True)
    compiled: list[Path] = []
    for name in modules():
        plain = name.replace(".", "/")
        for candidate in (f"{plain}/__init__.py", f"{plain}.py"):
            if (source / library / candidate).is_file():
                add_compiled(tree, "python", source / library / candidate, f"{library}/{candidate}c")
                break
        compiled += sorted((source / library / "lib-dynload").glob(f"{plain}.*so"))
    compiled += sorted((source / packages_folder(arch)).glob("_cffi_backend*.so"))
    tree.add_program(
        "python", source, f"usr/bin/{PYTHON}", tuple(str(path.relative_to(source)) for path in compiled)
    )


def add_compiled(tree: Tree, part: str, source: Path, name: str) -> None:
    """NAME.pyc beside where NAME.py would be, which Python imports as well."""
    target = tree.place / name
    target.parent.mkdir(parents=True, exist_ok=True)
    py_compile.compile(
        str(source),
        str(target),
        dfile=f"/{name.removesuffix('c')}",
        doraise=True,
        quiet=1,
        optimize=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    tree.parts[name] = part


def add_product(tree: Tree, arch: Arch, work: Path) -> None:
    """What setup.py builds for this machine, and the files that init scripts need."""
    built = work / "product"
    artifacts.copy_source(work / "source")
    (built / packages_folder(arch)).mkdir(parents=True)
    artifacts.install(arch, work / "source", built, tree.log)
    packages = built / packages_folder(arch)
    for package, part in (("jail", "stockade"), ("initd", "stockade-initd")):
        for path in sorted((packages / package).rglob("*")):
            name = f"{packages_folder(arch)}/{path.relative_to(packages)}"
            if path.suffix == ".py":
                add_compiled(tree, part, path, f"{name}c")
            elif path.is_file() and path.suffix not in (".pyc", ".pyi"):
                tree.add("stockade-policies" if "json-filters" in name else part, path, name)
    for name in ("ujail", "utrace", "jailctl", "initd"):
        tree.add(
            "stockade-initd" if name == "initd" else "stockade", built / "usr/bin" / name, f"usr/bin/{name}"
        )
    tree.add("stockade-initd", built / "usr/libexec/stockade/ubus", "usr/libexec/stockade/ubus")
    tree.link("stockade-initd", "usr/bin/ubus", "../libexec/stockade/ubus")
    tree.add_tree("stockade-initd", SHELL_FILES)
    for name, leads_to in COMMANDS.items():
        tree.link("stockade-initd" if name == "sbin/init" else "stockade", name, leads_to)
    tree.link("stockade", "lib/libpreload-seccomp.so", f"/{packages_folder(arch)}/jail/libpreload-seccomp.so")


def add_settings(tree: Tree) -> None:
    for name in VAR_LINKS:
        tree.link("settings", f"var/{name}", VAR_LINKS[name])
    for name, text in ETC.items():
        (tree.place / "etc" / name).write_text(text)
        tree.parts[f"etc/{name}"] = "settings"
    (tree.place / "etc/shadow").chmod(0o600)
    (tree.place / "www/index.html").write_text(INDEX)
    tree.add_tree("stockade-policies", FILES)
    for name in POLICIES:
        policy = REPOSITORY / f"json-filters/{name}.json"
        if policy.exists():
            tree.add("stockade-policies", policy, f"etc/seccomp/{name}.json")
    for service in SERVICES:
        script = (FILES / "etc/init.d" / service).read_text()
        for letter, key in (("S", "START="), ("K", "STOP=")):
            numbers = [line.removeprefix(key) for line in script.splitlines() if line.startswith(key)]
            if numbers:
                tree.link("settings", f"etc/rc.d/{letter}{numbers[0]}{service}", f"../init.d/{service}")


def strip(tree: Tree, arch: Arch) -> None:
    """Symbols are for debuggers. The shim's are part of what it is, and setup.py has stripped ours already."""
    tool = "strip"
    if compilers.glibc(arch)[0] != "gcc":
        tool = str(toolchain(arch.triple, arch.name) / f"bin/{arch.triple}-strip")
    for name, part in tree.parts.items():
        path = tree.place / name
        if part.startswith("stockade") or path.is_symlink() or path.read_bytes()[:4] != b"\x7fELF":
            continue
        run(tool, "--strip-unneeded", path, log=tree.log)
