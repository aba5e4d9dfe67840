# SPDX-License-Identifier: MIT
"""Build only: the cffi module, the LD_PRELOAD shim, the static stub and the launchers.

Everything else is in pyproject.toml.
CC, CFLAGS and LDFLAGS are honoured, so a cross build needs nothing else. STUB_CC names the compiler of the
stub where it is not to be musl-gcc or CC. SHIM32_CC, "gcc -m32" say, names one of 32-bit programs: for these,
which a 64-bit kernel runs as well, there is then a shim of their own.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

SOURCES = sorted(Path("preload").glob("*.c"))  # the policy compiler's, and shim*.c
# one program, which looks at its name: installed commands by directory
LAUNCHERS = {"bin": ["ujail", "utrace", "jailctl", "initd"], "libexec/stockade": ["ubus"]}
MANUALS = {
    f"share/man/man{section}": sorted(str(path) for path in Path("man").glob(f"*.{section}"))
    for section in (7, 8)
}
WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Wvla", "-Wshadow", "-Wno-unused-parameter"]
HARDEN = ["-D_FORTIFY_SOURCE=2", "-fstack-protector-strong"]


def words(name: str, default: str = "") -> list[str]:
    return shlex.split(os.environ.get(name, default))


def stub_compiler() -> list[str]:
    """musl makes the stub a tenth of the size; a cross compiler given as CC is not second-guessed."""
    if "STUB_CC" in os.environ:
        return words("STUB_CC")
    if "CC" not in os.environ and shutil.which("musl-gcc"):
        # musl brings no kernel headers; the system's come last, so that nothing of its libc is seen
        triple = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True).stdout.strip()
        return ["musl-gcc", "-idirafter", "/usr/include", "-idirafter", f"/usr/include/{triple}"]
    return words("CC", "cc")


class BuildArtifacts(build_ext):
    """build_ext, and the artifacts that are not Python modules."""

    def run(self) -> None:
        super().run()
        target = Path("jail" if self.inplace else os.path.join(self.build_lib, "jail"))
        target.mkdir(parents=True, exist_ok=True)
        only_data = shutil.ignore_patterns("*.md", "schema.json")
        shutil.copytree("json-filters", target / "json-filters", dirs_exist_ok=True, ignore=only_data)
        self.compile_shim(target / "libpreload-seccomp.so", words("CC", "cc"))
        if "SHIM32_CC" in os.environ:
            self.compile_shim(target / "libpreload-seccomp-32.so", words("SHIM32_CC"))
        self.compile_stub(target / "ujail-init")
        for folder, names in LAUNCHERS.items():
            for name in names:
                self.compile_launcher(Path("build", folder, name))

    def compile_shim(self, out: Path, compiler: list[str]) -> None:
        # No FORTIFY here: its __*_chk calls exist in glibc only, and one shim serves glibc and musl
        flags = [*words("CFLAGS", "-Os"), *WARNINGS, "-U_FORTIFY_SOURCE", "-fstack-protector-strong"]
        if self.target(compiler).startswith("mips"):
            # there the guard of the stack is a variable of glibc's ld.so.1, which musl programs do not have
            flags.append("-fno-stack-protector")
        flags.append(f'-DSHIM_NAME="{out.name}"')
        shared = ["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,relro,-z,now", f"-Wl,-soname,{out.name}"]
        sources = map(str, SOURCES)
        self.link([*compiler, *flags, *shared, "-DPOLICY_NATIVE_ONLY", "-Ipreload", *sources], out)

    def target(self, compiler: list[str]) -> str:
        return subprocess.run([*compiler, "-dumpmachine"], capture_output=True, text=True).stdout

    def compile_stub(self, out: Path) -> None:
        flags = [*words("CFLAGS", "-Os"), *WARNINGS, *HARDEN, "-static"]
        sources = [f"jail/native/{name}.c" for name in ("init", "confine", "keep")]
        self.link([*stub_compiler(), *flags, *sources], out)

    def compile_launcher(self, out: Path) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        compiler = stub_compiler()
        # with glibc a static program would be large and gain nothing
        static = ["-static"] if "musl-gcc" in compiler[0] else []
        self.link(
            [*compiler, *words("CFLAGS", "-Os"), *WARNINGS, *HARDEN, *static, "jail/native/start.c"], out
        )

    def link(self, command: list[str], out: Path) -> None:
        small = ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s"]
        command = [*command, *small, *words("LDFLAGS"), "-o", str(out)]
        self.announce(shlex.join(command), level=2)
        subprocess.run(command, check=True)


setup(
    cffi_modules=["jail/native/build.py:ffi"],
    cmdclass={"build_ext": BuildArtifacts},
    # programs, which `scripts` would not take
    data_files=[
        *((folder, [f"build/{folder}/{name}" for name in names]) for folder, names in LAUNCHERS.items()),
        *MANUALS.items(),
    ],
)
