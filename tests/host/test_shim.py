# SPDX-License-Identifier: MIT
"""The shim by hand, without any process of ours: door 2 alone, on glibc and on musl."""

import errno
import importlib.util
import json
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

if TYPE_CHECKING:
    from jails import Host
    from result import Result

LIBCS = ("glibc", "musl")
# what stdio of either libc wants for printing
SPEAK = (
    *(
        "brk",
        "mmap",
        "mmap2",
        "fstat",
        "fstat64",
        "newfstatat",
        "fstatat64",
        "statx",
        "writev",
        "ioctl",
        "prctl",
    ),
    *("lseek", "_llseek"),
)
# calls that every loader makes, and our mains do without
LOADERS_OWN = ("openat", "open", "mprotect", "arch_prctl", "set_tid_address", "pread64", "munmap")
MISSPELT = (
    '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["raed"], "action": "SCMP_ACT_ERRNO"}]}'
)
# what glibc and musl both have under the same name; anything else would tie the shim to one of them
COMMON_CALLS = {
    *(
        "__errno_location",
        "__stack_chk_fail",
        "_exit",
        "close",
        "dlsym",
        "getauxval",
        "lseek",
        "mmap",
        "munmap",
    ),
    *("environ", "__environ", "memcmp", "memcpy", "memmove", "memset", "memchr", "open", "prctl", "read"),
    *("strchr", "strcmp", "strcspn", "strlen", "strncmp", "strspn", "strtoul", "syscall", "uname", "write"),
}


@pytest.fixture(scope="session")
def shim() -> str:
    found = importlib.util.find_spec("jail._native")
    assert found and found.origin
    return str(Path(found.origin).parent / "libpreload-seccomp.so")


def by_hand(
    host: "Host", shim: str, policy: object, *verbs: object, kind: str = "glibc", **env: str
) -> "Result":
    settings = {"SECCOMP_FILE": str(policy), "LD_PRELOAD": shim, **env}
    return host.run(host.probes[kind], *verbs, env={name: value for name, value in settings.items() if value})


def test_shim_exports_its_two_symbols_and_needs_libc_alone(shim: str) -> None:
    with open(shim, "rb") as file:
        elf = ELFFile(file)
        table, dynamic = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".dynamic")
        assert isinstance(table, SymbolTableSection) and isinstance(dynamic, DynamicSection)
        symbols = list(table.iter_symbols())
        needed = [str(getattr(tag, "needed")) for tag in dynamic.iter_tags("DT_NEEDED")]  # noqa: B009
    exported = {
        symbol.name
        for symbol in symbols
        # mips lists its sections, as local symbols
        if symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_info"]["bind"] != "STB_LOCAL"
    }
    wanted = {
        symbol.name
        for symbol in symbols
        if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name and symbol["st_info"]["bind"] != "STB_WEAK"
    }
    assert exported == {"__libc_start_main", "__uClibc_main"}
    assert len(needed) == 1 and needed[0].startswith("libc.")
    assert wanted <= COMMON_CALLS


@pytest.mark.parametrize("kind", LIBCS)
def test_filter_is_in_force_in_main(host: "Host", shim: str, kind: str) -> None:
    policy = host.policy(*SPEAK)
    inside = by_hand(host, shim, policy, "modes", "call", "getppid", "-", kind=kind)
    assert (inside["seccomp"], inside["no_new_privs"]) == ("2", "1")
    assert inside["call:getppid"] == "EXFULL"
    without = host.run(host.probes[kind], "modes", "call", "getppid", "-")
    assert (without["seccomp"], without["call:getppid"]) == ("0", "ok")


@pytest.mark.parametrize("kind", LIBCS)
def test_filter_is_not_yet_in_force_while_libc_starts(host: "Host", shim: str, kind: str) -> None:
    policy = json.loads(host.policy(*SPEAK).read_text())
    policy["syscalls"].insert(0, {"names": LOADERS_OWN, "action": "SCMP_ACT_KILL_PROCESS"})
    path = host.folder / "no-loader.json"
    path.write_text(json.dumps(policy))
    assert by_hand(host, shim, path, "modes", kind=kind)["seccomp"] == "2"
    # the twin: the same calls do kill once main is reached
    assert by_hand(host, shim, path, "call", "mprotect", "-", kind=kind).status == 128 + signal.SIGSYS


@pytest.mark.parametrize("kind", LIBCS)
def test_own_variables_are_gone_and_others_stay(host: "Host", shim: str, kind: str) -> None:
    other = "/nonexistent/other.so" if kind == "glibc" else ""
    preload = f"{shim}:{other}" if other else shim
    inside = by_hand(
        host, shim, host.policy(*SPEAK), "env", kind=kind, A="1", SECCOMP_DEBUG="0", LD_PRELOAD=preload
    )
    expected = {"A=1", f"LD_PRELOAD={other}"} if other else {"A=1"}
    assert set(inside.all("env")) == expected


@pytest.mark.parametrize("preload", ["{shim} {other}", "{other}:{shim}", "{other} {shim}:{other}"])
def test_own_entry_is_found_wherever_it_stands(host: "Host", shim: str, preload: str) -> None:
    other = "/nonexistent/other.so"
    text = preload.format(shim=shim, other=other)
    inside = by_hand(host, shim, host.policy(*SPEAK), "env", LD_PRELOAD=text)
    kept = ":".join(entry for entry in text.replace(" ", ":").split(":") if entry == other)
    assert inside.all("env") == [f"LD_PRELOAD={kept}"]


def test_debug_prints_the_program_on_stderr(host: "Host", shim: str) -> None:
    inside = by_hand(host, shim, host.policy(*SPEAK), "modes", SECCOMP_DEBUG="1")
    assert inside.err.startswith("0: code 32 jt 0 jf 0 k 4\n")
    assert inside["seccomp"] == "2"


@pytest.mark.parametrize("kind", LIBCS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("", ":1:1: "),
        ("{", ":1:2: "),
        ('{"defaultAction": "SCMP_ACT_ALOW"}', ':1:19: unknown action "SCMP_ACT_ALOW"'),
        (MISSPELT, ':1:61: unknown system call "raed", did you mean "read"'),
        (" " * (1 << 20) + "{}", "longer than 1 MiB"),
    ],
)
def test_bad_policy_ends_before_main(
    host: "Host", shim: str, kind: str, content: str | None, message: str
) -> None:
    path = host.folder / "bad.json"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    refused = by_hand(host, shim, path, "modes", kind=kind)
    assert refused.status == 127 and refused.out == ""
    assert message in refused.err and refused.err.count("\n") == 1
    assert refused.err.startswith("libpreload-seccomp: ")


@pytest.mark.parametrize("policy", ["", "/proc/self/mem", "/"])
def test_no_policy_or_an_unreadable_one_ends_before_main(host: "Host", shim: str, policy: str) -> None:
    refused = by_hand(host, shim, policy, "modes")
    assert refused.status == 127 and refused.out == ""
    assert refused.err.count("\n") == 1


def test_policy_that_the_user_may_not_read_ends_before_main(host: "Host", shim: str) -> None:
    policy = host.policy(*SPEAK)
    policy.chmod(0o600)
    shown = host.folder / "shim-for-all.so"
    shown.write_bytes(Path(shim).read_bytes())
    shown.chmod(0o755)
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--regid=65534"]
    preload = host.folder / "libpreload-seccomp.so"
    shown.rename(preload)
    command = [
        *as_nobody,
        "env",
        f"SECCOMP_FILE={policy}",
        f"LD_PRELOAD={preload}",
        host.probes["glibc"],
        "modes",
    ]
    refused = host.run(*command)
    assert refused.status == 127 and "permission denied" in refused.err and refused.out == ""
    policy.chmod(0o644)
    assert host.run(*command)["seccomp"] == "2"


def test_filter_is_inherited_by_exec_and_by_threads(host: "Host", shim: str) -> None:
    policy = host.folder / "all-but-one.json"
    rule = {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXFULL}
    policy.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    after = by_hand(host, shim, policy, "exec", host.probes["glibc"], "modes", "call", "getppid", "-")
    assert (after["seccomp"], after["call:getppid"]) == ("2", "EXFULL")
    code = (
        "import os, threading\n"
        "def show():\n"
        "    print(open('/proc/thread-self/status').read())\n"
        "threads = [threading.Thread(target=show), threading.Thread(target=show)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\n"
    )
    env = {"SECCOMP_FILE": str(policy), "LD_PRELOAD": shim}
    threads = host.run("/usr/bin/python3", "-I", "-S", "-c", code, env=env)
    assert threads.out.count("Seccomp:\t2\n") == 2


def test_setuid_program_that_loads_the_shim_refuses(host: "Host", shim: str) -> None:
    """In secure mode glibc takes a preload only by bare name, from a system directory, and if setuid."""
    folder = host.folder / "system"
    folder.mkdir()
    copy = folder / "libpreload-seccomp.so"
    copy.write_bytes(Path(shim).read_bytes())
    copy.chmod(0o4755)
    policy = host.policy(*SPEAK)
    system = host.system_libraries()

    def as_nobody(kind: str) -> "Result":
        script = (
            f"mount -t overlay overlay -o lowerdir={folder}:{system} {system} && exec setpriv --reuid=65534"
            f" --regid=65534 --clear-groups env SECCOMP_FILE={policy} LD_PRELOAD=libpreload-seccomp.so"
            f" {host.probes[kind]} modes"
        )
        return host.run(*host.apart, "sh", "-c", script)

    refused = as_nobody("setuid")
    assert refused.status == 127 and "setuid" in refused.err and refused.out == ""
    assert as_nobody("glibc")["seccomp"] == "2"


UCLIBC_LIBRARY = """
#include <stdlib.h>
extern char **environ;
int __uClibc_main(int (*m)(int, char **, char **), int c, char **v, void *i, void *f, void *r, void *s)
{
	exit(m(c, v, environ));
}
"""
# its own __libc_start_main comes before every library's, as uClibc's programs have none
UCLIBC_PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
int __uClibc_main(int (*m)(int, char **, char **), int c, char **v, void *i, void *f, void *r, void *s);
int __libc_start_main(int (*m)(int, char **, char **), int c, char **v, void *i, void *f, void *r, void *s)
{
	return __uClibc_main(m, c, v, i, f, r, s);
}
int main(void)
{
	printf("seccomp %d %s\\n", prctl(PR_GET_SECCOMP), getenv("SECCOMP_FILE") ? "kept" : "gone");
	return 3;
}
"""


def test_uclibc_start_routine_is_wrapped_too(host: "Host", shim: str) -> None:
    """There is no uClibc here: a library stands in for it."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    library, program = host.folder / "libstart.so", host.folder / "uclibc-program"
    library.with_suffix(".c").write_text(UCLIBC_LIBRARY)
    program.with_suffix(".c").write_text(UCLIBC_PROGRAM)
    assert host.run("gcc", "-shared", "-fPIC", library.with_suffix(".c"), "-o", library).status == 0
    assert host.run("gcc", program.with_suffix(".c"), library, "-o", program).status == 0
    env = {"SECCOMP_FILE": str(host.policy(*SPEAK)), "LD_PRELOAD": shim}
    inside = host.run(program, env=env)
    assert (inside.status, inside.out) == (3, "seccomp 2 gone\n"), inside
    outside = host.run(program)
    assert (outside.status, outside.out) == (3, "seccomp 0 gone\n"), outside


def test_without_a_policy_only_a_tracer_lets_the_shim_go_on(host: "Host", shim: str, tmp_path: Path) -> None:
    probe = host.probes["glibc"]
    alone = host.run("env", f"LD_PRELOAD={shim}", probe, "modes")
    assert alone.status == 127 and "SECCOMP_FILE: not set" in alone.err
    assert host.run(host.utrace, "-f", tmp_path / "t", probe, "modes").status == 0


def test_policy_holds_under_a_tracer_too(host: "Host", shim: str, tmp_path: Path) -> None:
    policy = host.policy(default="SCMP_ACT_KILL_PROCESS")
    preloaded = ("env", f"SECCOMP_FILE={policy}", f"LD_PRELOAD={shim}", host.probes["glibc"])
    traced = (host.utrace, "-f", tmp_path / "t", *preloaded)
    assert host.run(*traced, "exit", 3).status == 3
    assert host.run(*traced, "call", "getppid", "-").status == 128 + signal.SIGSYS
