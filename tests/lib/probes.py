# SPDX-License-Identifier: MIT
"""The C programs that look at a jail from inside, in all their kinds."""

import os
import shutil
import struct
from pathlib import Path

import pytest
from processes import run

TESTS = Path(__file__).resolve().parents[1]
MACHINE = os.uname().machine
COMPILE = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wvla", "-Wshadow", "-Werror"]
HEADERS = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{MACHINE}-linux-gnu"]

# kind of program → how it is compiled; those that are made of another one are in Probes
COMPILERS = {
    "glibc": ["gcc"],
    "musl": ["musl-gcc", *HEADERS],
    "static-glibc": ["gcc", "-static"],
    "static-musl": ["musl-gcc", *HEADERS, "-static"],
    "i386": ["gcc", "-m32"],
}
MADE = ("script", "setuid", "file-capability")
KINDS = (*COMPILERS, *MADE)


class Probes:
    """The probe, or another C program, built once for each kind, in a directory that anyone may enter."""

    def __init__(self, folder: Path, source: Path = TESTS / "probe.c") -> None:
        self.folder = folder
        self.source = source
        self.marker = folder / "marker"  # a file that no jail is shown
        self.marker.write_text("marker\n")
        self.built: dict[str, Path | str] = {}

    def __getitem__(self, kind: str) -> Path:
        """The path of a kind; skips the test where this machine cannot make it."""
        if kind not in self.built:
            self.built[kind] = self._make(kind) if kind in MADE else self._compile(kind)
        made = self.built[kind]
        if isinstance(made, str):
            pytest.skip(made)
        return made

    def _compile(self, kind: str) -> Path | str:
        out = self.folder / f"{self.source.stem}-{kind}"
        compiler = COMPILERS[kind]
        if kind == "i386" and MACHINE != "x86_64":
            return "i386 programs run on x86-64 only"
        prebuilt = os.environ.get("STOCKADE_PREBUILT")
        if prebuilt:  # in a guest, which has no compiler (tests/guest/artifacts.py)
            shutil.copy(Path(prebuilt) / out.name, out)
            return out
        if not shutil.which(compiler[0]):
            return f"{compiler[0]} is not installed"
        if kind == "i386" and run("gcc", "-m32", "-E", "-include", "stdio.h", "-", "-o", os.devnull).status:
            return "gcc -m32 is not installed (gcc-multilib)"
        made = run(*compiler, *COMPILE, self.source, "-o", out)
        assert made.status == 0, made
        return out

    def _make(self, kind: str) -> Path | str:
        out = self.folder / f"probe-{kind}"
        if kind == "script":
            # the kernel hands the script's own path over as a verb; `script` is one that does nothing
            out.write_text(f"#!{self['glibc']} script\n")
            out.chmod(0o755)
            return out
        shutil.copy(self["glibc"], out)
        if kind == "setuid":
            os.chown(out, 0, 0)
            out.chmod(0o4755)
            return out
        # struct vfs_ns_cap_data, revision 2, effective: CAP_NET_RAW permitted
        value = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
        try:
            os.setxattr(out, "security.capability", value)
        except OSError as error:
            return f"no file capabilities here: {error.strerror}"
        return out
