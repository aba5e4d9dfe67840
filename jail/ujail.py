# SPDX-License-Identifier: MIT
"""The `ujail` command: argv → JailSpec → Plan → a jail; then `ujail-init` takes this process's place.

One table of options; the usage text is made from it (ujail_help.py). On the path of every start: imports are counted.
"""

import _signal  # the C half of `signal`, without enum
import posix
import sys

from jail import paths
from jail.errors import EXIT_FAILURE, JailError, UsageError
from jail.options import Options, number, parse, signed
from jail.spec import COMPLAIN, ENFORCE, SOCKETS, TRACE, JailSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from jail.plan import Plan

# see jail/options.py
OPTIONS: tuple[tuple[str, ...], ...] = (
    ("Jail",),
    ("n", "name", "NAME", "name of the jail (default: the program's)"),
    ("h", "hostname", "NAME", "host name inside"),
    ("t", "term-timeout", "SECONDS", "time between TERM and KILL (default 5)"),
    ("P", "pidfile", "FILE", "write the service's pid, as the host sees it"),
    ("y", "console", "", "a terminal of its own, which initd holds for `jailctl console NAME`"),
    ("i", "immediately", "", "start at once; always so, accepted for procd's sake"),
    ("j", "setns", "PID|JAIL:NS[,NS]", "join the net, ipc, uts or cgroup namespace of a process or jail"),
    ("d", "debug", "LEVEL", "1: say what is done and how it ended on stderr"),
    ("", "explain", "", "print the plan, start nothing"),
    ("Files",),
    ("r", "ro", "PATH[:TARGET]", "show a file or directory read-only, with the libraries it needs"),
    ("w", "rw", "PATH[:TARGET]", "the same, writable; PATH: a pattern, @resolver, @tls, @tz, @log, @ubus"),
    ("", "bind", "SRC[:DST[:FLAG,FLAG]]", "the same with ro, rw, noexec, dev, nodev, slave, live, optional"),
    ("", "dev", "NODE", "show a device node"),
    ("", "mask", "PATH", "hide a file or directory that another option shows"),
    ("", "tmpfs", "PATH[:SIZE,OPTION]", "a file system in memory: SIZE (4m), mode=1777, inodes=4096, exec"),
    ("p", "procfs", "", "a /proc of its own"),
    ("", "proc", "OPTION[,OPTION]", "the same, with hidepid=invisible (noaccess, ptraceable), subset=pid"),
    ("s", "sysfs", "", "a read-only /sys"),
    ("l", "log", "", SOCKETS["log"][0]),
    ("u", "ubus", "", SOCKETS["ubus"][0]),
    ("D", "udebug", "", f"{SOCKETS['udebug'][0]}, if it is there"),
    ("R", "extroot", "DIR", "another root file system, with its own libraries and users"),
    ("O", "overlaydir", "DIR", "a writable root; what is written stays in DIR/upper"),
    ("T", "tmpoverlaysize", "SIZE", "a writable root in memory, of SIZE at most"),
    ("o", "ronly", "", "read-only root; always so without -O and -T"),
    ("E", "requirejail", "", "a PATH that is missing stops the start instead of being skipped"),
    ("Identity",),
    ("U", "user", "USER", "user, a name or a number"),
    ("G", "group", "GROUP", "group, a name or a number"),
    ("f", "userns", "", "root inside, nobody or USER outside; ordinary users may use it"),
    ("", "uidmap", "IN:OUT:COUNT", "with -f, more uids (default: those of /etc/subuid)"),
    ("", "gidmap", "IN:OUT:COUNT", "with -f, more gids (default: those of /etc/subgid)"),
    ("", "umask", "MODE", "file mode creation mask, octal (default 022)"),
    ("C", "capabilities", "SET", "OCI JSON file, or cap_x,cap_y, cap_x+eip, all, none, 0xMASK"),
    ("c", "no-new-privs", "", "no new privileges; always so, accepted for procd's sake"),
    ("e", "env", "VAR[=VALUE]", "set or pass on a variable; all others are cleared"),
    ("Limits",),
    ("", "limit", "NAME=VALUE", "a resource limit: N (soft), SOFT HARD in quotes, unlimited"),
    ("", "cgroup", "FILE=VALUE", "a limit of a cgroup: memory.max, pids.max, cpu.max, any file by name"),
    ("", "nice", "N", "nice value, -20 to 19"),
    ("", "ioprio", "CLASS[:LEVEL]", "I/O priority: rt:0 to rt:7, be:0 to be:7, idle"),
    ("", "oom-score-adj", "N", "-1000 to 1000: who is killed first where memory ends"),
    ("v", "vrf", "DEVICE", "bind all its sockets to a device, a VRF of the host's, by a cgroup"),
    ("F", "cgroupsns", "", "the jail's cgroup is the root that it sees"),
    ("Policy",),
    ("S", "seccomp", "FILE", "seccomp policy, JSON"),
    ("", "no-default-filter", "", "without -S, allow every system call"),
    ("", "allow-userns", "", "let processes of the jail make user namespaces"),
    ("m", "mode", "MODE", "enforce it (default); complain: log, and allow; trace: record all calls instead"),
    ("M", "seccomp-log", "FILE", "add each denied call to the file, as a line of JSON"),
    ("", "notify", "", "answer denied calls in this process, as where the kernel has no records of them"),
    ("Network",),
    ("N", "netns", "", "a network of its own, with nothing but loopback"),
    ("", "net", "KIND:NAME[,KEY=VALUE]", "a device in it (veth, macvlan, dev), or the namespace netns:NAME"),
    ("", "connect", "PROTO:[ADDRESS:]PORT", "connect there alone; --bind PROTO:PORT: take connections"),
    ("Not yet",),
    ("J", "bundle", "DIR", "OCI bundle; name its root by -R, what its config.json says by other options"),
    ("Help",),
    ("", "help", "", "this text"),
    ("", "version", "", "print the version"),
)
NOT_YET = "J"
PROTOCOLS = ("tcp:", "udp:")  # --bind has ports as well as files: a path begins with a slash
# options that may be given again and again; each has a list of words in JailSpec
LISTS = {"bind": "binds", "dev": "devices", "mask": "masks"} | {
    name: name for name in ("gidmap", "net", "tmpfs", "uidmap")
}
# options that procd's capability wrapper has, a jail without namespaces
WRAPPER = frozenset("nitvPdUGCceSEj")


def parse_options(args: list[str]) -> Options:
    """Read options up to the first operand or `--`. Raises UsageError, with a near match for long ones."""
    return parse(args, OPTIONS, NOT_YET)


def make_spec(options: Options) -> JailSpec:
    """Options → what was asked for. Raises UsageError."""
    given = options.given
    if not options.argv:
        raise UsageError("no program given; see ujail --help")
    name = given.get("name") or paths.basename(options.argv[0])
    spec = JailSpec(name, options.argv)
    spec.cgroup = f"services/{name}"
    spec.is_group_ours = False
    _take_words(spec, given)
    _take_policy(spec, given)
    for option, value in options.pairs:
        _add(spec, option, value)
    short = {row[0] for row in OPTIONS if len(row) > 1 and row[1] in given and row[0]}
    # procd's own rule: capabilities or no_new_privs alone make no namespace
    spec.isolate = not (short & {"C", "c"} and short <= WRAPPER) or any(
        getattr(spec, name) for name in (*LISTS.values(), "proc")
    )
    # a jail with nothing asked for holds the program and nothing else
    spec.staged_etc = bool(short & set("rwpsluDoUGROT"))
    if spec.user or spec.group:
        spec.show_users()
    spec.validate()
    return spec


def _take_words(spec: JailSpec, given: dict[str, str]) -> None:
    """Options that are given once."""
    for word in ("group", "hostname", "ioprio", "proc", "user"):
        setattr(spec, word, given.get(word, ""))
    spec.capabilities = given.get("capabilities")
    for flag in ("console", "procfs", "sysfs", "ronly", "netns", "userns"):
        setattr(spec, flag, flag in given)
    spec.vrf = given.get("vrf", "") or ("/" if "vrf" in given else "")
    spec.cgroupns = "cgroupsns" in given
    spec.umask = given.get("umask", "") or ("-" if "umask" in given else "")
    spec.oom_score_adj = given.get("oom-score-adj", "")
    spec.no_default_filter = "no-default-filter" in given
    spec.allow_userns = "allow-userns" in given
    spec.extroot = _absolute("--extroot", given["extroot"]) if "extroot" in given else ""
    spec.overlay_dir = _absolute("--overlaydir", given["overlaydir"]) if "overlaydir" in given else ""
    spec.overlay_size = given.get("tmpoverlaysize", "") or ("0" if "tmpoverlaysize" in given else "")
    spec.required = "requirejail" in given
    spec.grace_s = number("--term-timeout", given.get("term-timeout", "5"))
    if "nice" in given:
        spec.nice = signed("--nice", given["nice"])
    spec.outputs = [paths.absolute(given[name]) for name in ("pidfile", "seccomp-log") if name in given]


def _take_policy(spec: JailSpec, given: dict[str, str]) -> None:
    """What holds the service, and who answers for it."""
    spec.mode = given.get("mode", ENFORCE)
    spec.notify = "notify" in given
    for option, word in (("seccomp-log", "-M"), ("notify", "--notify")):
        if option in given and spec.mode == TRACE:
            raise UsageError(f"{word} and -m trace do not go together: what is traced is denied nothing")
        if option in given and "seccomp" not in given:
            raise UsageError(f"{word} is about what a policy denies, and there is none: -S names one")
    if not spec.notify and ("seccomp-log" in given or spec.mode == COMPLAIN):
        from jail.silence import needs_supervisor

        spec.notify = needs_supervisor()
    if "seccomp" in given:
        spec.hold(_absolute("--seccomp", given["seccomp"]))


def _add(spec: JailSpec, option: str, value: str) -> None:
    if option in ("ro", "rw"):
        spec.share(value, writable=option == "rw")
    elif option in SOCKETS:
        spec.show_socket(option)
    elif option == "connect" or (option == "bind" and value.startswith(PROTOCOLS)):
        getattr(spec, f"net_{option}").append(value)
    elif option in LISTS:
        getattr(spec, LISTS[option]).append(value)
    elif option == "setns":
        from jail.joins import parse as parse_join

        spec.joins.append(parse_join(value))
    elif option in ("cgroup", "limit"):
        name, _, text = value.partition("=")
        (spec.limits if option == "limit" else spec.cgroup_files)[name] = text
    elif option == "env":
        name, equals, text = value.partition("=")
        if equals:
            spec.env[name] = text
        else:
            from os import environ

            if name in environ:
                spec.env[name] = environ[name]


def _absolute(option: str, path: str) -> str:
    if not path:
        raise UsageError(f"{option} needs a file name")
    return paths.absolute(path)


def main(argv: list[str]) -> int:
    """Returns only when no jail was started; else this process becomes the one that waits for it."""
    name = ""
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # no traceback: the terminal's word is final
    try:
        if argv[1:2] == ["--why"]:
            from jail.aftermath import finish

            return finish(argv[2:], say)
        options = parse_options(argv[1:])
        if "help" in options.given or "version" in options.given:
            from jail.ujail_help import answer

            return answer(options)
        spec = make_spec(options)
        name = f"{spec.name}: "
        debug = number("--debug", options.given.get("debug", "0"))
        return _run(spec, options, debug, argv[0])
    except JailError as error:
        say(f"ujail: {name}{error}")
        return error.status
    except OSError as error:
        say(f"ujail: {name}{error.filename or 'system'}: {error.strerror}")
        return EXIT_FAILURE


def _run(spec: JailSpec, options: Options, debug: int, argv0: str) -> int:
    from jail.plan import make_plan

    plan = make_plan(spec)
    for warning in plan.all_warnings():
        say(f"ujail: {spec.name}: warning: {warning}")
    if debug:
        for note in plan.notes:
            say(f"ujail: {spec.name}: {note}")
    if "explain" in options.given:
        from jail.stdout import show

        show(f"{plan.explain()}\n")
        return 0
    if posix.geteuid() != 0 and not spec.userns:
        raise JailError("must be run as root; an ordinary user needs -f")
    pidfile, log = options.given.get("pidfile"), options.given.get("seccomp-log", "")
    if spec.mode == TRACE or "seccomp-log" in options.given or plan.notify_abi:
        from jail.staying import stay

        return stay(spec, plan, pidfile, log)
    _start(spec, plan, pidfile, debug, argv0)


def _start(spec: JailSpec, plan: "Plan", pidfile: str | None, debug: int, argv0: str) -> "NoReturn":
    """The launch; then this process waits for it as another program."""
    from jail.privilege import STUB

    # not once the jail runs: an import that fails then is no error that anybody expects
    if pidfile is not None:
        from jail.pidfile import write_pid
    from jail.launch import hold_signals, launch

    net_fd = -1
    if plan.network:
        from jail.netmaker import make_for_waiter

        net_fd = make_for_waiter(plan.name, plan.network)
    handover = None
    if spec.console:
        from jail.console import Handover

        handover = Handover(spec.name)
    hold_signals()
    jail = launch(plan, net_fd=net_fd, console_fd=handover.console_fd if handover else -1)
    self_path, service_pid = paths.absolute(argv0), str(jail.service_pid)
    try:
        if handover:
            handover.finish()
        if pidfile is not None:
            write_pid(pidfile, jail.service_pid)
        words = [str(jail.pid), spec.name, str(debug), self_path, spec.seccomp, service_pid]
        posix.execv(STUB, ["ujail", "wait", *words, plan.group.path if plan.group else ""])
    except (OSError, JailError) as error:
        # leaving takes the jail along: its PID 1 dies with this process
        from jail.staying import end

        end(plan)
        if isinstance(error, JailError):
            raise
        raise JailError(f"{error.filename or STUB}: {error.strerror}") from error


def say(line: str) -> None:
    """One line on stderr and in syslog; if nobody listens, the exit status has to do."""
    from jail.saying import say_line

    say_line(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
