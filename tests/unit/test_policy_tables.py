# SPDX-License-Identifier: MIT
"""The system call tables against the kernel headers of the machine and of installed cross toolchains."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bpf import Program
from naive import TARGETS, Target

from jail.policy import ARCHES, compile_filter

SYSCALLS = Path(__file__).resolve().parents[2] / "preload" / "syscalls"
COLUMNS = ("x86_64", "i386", "mips", "arm", "aarch64", "riscv64")
# our name: (folders that may hold <asm/unistd.h> of that architecture, what its compiler would define)
HEADERS = {
    "x86_64": (["/usr/include/x86_64-linux-gnu", "/usr/x86_64-linux-gnu/include"], ["-D__x86_64__"]),
    "i386": (
        ["/usr/include/i386-linux-gnu", "/usr/include/x86_64-linux-gnu", "/usr/i686-linux-gnu/include"],
        ["-D__i386__"],
    ),
    "mips": (["/usr/mips-linux-gnu/include", "/usr/include/mips-linux-gnu"], ["-D_MIPS_SIM=1"]),
    "mipsel": (["/usr/mipsel-linux-gnu/include", "/usr/include/mipsel-linux-gnu"], ["-D_MIPS_SIM=1"]),
    "arm": (["/usr/arm-linux-gnueabihf/include", "/usr/arm-linux-gnueabi/include"], ["-D__ARM_EABI__"]),
    "aarch64": (["/usr/aarch64-linux-gnu/include", "/usr/include/aarch64-linux-gnu"], []),
    "riscv64": (
        ["/usr/riscv64-linux-gnu/include", "/usr/include/riscv64-linux-gnu"],
        ["-D__riscv_xlen=64", "-D__SIZEOF_POINTER__=8"],
    ),
}
# numbers in the headers that are no calls: limits, bases, holes and markers
NO_CALL = re.compile(r"unused\d+|reserved\d+|Linux|SYSCALL_BASE|OABI_SYSCALL_BASE|SYSCALL_MASK|BASE|syscalls"
                     r"|arch_specific_syscall")  # fmt: skip


def table(column: str) -> dict[str, int]:
    """Return what table.h says of one column; -1 where the name belongs to others only."""
    rows = re.findall(r"^CALL\((\w+), (.+)\)$", (SYSCALLS / "table.h").read_text(), re.MULTILINE)
    at = COLUMNS.index("mips" if column == "mipsel" else column)
    return {name: int(numbers.split(", ")[at]) for name, numbers in rows}


def header_numbers(arch: str) -> dict[str, int]:
    """Return the calls of <asm/unistd.h>, by way of the preprocessor."""
    folders, defines = HEADERS[arch]
    folder = next((folder for folder in folders if Path(folder, "asm/unistd.h").exists()), None)
    compiler = shutil.which("gcc") or shutil.which("clang")
    if not folder or not compiler:
        pytest.skip(f"no kernel headers for {arch} here")
    command = [compiler, "-E", "-P", "-undef", "-nostdinc", *defines, f"-I{folder}", "-I/usr/include", "-"]

    def preprocess(*options: str, text: str) -> str:
        run = subprocess.run([*command, *options], input=text, capture_output=True, text=True, check=True)
        return run.stdout

    text = "#include <asm/unistd.h>\n"
    macros = re.findall(r"#define (__(?:ARM_)?NR_(\w+)) ", preprocess("-dM", text=text))
    values = preprocess(text=text + "".join(f"@ {name} {macro}\n" for macro, name in macros))
    found = {}
    for name, value in re.findall(r"^@ (\w+) (.+)$", values, re.MULTILINE):
        if not NO_CALL.fullmatch(name):
            terms = re.fullmatch(r"[()0-9a-fx+|\s]+", value)
            assert terms, f"{name} is {value}"
            found[name] = sum(int(term, 0) for term in re.findall(r"0x[0-9a-f]+|\d+", value))
    return found


@pytest.mark.parametrize("arch", ARCHES)
def test_table_agrees_with_kernel_headers(arch: str) -> None:
    ours, kernels = table(arch), header_numbers(arch)
    assert len(kernels) > 250
    assert {name: ours.get(name) for name in kernels} == kernels


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_compiler_knows_every_call_of_the_table(target: Target) -> None:
    """Each name alone allows its own number and nothing beside it."""
    for name, number in table(target.name).items():
        text = f'{{"whitelist": ["{name}"]}}'
        program = Program(compile_filter(text.encode(), target.name, path="p").code, target.big_endian)
        near = [nr for nr in (number - 1, number, number + 1) if number >= 0 and nr >= 0]
        allowed = [nr for nr in (0, *near) if program.run(target.audit, nr)[0] == 0x7FFF0000]
        assert set(allowed) == ({number} if number >= 0 else set()), name


def test_table_is_sorted_and_has_no_name_twice() -> None:
    names = [name.encode() for name in table("x86_64")]
    assert names == sorted(set(names))
    lines = (SYSCALLS / "table.h").read_text().splitlines()
    assert sum(line.startswith("CALL(") for line in lines) == len(names)


def test_table_is_what_its_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("generate", SYSCALLS / "generate.py")
    assert spec and spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    first, rest = generate.render().split("CALL(name", 1)
    version = first.split("system-calls ")[1].split(" ")[0]
    if f"system-calls {version} " not in (SYSCALLS / "table.h").read_text():
        pytest.skip(f"the table was made from another release than system-calls {version}")
    assert rest == (SYSCALLS / "table.h").read_text().split("CALL(name", 1)[1]
