# SPDX-License-Identifier: MIT
"""A program → the files that it needs to run: its loader, its libraries, the interpreters of scripts.

The search is the loader's own (glibc, musl, uClibc), so that what is found here is what it will open inside the
jail. No effects; elffile.py reads one file, libsearch.py knows the places.
"""

import os

from jail.elffile import Elf, Script, refuse, shown
from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, ConfigError
from jail.libsearch import (
    LD_SO_CACHE,
    MUSL_DIRS,
    Tree,
    built_in_dirs,
    conf_dirs,
    cpu_levels,
    ld_so_cache,
    musl_path,
)

SCRIPT_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")  # PATH inside a jail
SCRIPT_DEPTH = 5  # scripts in a row that the kernel follows; the sixth is ELOOP
ENV_HOPS = 8  # `#!/usr/bin/env x` where x is such a script again
OBJECTS = 1024  # libraries of one program
MUSL_OWN = ("c", "pthread", "rt", "m", "dl", "util", "xnet")  # lib<these>.* are the loader itself
FALLBACK_DIRS = {32: ["/lib", "/usr/lib"], 64: ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]}
HWCAPS_DIR = "glibc-hwcaps"


class Closure:
    """What must be in a jail for one program to reach `main`.

    files: as the kernel or the loader names them, symlinks not resolved, program first, no `..` in them.
    links: those of `files` that must be symlinks in the jail too, with their target (also in `files`), because
    libraries are found relative to where the program really lies ($ORIGIN).
    dirs: further directories that a name leads through (`/a/b/../c` needs /a/b).
    preloaded: whether this program's loader takes the `preload` libraries; a static or foreign one does not.
    """

    __slots__ = ("abi", "dirs", "files", "interpreter", "kind", "libc", "links", "preloaded")

    def __init__(self) -> None:
        self.files: list[str] = []
        self.links: dict[str, str] = {}
        self.dirs: list[str] = []
        self.kind = ""  # "dynamic", "static", "script"
        self.libc = ""  # "glibc", "musl", "uclibc"
        self.abi = ""
        self.interpreter = ""
        self.preloaded = False


def closure(path: str, preload: tuple[str, ...] = (), root: str = "/") -> Closure:
    """Find every file that the kernel and the loader open to run the program at an absolute path.

    With another `root`, `path`, `preload` and all results are as seen inside it.
    Raises ConfigError naming the file that is missing or damaged, and who needs it.
    """
    if not path.startswith("/"):
        raise ConfigError(f"{shown(path)}: not an absolute path")
    search = _Search(Tree(root))
    search.follow(path, preload)
    return search.out


class _Search:
    """One closure while it grows."""

    __slots__ = ("out", "seen", "tree")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.out = Closure()
        self.seen: set[str] = set()

    def follow(self, path: str, preload: tuple[str, ...]) -> None:
        """The program, then interpreter after interpreter until one is ELF, then what `env` starts."""
        user = wanted = ""
        depth = hops = 0
        kind = ""
        while True:
            content = self.executable(path, user)
            self.add(path)
            if isinstance(content, Elf):
                _Program(self, path, content).link(preload)
                kind = kind or self.out.kind
                if not wanted:
                    break
                hops += 1
                path, wanted, depth = self.on_path(wanted, user), "", 0
            else:
                kind = "script"
                depth += 1
                user, path = path, _absolute(content.interpreter)
                wanted = _env_program(content)
            if depth > SCRIPT_DEPTH or hops > ENV_HOPS:
                raise refuse(user, "too many interpreters in a row")
        self.out.kind = kind

    def executable(self, path: str, user: str) -> "Elf | Script":
        needed = f", needed by {shown(user)}" if user else ""
        try:
            content, info = self.tree.load(path)
        except OSError as e:
            error = ConfigError(f"{shown(path)}: {_reason(e)}{needed}")
            error.status = EXIT_NOT_FOUND if isinstance(e, FileNotFoundError) else EXIT_CANNOT_EXECUTE
            raise error from e
        if content is None:
            raise refuse(path, f"not a program: neither ELF nor #!{needed}")
        if not info.st_mode & 0o111:
            raise refuse(path, f"not executable{needed}")
        return content

    def on_path(self, name: str, user: str) -> str:
        """What `env` would start."""
        if "/" in name:
            return _absolute(name)
        for directory in SCRIPT_PATH:
            info = self.tree.stat(f"{directory}/{name}")
            if info is not None and info.st_mode & 0o111 and info.st_mode & 0o170000 == 0o100000:
                return f"{directory}/{name}"
        error = ConfigError(f"{shown(name)}: not found in {':'.join(SCRIPT_PATH)}, needed by {shown(user)}")
        error.status = EXIT_NOT_FOUND
        raise error

    def add(self, path: str) -> str:
        """Note a file, and what its name leads through. Returns the name under which it will lie."""
        if path in self.seen:
            return path
        self.seen.add(path)
        plain = os.path.normpath(path) if "/." in path or "//" in path else path
        if plain.startswith("//"):
            plain = plain[1:]
        if plain != path:
            self._add_crooked(path, plain)
        if plain not in self.out.files:
            self.out.files.append(plain)
        return plain

    def _add_crooked(self, path: str, plain: str) -> None:
        parts = path.split("/")
        for number, part in enumerate(parts):
            through = os.path.normpath("/".join(parts[:number]) or "/")
            if part == ".." and through not in self.out.dirs:
                self.out.dirs.append(through)
        # Where a directory in the name is a symlink, `..` leaves it elsewhere than the letters say
        here, there = self.tree.stat(plain), self.tree.stat(path)
        if there and (not here or (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)):
            self.link(plain, self.tree.real(path))

    def link(self, path: str, target: str) -> None:
        """Note that `path` must be a symlink in the jail, because where its target lies matters."""
        if path != target:
            self.out.links[path] = target
            self.add(target)


class _Object:
    """One file that the loader maps, and which other made it do so."""

    __slots__ = ("elf", "loader", "path")

    def __init__(self, path: str, elf: Elf, loader: "_Object | None") -> None:
        self.path = path
        self.elf = elf
        self.loader = loader


class _Program:
    """One ELF program and the search that its loader will do."""

    __slots__ = (
        "built_in",
        "by_name",
        "by_place",
        "dir_lists",
        "dirs",
        "elf",
        "libc",
        "loaded",
        "loader",
        "main",
        "origin",
        "path",
        "path_file",
        "search",
        "tree",
    )

    def __init__(self, search: _Search, path: str, elf: Elf) -> None:
        self.search = search
        self.tree = search.tree
        self.path = path
        self.elf = elf
        self.origin = ""
        self.main = _Object(path, elf, None)
        self.loaded = [self.main]
        self.by_name: dict[str, _Object] = {}
        self.by_place: dict[tuple[int, int], _Object] = {}
        self.dir_lists: dict[str, list[str]] = {}
        self.loader = ""
        self.libc = ""
        self.built_in: list[str] = []  # what the loader searches without being told by a file
        self.dirs: list[str] = []
        self.path_file = ""

    def link(self, preload: tuple[str, ...]) -> None:
        out = self.search.out
        out.abi = self.elf.abi
        out.interpreter = self.elf.interpreter
        out.libc = ""
        out.kind = "static"
        out.preloaded = False
        if not self.elf.interpreter:
            return
        out.kind = "dynamic"
        self._take_loader()
        out.libc = self.libc
        out.preloaded = bool(preload) and all([self._preload(path) for path in preload])
        for number, thing in enumerate(
            self.loaded
        ):  # grows while it is walked: breadth first, as the loader does
            if number >= OBJECTS:
                raise refuse(self.path, f"more than {OBJECTS} libraries")
            self._needs_of(thing)

    def _take_loader(self) -> None:
        self.loader = _absolute(self.elf.interpreter)
        content = self.search.executable(self.loader, self.path)
        if not isinstance(content, Elf) or not content.fits(self.elf):
            raise refuse(self.loader, f"not a loader for {shown(self.path)}")
        self.search.add(self.loader)
        thing = _Object(self.loader, content, None)
        info = self.tree.stat(self.loader)
        if info:
            self.by_place[info.st_dev, info.st_ino] = thing
        self.by_name[self.elf.interpreter] = thing
        self.libc = _libc_of(self.loader, self.tree)
        if self.libc == "musl":
            self.dirs, self.path_file = musl_path(self.tree, self.loader)
            self.built_in = MUSL_DIRS
            return
        if content.soname:
            self.by_name[content.soname] = thing
        if self.libc == "uclibc":  # its own cache has another format and names nothing but these
            self.dirs = self.built_in = [os.path.dirname(self.loader), "/lib", "/usr/lib"]
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

    def _needs_of(self, thing: _Object) -> None:
        elf = thing.elf
        for name in elf.needed:
            self._need(name, thing, True)
        if self.libc == "musl":
            return
        for name in elf.filters:
            self._need(name, thing, True)
        for name in elf.auxiliaries + (elf.audits if thing is self.main else []):
            self._need(name, thing, False)

    def _need(self, name: str, by: _Object, is_required: bool) -> None:
        if name in self.by_name or (self.libc == "musl" and _is_musl_itself(name)):
            return
        if "/" in name:
            names = self._expand(name, by)
            found = any(self._try(_absolute(path), name, by) for path in names)
        else:
            found = self._find(name, by)
        if not found and is_required:
            hint = self._hint(name)
            raise ConfigError(f"{shown(name)}: not found{hint}, needed by {shown(by.path)}")

    def _find(self, name: str, by: _Object) -> bool:
        """The loader's order: RPATHs, RUNPATH, the cache, its own directories."""
        for text, owner in self._rpaths(by):
            for directory in self._split(text, owner):
                if self._try_dir(directory, name, by):
                    return True
        if self.libc == "musl":
            for directory in self.dirs:
                if self._try_dir(_absolute(directory), name, by):
                    if self.path_file and directory.rstrip("/") not in self.built_in:
                        self.search.add(self.path_file)
                    return True
            return False
        if self.libc != "uclibc" and self._find_in_cache(name, by):
            return True
        if by.elf.is_nodeflib:
            return False
        return any(self._try_dir(directory, name, by) for directory in self.dirs)

    def _find_in_cache(self, name: str, by: _Object) -> bool:
        cache = ld_so_cache(self.tree)
        levels = self._levels() if cache.has_hwcaps() else []
        for path in cache.find(name, levels):
            directory = os.path.dirname(path).partition(f"/{HWCAPS_DIR}/")[0]
            if by.elf.is_nodeflib and directory in self.dirs:
                continue
            if path.startswith("/") and self._try(path, name, by):
                if directory not in self.built_in:
                    self.search.add(LD_SO_CACHE)
                return True
        return False

    def _rpaths(self, by: _Object) -> list[tuple[str, _Object]]:
        """Search paths in files, with whose $ORIGIN they mean."""
        paths = []
        thing: _Object | None = by
        if self.libc == "musl":  # either kind counts, and is inherited
            while thing is not None:
                paths.append((thing.elf.runpath or thing.elf.rpath, thing))
                thing = thing.loader
        elif by.elf.runpath:
            paths.append((by.elf.runpath, by))
        else:
            while thing is not None:
                paths.append(("" if thing.elf.runpath else thing.elf.rpath, thing))
                thing = thing.loader
            if not self.main.elf.runpath and (self.main.elf.rpath, self.main) not in paths:
                paths.append((self.main.elf.rpath, self.main))
        return [(text, owner) for text, owner in paths if text]

    def _split(self, text: str, owner: _Object) -> list[str]:
        dirs = []
        parts = text.replace("\n", ":").split(":") if self.libc == "musl" else text.split(":")
        for part in parts:
            if part or self.libc != "musl":  # an empty entry is the current directory, which is / in a jail
                dirs += [_absolute(path) for path in self._expand(part, owner)]
        return dirs

    def _expand(self, text: str, owner: _Object) -> list[str]:
        """A name with the loader's variables replaced; several where its choice depends on the processor."""
        if "$" not in text:
            return [text]
        names = {"ORIGIN": lambda: [self._origin(owner)], "LIB": self._lib_names, "PLATFORM": self._platforms}
        results = [""]
        rest = text
        while rest:
            plain, dollar, rest = rest.partition("$")
            results = [done + plain for done in results]
            if not dollar:
                break
            word, after = _variable(rest)
            if word not in names or (self.libc == "musl" and word != "ORIGIN"):
                if self.libc == "musl":
                    return []  # musl drops a path with any other variable
                results = [done + "$" for done in results]
                continue
            results = [done + value for done in results for value in names[word]()][:4]
            rest = after
        return results

    def _origin(self, owner: _Object) -> str:
        if owner is not self.main:
            return os.path.dirname(owner.path)
        if not self.origin:  # /proc/self/exe, not the name that was called
            real = self.tree.real(self.path)
            self.search.link(self.path, real)
            self.origin = os.path.dirname(real) or "/"
        return self.origin

    def _lib_names(self) -> list[str]:
        first = (self.built_in or FALLBACK_DIRS[self.elf.bits])[0]
        return [first.removeprefix("/usr").lstrip("/")]

    def _platforms(self) -> list[str]:
        abi = self.elf.abi
        base = {"i386": "i686", "arm": "v7l"}.get(abi, abi)
        # glibc calls an x86-64 processor of level 3 by this name
        return ["haswell", base] if abi == "x86_64" and "x86-64-v3" in self._levels() else [base]

    def _levels(self) -> list[str]:
        # Of a foreign root's processor nothing is known: the plain library serves every one
        return cpu_levels() if self.elf.abi == "x86_64" and not self.tree.root else []

    def _try_dir(self, directory: str, name: str, by: _Object) -> bool:
        if directory not in self.dir_lists:
            dirs = [directory]
            capped = f"{directory}/{HWCAPS_DIR}"
            if self.libc == "glibc" and self.elf.abi == "x86_64" and self.tree.stat(capped):
                dirs = [f"{capped}/{level}" for level in self._levels()] + dirs
            self.dir_lists[directory] = dirs
        return any(self._try(f"{place.rstrip('/')}/{name}", name, by) for place in self.dir_lists[directory])

    def _try(self, path: str, name: str, by: _Object) -> bool:
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

    def _load(self, path: str, name: str, elf: Elf, place: tuple[int, int], by: _Object) -> None:
        path = self.search.add(path)
        thing = self.by_place.get(place)
        if thing is None:
            thing = self.by_place[place] = _Object(path, elf, by)
            self.loaded.append(thing)
            if elf.soname and self.libc != "musl":
                self.by_name.setdefault(elf.soname, thing)
        self.by_name[name] = thing

    def _hint(self, name: str) -> str:
        if self.libc != "glibc":
            return ""
        for directory in conf_dirs(self.tree):
            if self._open(f"{directory}/{name}"):
                return f" (it is in {shown(directory)}, but not in {LD_SO_CACHE}: run ldconfig)"
        return ""


def _absolute(path: str) -> str:
    """Relative names count from /, the current directory of every jail."""
    return path if path.startswith("/") else f"/{path}"


def _reason(error: OSError) -> str:
    return (
        "not found" if isinstance(error, FileNotFoundError) else (error.strerror or "cannot be read").lower()
    )


def _libc_of(loader: str, tree: Tree) -> str:
    for path in (loader, ""):
        name = os.path.basename(path or tree.real(loader))
        if name.startswith("ld-musl-"):
            return "musl"
        if name.startswith("ld-uClibc"):
            return "uclibc"
        if name.startswith(("ld-linux", "ld.so", "ld64.so", "ld-2.", "ld.")):
            return "glibc"
    return ""


def _is_musl_itself(name: str) -> bool:
    return name.startswith("lib") and name[3:].partition(".")[0] in MUSL_OWN and "." in name


def _variable(text: str) -> tuple[str, str]:
    """The name after a `$`, with or without braces, and what follows it; "" if it is none."""
    if text.startswith("{"):
        word, brace, after = text[1:].partition("}")
        return (word, after) if brace else ("", text)
    end = 0
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[:end], text[end:]


def _env_program(script: Script) -> str:
    """What `#!/usr/bin/env …` will start, "" if that is not what the line says."""
    if os.path.basename(script.interpreter) != "env" or not script.argument:
        return ""
    for option in ("-S", "-vS", "--split-string=", "--split-string "):
        if script.argument.startswith(option):
            words = script.argument[len(option) :].split()
            break
    else:
        words = [script.argument]
    for word in words:
        if word in ("-", "-i", "--ignore-environment", "-v", "--debug") or ("=" in word and word[0] != "-"):
            continue
        return "" if word.startswith("-") else word
    return ""
