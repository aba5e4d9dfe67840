# SPDX-License-Identifier: MIT
"""The other jailers: the command line with which each comes nearest to our minimal jail, if it is installed.

Nearest means: the same namespaces, a read-only root with the same files where the tool can build one, a /dev
of its own, no capabilities, no_new_privs. What a tool lacks or does besides is in its note.
"""

import json
import shutil
from pathlib import Path

from timing import Command
from workshop import Layout, Workshop

NOTES = {
    "bwrap": "same files, same namespaces",
    "firejail": "its own default root: the host's, read-only",
    "crun": "same files; a network namespace and /proc besides, no cgroup",
    "unshare": "namespaces only: no root, no /dev, no capabilities dropped",
    "minijail0": "host's root, namespaces and capabilities only",
    "ujail.procd": "same files",
    "floor": "same files, no supervision",
}


def floor(
    shop: Workshop, layout: Layout, argv: list[str], policy: bool = False, stamp: bool = False
) -> Command:
    letters = {"dir": "-d", "file": "-e", "link": "-l", "bind": "-b"}
    options = ["-t"] if stamp else []
    for kind, path, text in layout.entries:
        options += [letters[kind], f"{path}={text}" if kind == "link" else path]
    if policy:
        options += ["-F", str(shop.filter)]
    return Command("floor", [shop.floor, *options, "--", *argv])


def ujail(shop: Workshop, argv: list[str], policy: bool = False) -> Command:
    return Command(
        "ujail", [shop.ujail, "-n", "bench", *(["-S", shop.policy] if policy else []), "--", *argv]
    )


def bwrap(shop: Workshop, layout: Layout, argv: list[str], policy: bool) -> list[str]:
    options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session", "--die-with-parent"]
    options += ["--cap-drop", "ALL", "--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin"]
    for kind, path, text in layout.entries:
        if kind == "link":
            options += ["--symlink", text, path]
        elif kind == "bind":
            options += ["--ro-bind", path, path]
    options += ["--dev", "/dev", "--remount-ro", "/"]
    return [*options, *(["--seccomp", "3"] if policy else []), "--", *argv]


def crun(shop: Workshop, layout: Layout, argv: list[str], policy: bool) -> list[str]:
    bundle = shop.root / ("bundle-policy" if policy else "bundle") / Path(argv[0]).name
    root = bundle / "rootfs"
    for kind, path, text in layout.entries:
        place = root / path.lstrip("/")
        if kind == "link":
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_symlink():
                place.symlink_to(text)
        elif kind == "bind":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    for name in ("dev", "proc"):
        (root / name).mkdir(exist_ok=True)
    (bundle / "config.json").write_text(json.dumps(bundle_config(shop, layout, argv, policy)))
    return ["--cgroup-manager=disabled", f"--root={shop.root}/crun", "run", "-b", str(bundle)]


def bundle_config(shop: Workshop, layout: Layout, argv: list[str], policy: bool) -> dict[str, object]:
    quiet = ["nosuid", "noexec"]
    mounts: list[dict[str, object]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": [*quiet, "mode=755", "size=64k"],
        },
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": [*quiet, "newinstance"]},
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": [*quiet, "nodev", "size=1m"],
        },
    ]
    for path in layout.binds():
        mounts.append({"destination": path, "type": "bind", "source": path, "options": ["bind", "ro"]})
    linux: dict[str, object] = {
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
    }
    if policy:
        linux["seccomp"] = json.loads(shop.flat_policy) | {"defaultAction": "SCMP_ACT_ERRNO"}
    return {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": argv,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "bench",
        "mounts": mounts,
        "linux": linux,
    }


def others(shop: Workshop, layout: Layout, argv: list[str], policy: bool = False) -> list[Command]:
    """Those that are installed and run `argv` with status 0; with `policy`, those that can filter too."""
    lines: dict[str, list[str]] = {
        "bwrap": bwrap(shop, layout, argv, policy),
        "firejail": [
            *("--quiet", "--noprofile", "--private-dev", "--caps.drop=all", "--nonewprivs"),
            *(["--seccomp"] if policy else []),
            *argv,
        ],
        "minijail0": [
            *("-v", "-p", "-l", "--uts", "-n", "-c", "0"),
            *(["--seccomp-bpf-binary", str(shop.filter)] if policy else []),
            *("--", *argv),
        ],
        "ujail.procd": ["-n", "bench", "-o", *(["-S", shop.policy] if policy else []), "--", *argv],
    }
    if shutil.which("crun"):
        lines["crun"] = crun(shop, layout, argv, policy)
    if not policy:
        own = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private")
        lines["unshare"] = [*own, *argv]
    found = []
    for name, options in lines.items():
        program = shutil.which(name)
        if program:
            found.append(
                Command(
                    name, [program, *options], {3: str(shop.filter)} if policy and name == "bwrap" else {}
                )
            )
    return found


def numbered(command: Command, number: object) -> Command:
    """The same for one jail of several at once: crun wants a name for each."""
    if command.name == "crun":
        return Command(command.name, [*command.argv, f"bench-{number}"], command.opens)
    return command
