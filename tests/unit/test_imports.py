# SPDX-License-Identifier: MIT
"""What a start of `ujail` imports: each module more is paid at every start of every service."""

import subprocess
import sys
import sysconfig

import pytest

from jail import jailctl

# the interpreter's own, without site
INTERPRETER = set(sys.builtin_module_names) | {
    *(
        "__main__",
        "abc",
        "codecs",
        "encodings",
        "encodings.aliases",
        "encodings.utf_8",
        "io",
    ),
    *(
        "_frozen_importlib_external",
        "zipimport",
        "_frozen_importlib",
    ),
}
ALLOWED = INTERPRETER | {"_cffi_backend", "_struct", "_stat", "errno"}
ONLY_WITH_A_USER = {"pwd", "grp"}
CODE = """
import sys
sys.path += {path!r}
import jail.ujail
status = jail.ujail.main(["ujail", *{args!r}])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""


def imported(*args: str) -> set[str]:
    path = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    code = CODE.format(path=path, args=list(args))
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def strangers(modules: set[str]) -> set[str]:
    return {name for name in modules - ALLOWED if name.partition(".")[0] not in ("jail", "encodings")}


@pytest.mark.parametrize(
    "args",
    [
        ("--explain", "-n", "x", "--", "/bin/true"),
        ("--explain", "-n", "x", "-p", "-s", "-r", "/etc/hosts", "-e", "A=b", "-C", "cap_chown", "/bin/true"),
        ("--help",),
    ],
)
def test_a_start_imports_nothing_that_is_not_listed(args: tuple[str, ...]) -> None:
    assert strangers(imported(*args)) == set()


def test_users_cost_two_modules_more() -> None:
    assert strangers(imported("--explain", "-U", "root", "--", "/bin/true")) <= ONLY_WITH_A_USER


def test_modules_of_rare_paths_stay_out() -> None:
    usual = imported("--explain", "-n", "x", "--", "/bin/true")
    assert not usual & {
        "jail.why",
        "jail.capfile",
        "jail.launch",
        "jail.joins",
        "jail.limits",
        "jail.raresteps",
        "jail.shares",
    }
    assert not imported("--explain", "-c", "--", "/bin/true") & {"jail.doors", "jail.policy"}


def test_short_commands_load_nothing_heavy() -> None:
    code = "import sys; sys.path += {path!r}; import {names}; print(*sys.modules)"
    path = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    heavy = {"collections", "contextlib", "enum", "functools", "json", "re", "signal", "socket", "typing"}
    for names, without in (
        ("initd.ubus.command", {"_cffi_backend", "os"}),
        ("jail.jailctl, jail.jail_commands, jail.running", {"jail.calls", "jail.policyfile"}),
        ("jail.utrace", {"_cffi_backend"}),
    ):
        command = [sys.executable, "-I", "-S", "-c", code.format(path=path, names=names)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert not set(done.stdout.split()) & (heavy | without), names


def test_each_command_of_jailctl_has_its_function() -> None:
    for row in jailctl.COMMANDS:
        assert callable(jailctl.find_action(row[5])), row[0]
