# SPDX-License-Identifier: MIT
"""The `jailctl` command: argv → one row of the table → its function, which prints and says how it went.

The usage text is made from the tables. Nothing of it is on the path of a start.
"""

import sys

from jail.answers import YES, say
from jail.errors import EXIT_FAILURE, JailError, UsageError
from jail.options import Options, parse
from jail.options import usage as make_usage
from jail.stdout import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[list[str], "Options"], int]

OPTIONS: tuple[tuple[str, ...], ...] = (
    ("Options",),
    ("o", "output", "FILE", "write there, when all is done; else to standard output"),
    ("a", "arch", "ARCH", "for this architecture instead of the machine's own"),
    ("", "to", "ARCH", "port: the architecture to make the policy fit for"),
    ("", "libc", "LIBC", "port: the libc, glibc or musl"),
    ("", "asm", "", "show: as BPF"),
    ("", "all", "", "from strace: with what came before main; lint: with what the policy accepts"),
    ("", "comm", "NAME", "from audit: of programs of this name only"),
    ("e", "env", "VAR[=VALUE]", "exec: set or pass on a variable; all others are cleared"),
    ("", "unconfined", "", "exec: as root, with all capabilities and no filter"),
    ("", "help", "", "this text"),
    ("", "version", "", "print the version"),
)
ANYWHERE = {"help", "version"}
HEAD = """\
usage: jailctl COMMAND [OPTION]... [OPERAND]...
Make, compare, check and explain policies; look at jails that run, enter them, and tell what they were denied. A FILE
that is "-" is standard input.

Commands:"""
FOOT = """\
In a policy that these commands read, groups such as "@file-read" stand for their calls.
Exit status: 0 done, or yes; 1 no: they differ, there is something to say, the call is not permitted, a record
is damaged; 125 failed."""


# words, operands, fewest, most (0: any), options, function of this package, help
# fmt: off
COMMANDS: tuple[tuple[str, str, int, int, str, str, str], ...] = (
    ("policy merge", "FILE...", 1, 0, "output", "policy_commands.merge",
        "one policy with the rules of all of them; counts add up"),
    ("policy diff", "OLD NEW", 2, 2, "", "policy_commands.diff", "what a process would notice"),
    ("policy lint", "FILE...", 1, 0, "arch all", "policy_commands.lint",
        "what cannot be meant, is dangerous or will be missing"),
    ("policy explain", "NAME...", 1, 0, "", "policy_commands.explain",
        "what a system call does, or what is in a group"),
    ("policy show", "FILE|PID", 1, 1, "arch asm", "policy_commands.show",
        "rules in words, or as BPF; of a live process, too"),
    ("policy simulate", "FILE CALL [ARG]...", 2, 8, "arch", "policy_commands.simulate",
        "the verdict on one call, and the rule"),
    ("policy compile", "FILE", 1, 1, "arch output", "policy_commands.compile_", "to struct sock_filter[]"),
    ("policy fmt", "FILE", 1, 1, "output", "policy_commands.fmt", "in the usual form, with groups spelled out"),
    ("policy port", "FILE", 1, 1, "to libc output", "policy_commands.port",
        "make it fit for another architecture or libc"),
    ("policy from strace", "FILE...", 1, 0, "all output", "policy_commands.from_strace",
        "a policy of strace's logs or tables"),
    ("policy from audit", "FILE...", 1, 0, "comm output", "policy_commands.from_audit",
        "a policy of what was denied"),
    ("list", "", 0, 0, "", "jail_commands.list_",
        "the jails that run: name, pids of PID 1 and the service, what holds it"),
    ("exec", "NAME|PID PROGRAM [ARG]...", 2, 0, "env unconfined", "jail_commands.exec_",
        "run a program in a jail, held as its service is"),
    ("console", "SERVICE[::INSTANCE]", 1, 1, "", "jail_commands.console", "the console of a jail, until Ctrl-]"),
    ("why", "NAME", 1, 1, "", "jail_commands.why",
        "how a service or a jail ended, what it was denied, and what would help"),
    ("audit", "", 0, 0, "", "jail_commands.audit", "services and jails that could be held better"),
    ("audit-log", "FILE", 1, 1, "", "policy_commands.audit_log", "the kernel's records of denials in words"),
    ("syscalls", "", 0, 0, "arch", "number_commands.syscalls", "numbers and names"),
    ("caps", "", 0, 0, "", "number_commands.caps", "numbers and names of capabilities"),
    ("errnos", "", 0, 0, "arch", "number_commands.errnos", "numbers and names of errors"),
    ("families", "", 0, 0, "arch", "number_commands.families", "numbers and names of address families"),
)
# fmt: on


def main(argv: list[str]) -> int:
    try:
        options, operands = _read(argv[1:])
        if "help" in options.given:
            show(f"{_usage()}\n")
            return YES
        if "version" in options.given:
            from jail.version import VERSION

            show(f"jailctl (Stockade) {VERSION}\n")
            return YES
        return _run(operands, options)
    except JailError as error:
        say(str(error))
        return error.status
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror}")
        return EXIT_FAILURE


def _read(args: list[str]) -> tuple[Options, list[str]]:
    """Options may stand among the operands; after `--` there are none."""
    own, last = args, []
    if "--" in args:
        own, last = args[: args.index("--")], args[args.index("--") + 1 :]
    all_options = Options()
    operands: list[str] = []
    while own:
        options = parse(own, OPTIONS)
        all_options.given.update(options.given)
        all_options.pairs += options.pairs
        operands += options.argv[:1]
        own = options.argv[1:]
    return all_options, operands + last


def _run(operands: list[str], options: Options) -> int:
    for words, wanted, fewest, most, allowed, action, _ in COMMANDS:
        name = words.split()
        if operands[: len(name)] != name:
            continue
        rest = operands[len(name) :]
        if len(rest) < fewest or len(rest) > (most or (len(rest) if fewest else 0)):
            raise UsageError(f"usage: jailctl {words} {wanted}".rstrip())
        stray = sorted(set(options.given) - {*allowed.split(), *ANYWHERE})
        if stray:
            raise UsageError(f"{words} has no option --{stray[0]}")
        return find_action(action)(rest, options)
    raise UsageError(_no_command(operands))


def find_action(name: str) -> "Action":
    """Only what is called is imported: a list of jails needs nothing of what reads policies."""
    module, _, function = name.partition(".")
    found: Action = getattr(__import__(f"jail.{module}", fromlist=[function]), function)
    return found


def _no_command(operands: list[str]) -> str:
    """What to say of words that are none, with what they may have been meant to be."""
    from jail.near import did_you_mean

    if not operands:
        return "no command given; see jailctl --help"
    known = [row[0] for row in COMMANDS]
    for length in (3, 2, 1):
        said = " ".join(operands[:length])
        longer = [words.removeprefix(f"{said} ") for words in known if words.startswith(f"{said} ")]
        hint = "" if longer else did_you_mean(said, [*known, "policy"])
        if hint:
            return f"unknown command {said!r}{hint}"
        if longer:
            return f"{said} what? one of {', '.join(longer)}"
    return f"unknown command {operands[0]!r}; see jailctl --help"


def _usage() -> str:
    rows = [f"  {f'{words} {wanted}':<36} {text}" for words, wanted, *_, text in COMMANDS]
    return make_usage("\n".join([HEAD, *rows]), OPTIONS, FOOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
