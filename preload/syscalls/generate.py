# SPDX-License-Identifier: MIT
"""Write table.h: every system call name of Linux and its number on each architecture that we compile for.

Run by hand when the PyPI package `system-calls` learns new calls; table.h is checked in, so no build needs it.
A name that only other architectures have gets a line too: the compiler must tell a name that is foreign here from
one that is a typing error.
"""

import argparse
import sys
from pathlib import Path

import system_calls

# our column: the package's table
COLUMNS = {
    "x86_64": "x86_64",
    "i386": "i386",
    "mips": "mipso32",
    "arm": "arm",
    "aarch64": "arm64",
    "riscv64": "riscv64",
}

# The package leaves out what the kernel no longer implements and one second name. The kernel's headers still
# number them, older kernels still run them, and published policies name them.
HEADERS_ONLY = {
    "_sysctl": {"x86_64": 156, "i386": 149, "mips": 4153, "arm": 149},
    "afs_syscall": {"x86_64": 183, "i386": 137, "mips": 4137},
    "arm_sync_file_range": {"arm": 341},
    "bdflush": {"i386": 134, "mips": 4134, "arm": 134},
    "break": {"i386": 17, "mips": 4017},
    "create_module": {"x86_64": 174, "i386": 127, "mips": 4127},
    "ftime": {"i386": 35, "mips": 4035},
    "get_kernel_syms": {"x86_64": 177, "i386": 130, "mips": 4130},
    "getpmsg": {"x86_64": 181, "i386": 188, "mips": 4208},
    "gtty": {"i386": 32, "mips": 4032},
    "idle": {"i386": 112, "mips": 4112},
    "lock": {"i386": 53, "mips": 4053},
    "mpx": {"i386": 56, "mips": 4056},
    "nfsservctl": {"x86_64": 180, "i386": 169, "mips": 4189, "arm": 169, "aarch64": 42, "riscv64": 42},
    "prof": {"i386": 44, "mips": 4044},
    "profil": {"i386": 98, "mips": 4098},
    "putpmsg": {"x86_64": 182, "i386": 189, "mips": 4209},
    "query_module": {"x86_64": 178, "i386": 167, "mips": 4187},
    "security": {"x86_64": 185},
    "stty": {"i386": 31, "mips": 4031},
    "tuxcall": {"x86_64": 184},
    "ulimit": {"i386": 58, "mips": 4058},
    "uselib": {"x86_64": 134, "i386": 86, "mips": 4086, "arm": 86},
    "vserver": {"x86_64": 236, "i386": 273, "mips": 4277, "arm": 313},
}

HEAD = """\
/* SPDX-License-Identifier: MIT */
/*
 * Made by generate.py from system-calls {version} (Linux {linux}); do not edit. No include guard: it is
 * included once for each column that is wanted, with CALL() defined to pick it. -1: not on that architecture.
 */
/* clang-format off */
/* CALL(name, {columns}) */
"""


def table() -> dict[str, dict[str, int]]:
    """Return {name: {column: number}} for all names of all architectures that Linux has or had."""
    calls = system_calls.syscalls()
    rows: dict[str, dict[str, int]] = {name: {} for name in calls.names()}
    for name, numbers in HEADERS_ONLY.items():
        rows.setdefault(name, {}).update(numbers)
    for arch in calls.archs():
        for name in calls.load_arch_table(arch):
            rows.setdefault(name, {})
    for column, arch in COLUMNS.items():
        for name, number in calls.load_arch_table(arch).items():
            rows[name][column] = number
    return rows


def render() -> str:
    from importlib.metadata import version

    lines = [HEAD.format(version=version("system-calls"), linux=system_calls.syscalls().linux_version,
                         columns=", ".join(COLUMNS))]  # fmt: skip
    # by bytes: the compiler looks names up by bisection with strcmp
    for name, numbers in sorted(table().items(), key=lambda row: row[0].encode()):
        lines.append(f"CALL({name}, {', '.join(str(numbers.get(column, -1)) for column in COLUMNS)})\n")
    return "".join(lines) + "/* clang-format on */\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare with the checked-in table, write nothing"
    )
    arguments = parser.parse_args()
    path = Path(__file__).with_name("table.h")
    if not arguments.check:
        path.write_text(render())
    elif path.read_text() != render():
        sys.exit(f"{path.name} is stale: run {Path(__file__).name}")


if __name__ == "__main__":
    main()
