# SPDX-License-Identifier: MIT
"""One ELF program → its libraries, as its own loader finds them (glibc, musl, uClibc)."""

from jail import paths
from jail.elffile import Elf, refuse, shown
from jail.errors import ConfigError
from jail.libsearch import LD_SO_CACHE, MUSL_DIRS, built_in_dirs, cpu_levels, ld_so_cache, musl_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.tree import Closure, Tree

OBJECTS = 1024  # libraries of one program
MUSL_OWN = ("c", "pthread", "rt", "m", "dl", "util", "xnet")  # lib<these>.* are the loader itself
FALLBACK_DIRS = {32: ["/lib", "/usr/lib"], 64: ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]}
HWCAPS_DIR = "glibc-hwcaps"
# no file names it: the C library opens it when the first thread is unwound, and aborts if it is not there
LIBC, UNWINDER = "libc.so.6", "libgcc_s.so.1"


def link(
    tree: "Tree", out: "Closure", path: str, elf: Elf, preload: tuple[str, ...], loader: str = ""
) -> None:
    """Add to `out` what the loader of one ELF program opens, and say there what kind of program it is.

    A library, which names none, is for `loader` to load.
    """
    out.abi = elf.abi
    out.interpreter = elf.interpreter
    out.libc = ""
    out.kind = "dynamic" if elf.interpreter else "static"
    out.preloaded = False
    interpreter = elf.interpreter or (loader if elf.needed else "")
    if interpreter:
        Program(tree, out, path, elf, interpreter).link(preload)


class Object:
    """One file that the loader maps, and which other made it do so."""

    __slots__ = ("elf", "parent", "path")

    def __init__(self, path: str, elf: Elf, parent: "Object | None") -> None:
        self.path = path
        self.elf = elf
        self.parent = parent


class Program:
    """One ELF program and the search that its loader will do."""

    __slots__ = (
        "built_in", "by_name", "by_place", "dir_lists", "dirs", "elf", "from_origin", "interpreter", "libc",
        "loaded", "loader", "main", "out", "path", "path_file", "real", "tree",
    )  # fmt: skip

    def __init__(self, tree: "Tree", out: "Closure", path: str, elf: Elf, interpreter: str) -> None:
        self.tree = tree
        self.out = out
        self.path = path
        self.elf = elf
        self.interpreter = interpreter
        self.real = ""  # of the program, once its $ORIGIN is asked for
        self.from_origin: set[str] = set()  # names made with it
        self.main = Object(path, elf, None)
        self.loaded = [self.main]
        self.by_name: dict[str, Object] = {}
        self.by_place: dict[tuple[int, int], Object] = {}
        self.dir_lists: dict[str, list[str]] = {}
        self.loader = ""
        self.libc = ""
        self.built_in: list[str] = []  # what the loader searches without being told by a file
        self.dirs: list[str] = []
        self.path_file = ""

    def link(self, preload: tuple[str, ...]) -> None:
        self._take_loader()
        self.out.libc = self.libc
        self.out.preloaded = bool(preload) and all([self._preload(path) for path in preload])
        for number, thing in enumerate(self.loaded):  # it grows meanwhile: breadth first
            if number >= OBJECTS:
                raise refuse(self.path, f"more than {OBJECTS} libraries")
            self._needs_of(thing)

    def _take_loader(self) -> None:
        self.loader = absolute(self.interpreter)
        try:
            content = self.tree.executable(self.loader, self.path)
            if not isinstance(content, Elf) or not content.fits(self.elf):
                raise refuse(self.loader, f"not a loader for {shown(self.path)}")
        except ConfigError as error:
            from jail.policy import native_arch

            if self.elf.abi != native_arch():  # the likely reason: a file of another router
                error.args = (f"{error}, a program for {self.elf.abi or 'another kind of machine'}",)
            raise
        self.out.add(self.loader)
        thing = Object(self.loader, content, None)
        info = self.tree.stat(self.loader)
        if info:
            self.by_place[info.st_dev, info.st_ino] = thing
        self.by_name[self.interpreter] = thing
        self.libc = _libc_of(self.loader, self.tree)
        if self.libc == "musl":
            self.dirs, self.path_file = musl_path(self.tree, self.loader)
            self.built_in = MUSL_DIRS
            return
        if content.soname:
            self.by_name[content.soname] = thing
        if self.libc == "uclibc":  # its own cache has another format and names nothing but these
            self.dirs = self.built_in = [paths.dirname(self.loader), "/lib", "/usr/lib"]
            return
        self.built_in = built_in_dirs(self.tree, self.loader, content)
        self.dirs = self.built_in or FALLBACK_DIRS[self.elf.bits]
        self.path_file = LD_SO_CACHE

    def _preload(self, path: str) -> bool:
        content = self._open(path)
        if content is None:
            return False
        self._load(path, path, content[0], content[1], self.main)
        return True

    def _needs_of(self, thing: Object) -> None:
        elf = thing.elf
        for name in elf.needed:
            self._need(name, thing, True)
        if self.libc == "musl":
            return
        for name in elf.filters:
            self._need(name, thing, True)
        for name in elf.auxiliaries + (elf.audits if thing is self.main else []):
            self._need(name, thing, False)
        # the C library itself names them all
        libc = self.by_name.get(LIBC, self.main)
        if elf.ends_threads and thing is not libc:
            self._need(UNWINDER, libc, False)

    def _need(self, name: str, by: Object, is_required: bool) -> None:
        if name in self.by_name or (self.libc == "musl" and _is_musl_itself(name)):
            return
        if "/" in name:
            paths = [absolute(path) for path in self._expand(name, by)]
            found = any(self._try(path, name, by) for path in paths)
            if found:
                self._note_origin(paths[0])
        else:
            found = self._find(name, by)
        if not found and is_required:
            hint = self._hint(name)
            raise ConfigError(f"{shown(name)}: not found{hint}, needed by {shown(by.path)}")

    def _find(self, name: str, by: Object) -> bool:
        """The loader's order: RPATHs, RUNPATH, the cache, its own directories."""
        for text, owner in self._rpaths(by):
            for directory in self._split(text, owner):
                if self._try_dir(directory, name, by):
                    self._note_origin(directory)
                    return True
        if self.libc == "musl":
            for directory in self.dirs:
                if self._try_dir(absolute(directory), name, by):
                    if self.path_file and directory.rstrip("/") not in self.built_in:
                        self.out.add(self.path_file)
                    return True
            return False
        if self.libc != "uclibc" and self._find_in_cache(name, by):
            return True
        if by.elf.is_nodeflib:
            return False
        return any(self._try_dir(directory, name, by) for directory in self.dirs)

    def _find_in_cache(self, name: str, by: Object) -> bool:
        cache = ld_so_cache(self.tree)
        levels = self.levels() if cache.has_hwcaps() else []
        for path in cache.find(name, levels):
            directory = paths.dirname(path).partition(f"/{HWCAPS_DIR}/")[0]
            if by.elf.is_nodeflib and directory in self.dirs:
                continue
            if path.startswith("/") and self._try(path, name, by):
                if directory not in self.built_in:
                    self.out.add(LD_SO_CACHE)
                return True
        return False

    def _rpaths(self, by: Object) -> list[tuple[str, Object]]:
        """Search paths in files, with whose $ORIGIN they mean."""
        paths = []
        thing: Object | None = by
        if self.libc == "musl":  # either kind counts, and is inherited
            while thing is not None:
                paths.append((thing.elf.runpath or thing.elf.rpath, thing))
                thing = thing.parent
        elif by.elf.runpath:
            paths.append((by.elf.runpath, by))
        else:
            while thing is not None:
                paths.append(("" if thing.elf.runpath else thing.elf.rpath, thing))
                thing = thing.parent
            if not self.main.elf.runpath and (self.main.elf.rpath, self.main) not in paths:
                paths.append((self.main.elf.rpath, self.main))
        return [(text, owner) for text, owner in paths if text]

    def _split(self, text: str, owner: Object) -> list[str]:
        dirs = []
        parts = text.replace("\n", ":").split(":") if self.libc == "musl" else text.split(":")
        for part in parts:
            if part or self.libc != "musl":  # an empty entry is the current directory, which is / in a jail
                dirs += [absolute(path) for path in self._expand(part, owner)]
        return dirs

    def _expand(self, text: str, owner: Object) -> list[str]:
        """A name with the loader's variables replaced; several where its choice depends on the processor."""
        if "$" not in text:
            return [text]
        from jail.loadervars import expand

        return expand(self, text, owner)

    def _note_origin(self, name: str) -> None:
        """A library was found by this name; note what the loader needs to find it in the jail."""
        if name in self.from_origin:
            self.out.needs_proc = True
            self.out.link(self.path, self.real)

    def levels(self) -> list[str]:
        """Of the processor; of a foreign root's nothing is known, and the plain library serves every one."""
        return cpu_levels() if self.elf.abi == "x86_64" and not self.tree.root else []

    def _try_dir(self, directory: str, name: str, by: Object) -> bool:
        if directory not in self.dir_lists:
            dirs = [directory]
            capped = f"{directory}/{HWCAPS_DIR}"
            if self.libc == "glibc" and self.elf.abi == "x86_64" and self.tree.stat(capped):
                dirs = [f"{capped}/{level}" for level in self.levels()] + dirs
            self.dir_lists[directory] = dirs
        return any(self._try(f"{place.rstrip('/')}/{name}", name, by) for place in self.dir_lists[directory])

    def _try(self, path: str, name: str, by: Object) -> bool:
        content = self._open(path)
        if content is None:
            return False
        self._load(path, name, content[0], content[1], by)
        return True

    def _open(self, path: str) -> "tuple[Elf, tuple[int, int]] | None":
        """A library for this program. Others are passed over: the loader will not meet what is not staged."""
        try:
            content, info = self.tree.load(path)
        except OSError:
            return None
        if not isinstance(content, Elf) or not content.fits(self.elf):
            return None
        return content, (info.st_dev, info.st_ino)

    def _load(self, path: str, name: str, elf: Elf, place: tuple[int, int], by: Object) -> None:
        path = self.out.add(path)
        thing = self.by_place.get(place)
        if thing is None:
            thing = self.by_place[place] = Object(path, elf, by)
            self.loaded.append(thing)
            if elf.soname and self.libc != "musl":
                self.by_name.setdefault(elf.soname, thing)
        self.by_name[name] = thing

    def _hint(self, name: str) -> str:
        if self.libc != "glibc":
            return ""
        from jail.ldsoconf import conf_dirs  # read in this case only

        for directory in conf_dirs(self.tree):
            if self._open(f"{directory}/{name}"):
                return f" (it is in {shown(directory)}, but not in {LD_SO_CACHE}: run ldconfig)"
        return ""


def absolute(path: str) -> str:
    """Relative names count from /, the current directory of every jail."""
    return path if path.startswith("/") else f"/{path}"


def _libc_of(loader: str, tree: "Tree") -> str:
    for path in (loader, ""):
        name = paths.basename(path or tree.real(loader))
        if name.startswith("ld-musl-"):
            return "musl"
        if name.startswith("ld-uClibc"):
            return "uclibc"
        if name.startswith(("ld-linux", "ld.so", "ld64.so", "ld-2.", "ld.")):
            return "glibc"
    return ""


def _is_musl_itself(name: str) -> bool:
    return name.startswith("lib") and name[3:].partition(".")[0] in MUSL_OWN and "." in name
