# SPDX-License-Identifier: MIT
"""The `utrace` command: argv → a traced run → the policy that allows what was called.

One table of options; the usage text is made from it.
"""

import os
import sys

from jail.errors import EXIT_CANNOT_EXECUTE, EXIT_FAILURE, EXIT_NOT_FOUND, JailError, UsageError
from jail.options import Options, parse
from jail.options import usage as make_usage
from jail.stdout import show
from jail.words import in_one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.learn import Policy
    from jail.trace import Program, Trace, Watch
    from jail.tracefile import TraceFile
    from jail.tree import Closure

# see jail/options.py
OPTIONS: tuple[tuple[str, ...], ...] = (
    ("Output",),
    ("f", "file", "FILE", "write the policy there (default /tmp/NAME.json.PID, never over another file)"),
    ("", "per-program", "", "a policy for each program that was executed: FILE, FILE.NAME…"),
    ("", "add", "", "add to the policy in FILE what was seen now, instead of replacing it"),
    ("Content",),
    ("", "jail", "", "PROGRAM is ujail: record the service in its jail instead of ujail itself"),
    ("", "all", "", "take in what the program called before main"),
    ("", "args", "", "make rules of the arguments of socket, ioctl, prctl, fcntl, mmap, mprotect, clone"),
    ("", "paths", "", "propose ujail options for the files, programs and sockets that were used"),
    ("", "registers", "", "read arguments as kernels before 5.3 need it"),
    ("p", "policy", "FILE", "accepted for procd's sake, no effect"),
    ("Help",),
    ("", "help", "", "this text"),
    ("", "version", "", "print the version"),
)
HEAD = """\
usage: utrace [OPTION]... [--] PROGRAM [ARGUMENT]...
Run a program and write the seccomp policy that allows what it and all that it started called."""
EXAMPLES = """\
  utrace /bin/echo foo                            writes /tmp/echo.json.PID
  utrace -f dns.json --paths dnsmasq -k           use it, stop it by TERM, then: ujail -S dns.json … -- dnsmasq -k

A dynamic program is recorded from its main on, a static one and all that are executed later from their entry
points on. Exit status: the program's own, 128+N if signal N killed it; 125 utrace failed, 126 the program cannot
be executed, 127 it was not found."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where no PATH is set


def main(argv: list[str]) -> int:
    try:
        options = parse(argv[1:], OPTIONS)
        if "help" in options.given:
            show(make_usage(HEAD, OPTIONS, f"Examples:\n{EXAMPLES}") + "\n")
            return 0
        if "version" in options.given:
            from jail.version import VERSION

            show(f"utrace (Stockade) {VERSION}\n")
            return 0
        if not options.argv:
            raise UsageError("no program given; see utrace --help")
        return _run(options)
    except JailError as error:
        say(str(error))
        return error.status
    except OSError as error:
        say(f"{error.filename or 'system'}: {error.strerror}")
        return EXIT_FAILURE


def _run(options: Options) -> int:
    from jail.trace import Trace
    from jail.tracefile import TraceFile, default_path

    path = find_program(options.argv[0])
    program, shim = _link(path)
    argv, jail = options.argv, "jail" in options.given
    if jail:
        argv, program, shim = _into_jail(argv), None, ""
    before = _existing(options)
    trace = Trace(_watches(options), registers="registers" in options.given, jail=jail)
    try:
        trace.spawn(path, argv, _environment(shim))
        name = options.given.get("file") or default_path(path, trace.pid)
        file = TraceFile(name, replace="file" in options.given)
        try:
            status = trace.run(path)
            _write(trace, program, file, options, before)
            return status
        finally:
            file.drop()
    finally:
        trace.close()


def find_program(name: str) -> str:
    """The file that a shell would execute. Raises JailError with status 126 or 127."""
    folders = [""] if "/" in name else [f"{f or '.'}/" for f in os.environ.get("PATH", PATH).split(":")]
    there = False
    for folder in folders:
        path = folder + name
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        there = there or os.path.exists(path)
    error = JailError(f"{name}: {'cannot be executed' if there else 'not found'}")
    error.status = EXIT_CANNOT_EXECUTE if there else EXIT_NOT_FOUND
    raise error


def _link(path: str) -> "tuple[Closure | None, str]":
    """What the program needs, if that can be told, and the shim that marks its main, if it loads one."""
    from jail.doors import link
    from jail.errors import ConfigError

    try:
        program, shim = link(os.path.abspath(path))
    except ConfigError:
        return None, ""  # whatever it is, the kernel knows
    return program, shim if os.access(path, os.R_OK) else ""


def _into_jail(argv: list[str]) -> list[str]:
    """The command line of ujail with the shim shown and loaded; a -S there, or the default filter, would hide calls."""
    from jail.doors import SHIM

    if has_policy(argv):
        say("ujail's -S: what the policy denies is not recorded, or ends the program")
    return [argv[0], "--no-default-filter", "-r", SHIM, "-e", f"LD_PRELOAD={SHIM}", *argv[1:]]


def has_policy(argv: list[str]) -> bool:
    """Whether it is a ujail that enforces a policy."""
    from jail.spec import ENFORCE
    from jail.ujail import parse_options

    try:
        given = parse_options(argv[1:]).given if os.path.basename(argv[0]) == "ujail" else {}
    except UsageError:
        return False  # which it says itself
    return "seccomp" in given and given.get("mode", ENFORCE) == ENFORCE


def _existing(options: Options) -> "Policy | None":
    """The policy to add to. Raises UsageError, ConfigError."""
    if "add" not in options.given:
        return None
    path = options.given.get("file")
    if not path:
        raise UsageError("--add needs -f FILE")
    if "per-program" in options.given or "args" in options.given:
        raise UsageError("--add goes with neither --per-program nor --args")
    import json

    from jail.errors import ConfigError
    from jail.policy import compile_filter
    from jail.trace import NATIVE
    from jail.tracefile import read_earlier

    text = read_earlier(path)
    if text is None:
        return None
    compile_filter(text, NATIVE, path=path)  # says what is wrong with it, and where
    policy: Policy = json.loads(text)
    if "syscalls" not in policy:
        raise ConfigError(f"{path}: not an OCI policy")
    return policy


def _environment(shim: str) -> dict[str, str]:
    """Ours, with the shim and without a policy: the shim would put that on."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SECCOMP_")}
    if shim:
        others = env.get("LD_PRELOAD", "")
        env["LD_PRELOAD"] = shim + (f":{others}" if others else "")
    return env


def _watches(options: Options) -> "list[Watch]":
    from jail.learn import ARGUMENTS
    from jail.trace import Watch

    watches = []
    if "args" in options.given:
        watches += [Watch("value", call, index) for call, index in ARGUMENTS.items()]
    if "paths" in options.given:
        from jail.propose import WATCHES

        watches += WATCHES
    return watches


def _write(
    trace: "Trace", program: "Closure | None", file: "TraceFile", options: Options, before: "Policy | None"
) -> None:
    """The policy, or the policies, and on stderr what is to be said about them."""
    from jail import learn, record
    from jail.tracefile import beside

    abi, always = record.abi_and_always(trace)
    groups = [[each] for each in trace.programs] if "per-program" in options.given else [trace.programs]
    others: list[list[Program]] = groups[1:]
    taken: set[str] = set()
    for group in [groups[0], *others]:
        policy, notes = learn.make_policy(
            group, abi, always, early="all" in options.given, arguments="args" in options.given
        )
        if group is groups[0] and program is not None and program.preloaded:
            record.add_startup(policy, trace.programs[0], abi, program)
        policy["programs"] = learn.describe_programs(group, abi)
        if before is not None:
            limited = learn.limited_calls(before, policy)
            if limited:
                notes.append(f"its rules limit or deny these, and stay as they were: {' '.join(limited)}")
            policy = learn.add_to(before, policy)
        notes += record.add_chance(policy, abi)
        is_first = group is groups[0]
        target = (
            file if is_first else beside(file.path, group[0].name, taken, replace="file" in options.given)
        )
        text = learn.dump(policy) + "\n"
        say(f"wrote {target.commit(text)}")
        for note in notes:
            say(note)
    for line in record.remarks(trace, abi):
        say(line)
    if "paths" in options.given:
        from jail.propose import propose

        for line in propose(trace, program, "jail" in options.given):
            print(line, file=sys.stderr)


def say(line: str) -> None:
    """One line on stderr, in one write; programs that were traced have names of their own choice."""
    try:
        os.write(2, f"utrace: {in_one_line(line)}\n".encode())
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv))
