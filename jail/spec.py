# SPDX-License-Identifier: MIT
"""What was asked for, before anything is read: the value that `ujail` and `initd` both make.

validate() holds every refusal that needs nothing but the words themselves; the ones that need the
host's files are in plan.py. Must not read a file.
"""

from jail.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.networds import Network

# of a policy: it is put on; its denials are allowed and logged; there is none, and every call is recorded
ENFORCE, COMPLAIN, TRACE = MODES = ("enforce", "complain", "trace")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # in a jail, and where programs are looked for
SIZE_MAX = 8  # characters, as in procd
HOSTNAME_MAX = 64  # __NEW_UTS_LEN
PATH_MAX, NAME_MAX = 4095, 255  # bytes, without the NUL: Linux has no longer ones
# what options and jail flags name: the path, and whether a jail that asks for it can do without
SOCKETS = {
    "log": ("/dev/log", True),
    "ubus": ("/var/run/ubus/ubus.sock", True),
    "udebug": ("/var/run/udebug.sock", False),
}


class Share:
    """A file or directory of the host that the jail sees: at `target`, read-only or not.

    Not `required`: if it does not exist it is left out, aloud unless `is_quiet`. `is_live`: a file is seen as it is
    replaced, with the directory that it is in; a preset's only where that has nothing else in it.
    """

    # fmt: off
    __slots__ = (
        "has_devices", "is_asked_live", "is_device", "is_live", "is_noexec", "is_pattern", "is_quiet", "is_slave",
        "real", "required", "source", "target", "writable",
    )
    # fmt: on

    def __init__(
        self, source: str, target: str = "", *, writable: bool = False, required: bool = False
    ) -> None:
        self.source = source
        self.target = target or source
        self.writable = writable
        self.required = required
        self.is_pattern = False  # `source` has stars in it
        self.is_quiet = self.is_live = self.is_asked_live = False
        self.is_noexec = self.is_slave = self.is_device = False
        self.real = ""  # the path without links, once it was looked at for links of the service's
        self.has_devices: bool | None = None  # None: if it is a device, or below /dev

    def validate(self) -> None:
        for path in (self.source, self.target):
            if not path.startswith("/") or "\0" in path:
                raise UsageError(f"{path or repr(path)} is not an absolute path")
            check_length(path)
        if self.target.strip("/") == "":
            raise UsageError("the root itself cannot be a target")
        if ".." in self.target.split("/"):
            raise UsageError(f'{self.target}: ".." in a target')


def check_length(path: str) -> None:
    """Raises UsageError for a path that the kernel would not take."""
    if len(path) <= NAME_MAX // 4:  # of one character there are four bytes at most
        return
    encoded = path.encode("utf-8", "surrogateescape")
    if len(encoded) > PATH_MAX or max(map(len, encoded.split(b"/"))) > NAME_MAX:
        raise UsageError(
            f"{path[:40]}…: longer than a path can be: {PATH_MAX} bytes, {NAME_MAX} between two slashes"
        )


class JailSpec:
    """One jail: the program, what it may see, who it is and what holds it."""

    # fmt: off
    __slots__ = (
        "allow_userns", "argv", "binds", "capabilities", "cgroup", "cgroup_files", "cgroupns", "console",
        "devices", "env", "extroot", "gidmap", "grace_s", "group", "hostname", "ioprio", "is_group_ours",
        "isolate", "joins", "limits", "masks", "mode", "name", "net", "net_bind", "net_connect", "netns",
        "nice", "no_default_filter", "no_new_privs", "notify", "oom_score_adj", "outputs", "overlay_dir",
        "overlay_size", "plain", "proc", "procfs", "required", "ronly", "root_size", "seccomp", "shares", "staged_etc",
        "stub", "sysfs", "tmpfs", "ubus_socket", "uidmap", "umask", "user", "userns", "vrf",
    )
    # fmt: on

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self.argv = argv
        self.shares: list[Share] = []
        self.env: dict[str, str] = {}
        self.user = ""
        self.group = ""
        self.capabilities: str | None = None
        self.seccomp = ""
        self.no_default_filter = False  # in a jail without a policy
        self.allow_userns = False  # processes of the jail may make user namespaces
        self.mode = ENFORCE
        self.notify = False  # whoever starts it answers denied calls
        self.hostname = ""
        self.console = False  # a terminal of the jail's own is 0, 1 and 2, and /dev/console
        self.procfs = False
        self.sysfs = False
        self.staged_etc = False  # resolv.conf and nsswitch.conf, as procd's jails have them
        self.isolate = True  # False: no namespace at all, only identity, capabilities and filter
        self.stub = True  # False: where nothing is isolated, the service is a direct child
        self.plain = False  # nothing is taken away that is not named: privileges, environment and umask stay
        self.no_new_privs = True
        self.limits: dict[str, str] = {}
        self.nice: int | None = None
        self.extroot = ""  # a root file system instead of one with the program's files
        self.overlay_dir = ""  # `/` is writable, and this directory keeps what is written
        self.overlay_size = ""  # `/` is writable, in memory
        self.ronly = False  # `/` is read-only also with an overlay
        self.umask = ""  # octal; "" for 022, or for a plain service what it is
        self.oom_score_adj = ""
        self.ioprio = ""  # "be:7", see processargs.py
        self.proc = ""  # "hidepid=invisible,subset=pid"
        self.cgroupns = False  # the jail's cgroup is the root that it sees
        self.userns = False  # root inside is somebody else outside
        self.uidmap: list[str] = []  # "INSIDE:OUTSIDE:COUNT", see idmap.py
        self.gidmap: list[str] = []
        self.netns = False  # a network of its own, with nothing but loopback
        self.net: list[str] = []  # "veth:eth0,addr=10.9.0.2/24", see networds.py
        self.net_bind: list[str] = []  # "tcp:53"
        self.net_connect: list[str] = []  # "tcp:10.0.0.0/8:443"
        self.joins: list[tuple[int | str, list[str]]] = []  # pid or jail → its namespaces that are joined
        self.cgroup = ""  # the group's path below the hierarchy of version 2, used if there are files
        self.cgroup_files: dict[str, str] = {}  # "memory.max" → "16M"
        self.vrf = ""  # a device of the host that all its sockets are bound to, by its cgroup
        # words, see fileargs.py
        self.binds: list[str] = []  # "SOURCE:TARGET:flag,flag"
        self.devices: list[str] = []
        self.masks: list[str] = []
        self.tmpfs: list[str] = []  # "PATH:SIZE,mode=MODE"
        self.ubus_socket = SOCKETS["ubus"][0]  # on the host
        self.is_group_ours = True  # False: what runs in the group already is another's
        self.outputs: list[str] = []  # the host's files that whoever starts it writes while it runs
        self.required = False  # a missing share stops the start
        self.grace_s = 5
        self.root_size = "1m"

    def share(self, word: str, *, writable: bool = False) -> None:
        """Show "PATH", "PATH:TARGET", a pattern or "@PRESET". Raises UsageError."""
        if word.startswith("@") or any(letter in word for letter in "\\*?["):
            from jail.fileargs import read_share

            self.shares += read_share(word, writable, self.ubus_socket)
            return
        source, _, target = word.partition(":")
        self.shares.append(Share(source, target, writable=writable))

    def show_socket(self, name: str, *, may_be_missing: bool = False) -> None:
        """Show one of SOCKETS."""
        path, required = SOCKETS[name]
        required = required and not may_be_missing
        source = self.ubus_socket if name == "ubus" else path
        self.shares.append(Share(source, path, writable=True, required=required))

    def show_users(self) -> None:
        """The user and the group file, which programs read that change their ids or name them."""
        self.shares += [Share("/etc/passwd", required=True), Share("/etc/group", required=True)]

    def hold(self, policy: str) -> None:
        """Put a policy on; the shim reads it inside. While everything is traced it need not even exist."""
        self.seccomp = policy
        if self.mode != TRACE:
            self.shares.append(Share(policy, required=True))

    def network(self) -> "Network | None":
        """What the words about devices, namespaces and ports say. Raises UsageError."""
        if not (self.net or self.net_bind or self.net_connect):
            return None
        from jail.networds import parse

        return parse(self.net, self.net_bind, self.net_connect, self.name)

    def has_port_rules(self) -> bool:
        """Whether Landlock holds its ports, because the network is not the jail's own."""
        return bool(self.net_bind or self.net_connect) and not self.is_network_made()

    def is_network_made(self) -> bool:
        """Whether there is a network to be made or opened before the launch."""
        return bool(self.net) or (self.netns and bool(self.net_bind or self.net_connect))

    def validate(self) -> None:
        """Raise UsageError, for a limit ConfigError, for what can be refused by looking at the words alone."""
        self._check_names()
        if self.plain and (self.isolate or self.stub):
            raise UsageError("a service whose privileges stay cannot have a jail")
        if self.mode not in MODES:
            from jail.near import did_you_mean

            raise UsageError(f"no mode {self.mode!r}{did_you_mean(self.mode, MODES)}")
        if self.mode == COMPLAIN and not self.seccomp:
            raise UsageError("there is no policy that could complain")
        if self.nice is not None and not -20 <= self.nice <= 19:
            raise UsageError(f"nice: {self.nice} is not a number from -20 to 19")
        if self.umask or self.oom_score_adj or self.ioprio or self.proc:
            from jail.processargs import check_process

            check_process(self)
        if self.limits:
            from jail.limits import parse

            for name, text in self.limits.items():
                parse(name, text)
        self._check_root()
        self._check_isolated()
        self._check_network()
        if self.binds or self.devices or self.masks or self.tmpfs:
            from jail.fileargs import check_files

            check_files(self)
        if self.joins:
            from jail.joins import make_joins

            make_joins(self.joins, self.hostname, self.netns or self.is_network_made())
        if self.cgroup_files or self.vrf:
            from jail.cgroup import check_limits

            check_limits(self)
        for share in self.shares:
            share.validate()

    def is_root_read_only(self) -> bool:
        return self.ronly or not (self.overlay_dir or self.overlay_size)

    def has_proc(self) -> bool:
        """Whether the jail gets a /proc of its own."""
        return self.procfs or bool(self.proc)

    def _check_names(self) -> None:
        if not self.argv or not self.argv[0]:
            raise UsageError("no program given")
        if not self.name or "/" in self.name or not self.name.isprintable():
            raise UsageError(
                f"bad jail name {self.name!r}: it has a slash or control characters, or is empty"
            )
        if len(self.hostname.encode("utf-8", "surrogateescape")) > HOSTNAME_MAX:
            raise UsageError(f"hostname is longer than {HOSTNAME_MAX} bytes")
        if not 0 <= self.grace_s <= 86400:
            raise UsageError("the grace period is 0 to 86400 seconds")
        for text in (*self.argv, *self.env, *self.env.values()):
            if "\0" in text:
                raise UsageError("a NUL byte in an argument or in the environment")
        for name in self.env:
            if not name or "=" in name:
                raise UsageError(f"bad variable name {name!r}")

    def _check_root(self) -> None:
        for path in (self.extroot, self.overlay_dir):
            if path and not path.startswith("/"):
                raise UsageError(f"{path} is not an absolute path")
        if self.overlay_dir and self.overlay_size:
            raise UsageError("an overlay is on disk or in memory, not both")
        size = self.overlay_size
        if size and (len(size) > SIZE_MAX or not is_size(size)):
            raise UsageError(f"overlay: {size[:40]!r} is no size such as 8m")

    def _check_isolated(self) -> None:
        """What only a jail with namespaces can have."""
        asked = (
            ("a root of its own", self.extroot or self.overlay_dir or self.overlay_size),
            ("a console of its own", self.console),
            ("what hides parts of /proc", self.cgroupns or self.proc),
            ("a user namespace", self.userns),
            ("a network of its own", self.netns or self.is_network_made()),
        )
        for what, is_asked in asked:
            if is_asked and not self.isolate:
                raise UsageError(f"{what} needs a jail with namespaces")
        if self.cgroupns and any("cgroup" in names for _, names in self.joins):
            raise UsageError("join: a cgroup namespace cannot be joined and the jail's own")
        if (self.uidmap or self.gidmap) and not self.userns:
            raise UsageError("an id map needs a user namespace")

    def _check_network(self) -> None:
        network = self.network()
        if self.netns and network and network.path:
            raise UsageError("net: a network of its own, or one that is there: not both")
        if self.plain and network:
            raise UsageError("net: a service whose privileges stay is held by no rules")


def is_size(text: str) -> bool:
    """Whether it is a size as tmpfs has it, and not 0."""
    number = text[:-1] if text[-1:] in tuple("kKmMgG%") else text
    return number.isascii() and number.isdigit() and int(number) > 0
