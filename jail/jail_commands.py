# SPDX-License-Identifier: MIT
"""`jailctl exec`, `list`, `console` and `why`: what is done with jails that run. Only for root."""

import os
import sys

from jail.answers import NO, YES, print_lines, say
from jail.errors import JailError, UsageError
from jail.spec import COMPLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.options import Options


def list_(operands: list[str], options: "Options") -> int:
    """NAME, pid of PID 1, pid of the service, what holds it."""
    from jail.running import all_jails

    _need_root()
    rows = sorted(all_jails(), key=lambda jail: (jail.name, jail.pid))
    print_lines([f"{jail.name}\t{jail.pid}\t{jail.service_pid}\t{jail.held()}" for jail in rows])
    return YES


def audit(operands: list[str], options: "Options") -> int:
    """What runs and could be held better; NO if there is anything."""
    from jail.audit_command import audit as find

    _need_root()
    lines = find()
    print_lines(lines)
    return NO if lines else YES


def exec_(operands: list[str], options: "Options") -> int:
    """Run a program in a jail; this process becomes the one that waits for it."""
    from jail.entry import confined, unconfined
    from jail.launch import hold_signals, launch
    from jail.privilege import STUB
    from jail.running import require_jail

    _need_root()
    jail = require_jail(operands[0])
    env = _environment([value for name, value in options.pairs if name == "env"])
    is_unconfined = "unconfined" in options.given
    if is_unconfined:
        say(f"{jail.name}: warning: root with all capabilities and without a filter, in the jail's files")
    elif jail.door.startswith(f"{COMPLAIN} "):
        say(f"{jail.name}: warning: its policy complains only: what it denies is logged, and allowed")
    plan = (unconfined if is_unconfined else confined)(jail, operands[1:], env)
    hold_signals()
    entered = launch(plan)
    policy = jail.door.partition(" ")[2] if not is_unconfined else ""
    ujail = f"{os.path.dirname(os.path.abspath(sys.argv[0]))}/ujail"
    words = [str(entered.pid), jail.name, "0", ujail, policy, str(entered.service_pid), ""]
    try:
        os.execv(STUB, ["jailctl", "wait", *words])
    except OSError as error:
        raise JailError(f"{STUB}: {error.strerror}") from error


def console(operands: list[str], options: "Options") -> int:
    """This terminal becomes the console of a jail. Who may do so is for the bus to say."""
    from jail.console_command import console as attach

    return attach(operands[0])


def why(operands: list[str], options: "Options") -> int:
    """How it ended, what it was denied, and what would help."""
    from jail.why_command import lines_about

    _need_root()
    print_lines(lines_about(operands[0]))
    return YES


def _environment(settings: list[str]) -> dict[str, str]:
    env = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name:
            raise UsageError(f"bad variable name {name!r}")
        if equals or name in os.environ:
            env[name] = value if equals else os.environ[name]
    return env


def _need_root() -> None:
    if os.geteuid() != 0:
        raise JailError("must be run as root")
