# SPDX-License-Identifier: MIT
"""A guest's root without anything of this project: Python, BusyBox, both C libraries, pytest and a few
daemons."""

import compileall
import re
import shutil
import sys
import tomllib
from pathlib import Path
from py_compile import PycInvalidationMode

from tests.guest import bigendian, daemons
from tests.guest.arches import Arch
from tests.guest.cache import kept
from tests.guest.compilers import musl_files
from tests.guest.packages import unpack, unpacked
from tests.guest.shell import download, run

REPOSITORY = Path(__file__).resolve().parents[2]
REWRITE = Path(__file__).with_name("rewrite.py")
PYTHON = "python3.11"
PACKAGES = [
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "python3-cffi-backend", "libc6"),
    *(
        "libc-bin",
        "zlib1g",
        "libexpat1",
        "libffi8",
        "libgcc-s1",
        "libuuid1",
        "libbz2-1.0",
        "liblzma5",
        "libcrypt1",
    ),
    *("libssl3", "libsqlite3-0", "libatomic1", "libseccomp2", "musl", "busybox", "libtinfo6"),
    *("media-types", "netbase"),
    # the daemons that have a policy, strace, and what they are linked with
    *(
        "strace",
        "libunwind8",
        "dnsmasq-base",
        "libdbus-1-3",
        "libgmp10",
        "libhogweed6",
        "libidn2-0",
        "libnettle8",
    ),
    *("libunistring2", "libnetfilter-conntrack3", "libnfnetlink0", "libmnl0", "libnftables1", "libnftnl11"),
    *(
        "util-linux",
        "libcap-ng0",
        "libsmartcols1",
        "libmount1",
        "libblkid1",
        "libselinux1",
        "libpcre2-8-0",
        "libudev1",
        "libjansson4",
        "libxtables12",
        "libedit2",
        "libbsd0",
        "libmd0",
        "libsystemd0",
        "libcap2",
        "liblz4-1",
    ),
    *("libzstd1", "libgcrypt20", "libgpg-error0", "dropbear-bin", "libtomcrypt1", "libtommath1"),
    # BusyBox cannot make a veth; libtirpc and below is for other programs of the package, which a test starts
    *("iproute2", "libbpf1", "libelf1", "libtirpc3", "libgssapi-krb5-2", "libkrb5-3"),
    *("libcom-err2", "libk5crypto3", "libkrb5support0", "libkeyutils1"),
]
# Test requirements that need compiled ones (tests that import them are skipped), or that come without theirs
COMPILED = {"jsonschema"}
ALONE = {"system-calls"}
# On x86_64 the C library of i386 programs as well, for programs of a foreign ABI
FOREIGN = {"x86_64": ["libc6-i386"]}
LINKS = ("bin", "sbin", "lib", "lib32", "lib64")
FOLDERS = (
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "root",
    "mnt",
    "home",
    "etc",
    "var/log",
    "var/empty",
    "var/lib/misc",
    "usr/lib",
)
DROPPED = (
    *(
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/lintian",
        "usr/share/info",
        "usr/include",
    ),
    *(
        f"usr/lib/{PYTHON}/{name}"
        for name in ("test", "idlelib", "tkinter", "lib2to3", "ensurepip", "turtledemo")
    ),
)
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n"
    "dnsmasq:x:453:453:dnsmasq:/var/empty:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "group": "root:x:0:\ndaemon:x:1:\nadm:x:4:\nutmp:x:43:\ndnsmasq:x:453:\nnogroup:x:65534:\n",
    "shadow": "root:*:19000:0:99999:7:::\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "shells": "/bin/sh\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "nameserver 127.0.0.1\n",
}

# Big-endian CPython is built without their libraries; pyroute2 imports them and needs nothing of them here
STAND_INS = {
    "ssl.py": "class SSLWantReadError(OSError): ...\nclass SSLSyscallError(OSError): ...\n",
    "sqlite3/__init__.py": "",
}

# what is laid over the root of the guest that Debian has no packages for
BIG_ENDIAN = (bigendian.python, bigendian.busybox, daemons.daemons)


def static_busybox(arch: Arch) -> Path:
    """For the first root alone: its shell would run applets instead of what is on the PATH."""
    if not arch.debian:
        return bigendian.busybox() / "bin/busybox"
    return unpacked(arch.debian, "busybox", ["busybox-static"]) / "bin/busybox"


def test_requirements() -> list[str]:
    """What pyproject.toml asks for in order to test, less what is not of Python alone."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return sorted(line for line in project["optional-dependencies"]["test"] if name_of(line) not in COMPILED)


def name_of(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement)[0]


def packages_folder(arch: Arch) -> str:
    """Where this guest's Python has its packages, cffi's backend among them."""
    return "usr/lib/python3/dist-packages" if arch.debian else f"usr/lib/{PYTHON}/site-packages"


def root(arch: Arch) -> Path:
    requirements = test_requirements()
    packages = [*PACKAGES, *FOREIGN.get(arch.name, [])] if arch.debian else []
    parts: list[object] = [packages, requirements, sorted(ETC.items()), FOLDERS, DROPPED, "7"]
    if not arch.debian:
        parts += [part().name for part in (*BIG_ENDIAN, bigendian.musl)]
        parts += sorted(STAND_INS.items())

    def make(place: Path) -> None:
        for name in FOLDERS:
            (place / name).mkdir(parents=True)
        for name in LINKS:
            (place / "usr" / name).mkdir(exist_ok=True)
            (place / name).symlink_to(f"usr/{name}")
        log = place.with_name(f"{place.name}.log")
        if arch.debian:
            merge(arch, packages, place, log)
        else:
            for part in BIG_ENDIAN:
                lay_over(part(), place, log)
            run("cp", "-a", musl_files(arch) / "usr/lib" / arch.musl_triple, place / "usr/lib", log=log)
        finish(arch, place, requirements, log)

    return kept(f"root-{arch.name}", parts, make)


def merge(arch: Arch, packages: list[str], place: Path, log: Path) -> None:
    """Debian's packages, with /bin, /lib and so on inside /usr as on any Debian system."""
    apart = place.with_name(f"{place.name}.debs")
    shutil.rmtree(apart, ignore_errors=True)
    unpack(arch.debian, packages, apart)
    lay_over(apart, place, log)
    shutil.rmtree(apart)


def lay_over(part: Path, place: Path, log: Path) -> None:
    """Copy a tree into the root, through its links from /lib to /usr/lib."""
    options = "--keep-directory-symlink --no-same-owner"
    run(
        "sh",
        "-ec",
        f'tar -C "$1" -cf - --exclude=./log . | tar -C "$2" {options} -xpf -',
        "sh",
        part,
        place,
        log=log,
    )


def finish(arch: Arch, place: Path, requirements: list[str], log: Path) -> None:
    """The parts that are the same everywhere."""
    (place / "tmp").chmod(0o1777)
    for name, text in ETC.items():
        (place / "etc" / name).write_text(text)
    loader = place / f"usr/lib/ld-musl-{arch.name}.so.1"
    loader.unlink(missing_ok=True)
    loader.symlink_to(f"{arch.musl_triple}/libc.so")
    # musl's own list of places, as Debian's package has it
    (place / f"etc/ld-musl-{arch.name}.path").write_text(
        f"/lib/{arch.musl_triple}\n/usr/lib/{arch.musl_triple}\n"
    )
    for name in ("python3", "python"):
        link = place / "usr/bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(PYTHON)
    sh = place / "usr/bin/sh"
    sh.unlink(missing_ok=True)
    sh.symlink_to("busybox")
    for path in (place / "usr/bin").iterdir():
        if not path.is_symlink() and re.match(rb"#! ?/bin/bash", path.read_bytes()):
            path.unlink()  # there is no bash
    packages = place / packages_folder(arch)
    apart = place.with_name(f"{place.name}.pip")
    shutil.rmtree(apart, ignore_errors=True)
    words = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", apart]
    words += ["--only-binary=:all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
    download(*words, *(line for line in requirements if name_of(line) not in ALONE), log=log)
    download(*words, "--no-deps", *(line for line in requirements if name_of(line) in ALONE), log=log)
    if not arch.debian:
        (apart / "pyseccomp.py").unlink()  # it does not import without libseccomp, which is not there
        for name, text in STAND_INS.items():
            (place / f"usr/lib/{PYTHON}" / name).write_text(text)
    lay_over(apart, packages, log)
    shutil.rmtree(apart)
    for name in DROPPED:
        shutil.rmtree(place / name, ignore_errors=True)
    for folder in (place / f"usr/lib/{PYTHON}", place / "usr/lib/python3"):
        if folder.exists():
            precompile(folder, place)
    rewrite(packages, [packages / "hypothesis"], log)
    log.unlink(missing_ok=True)


def rewrite(packages: Path, folders: list[Path], log: Path) -> None:
    """Have modules ready whose asserts pytest rewrites: tests, and its plugins."""
    run(sys.executable, "-P", REWRITE, *folders, log=log, env={"PYTHONPATH": str(packages)})


def precompile(
    folder: Path,
    place: Path,
    seen_as: str = "/",
    mode: PycInvalidationMode = PycInvalidationMode.UNCHECKED_HASH,
) -> None:
    """Compile Python files here: a guest is slow. Unchecked, so that the times of files do not matter."""
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=place,
        prependdir=seen_as,
        invalidation_mode=mode,
        rx=re.compile(r"/lib2to3/|/tests?/bad"),
    )
