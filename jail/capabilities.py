# SPDX-License-Identifier: MIT
"""-C → the five capability sets of the service. Only reads; the launcher sets them."""

from jail.errors import ConfigError

# Bit n of a set is NAMES[n]; the order is the kernel's ABI, the same on every architecture.
# Source: include/uapi/linux/capability.h, CAP_CHOWN = 0 to CAP_CHECKPOINT_RESTORE = 40 (Linux 5.9)
_TABLE = """
chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct
sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap
mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
"""
NAMES = tuple(_TABLE.split())
BITS = {name: number for number, name in enumerate(NAMES)}
LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"
SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
FLAGS = {"e": "effective", "i": "inheritable", "p": "permitted", "a": "ambient"}


def mask_of(names: str) -> int:
    """The mask of known names, separated by blanks."""
    return sum(1 << BITS[name] for name in names.split())


# What a root service keeps without -C: enough for the daemons of a router that start as root, listen, set
# routes, change their ids and write their own files. Left out is each that is a way out of the jail or over
# the whole machine:
#   sys_admin (mounts, namespaces), sys_module, sys_rawio, sys_ptrace, sys_boot, sys_time, bpf, perfmon,
#   syslog, mac_override, mac_admin; mknod (a device node is the disk);
#   dac_read_search (open_by_handle_at reaches out of the root);
#   setpcap (would widen what children inherit); setfcap (lends capabilities to files);
# and what no daemon of a router needs: linux_immutable, sys_resource, sys_tty_config, sys_pacct, audit_*,
#   lease, ipc_owner, wake_alarm, block_suspend, checkpoint_restore.
ROOT_DEFAULT = mask_of(
    "chown dac_override fowner fsetid kill setgid setuid net_bind_service net_broadcast net_admin net_raw"
    " ipc_lock sys_chroot sys_nice"
)


class CapabilitySets:
    """Five masks. keep: -C was given, so securebits are locked and uid 0 means nothing by itself."""

    __slots__ = (*SETS, "keep")

    def __init__(
        self,
        bounding: int = 0,
        effective: int = 0,
        inheritable: int = 0,
        permitted: int = 0,
        ambient: int = 0,
        keep: bool = False,
    ) -> None:
        self.bounding = bounding
        self.effective = effective
        self.inheritable = inheritable
        self.permitted = permitted
        self.ambient = ambient
        self.keep = keep

    def limited_to(self, mask: int) -> "CapabilitySets":
        """The same sets without what is not in `mask`."""
        sets = {name: getattr(self, name) & mask for name in SETS}
        return CapabilitySets(**sets, keep=self.keep)

    def __repr__(self) -> str:
        sets = ", ".join(f"{name}={getattr(self, name):#x}" for name in SETS)
        return f"CapabilitySets({sets}, keep={self.keep})"


def default_for(uid: int) -> CapabilitySets:
    """The sets of a service without -C: none for a user, ROOT_DEFAULT for root.

    Root's inheritable and ambient sets stay empty: exec gives uid 0 all of its bounding set anyway.
    """
    if uid:
        return CapabilitySets()
    return CapabilitySets(bounding=ROOT_DEFAULT, effective=ROOT_DEFAULT, permitted=ROOT_DEFAULT)


def last_capability() -> int:
    """The highest capability of the running kernel, which has one as long as it runs."""
    if LAST_CAPABILITY not in _last:
        try:
            with open(LAST_CAPABILITY, "rb") as file:
                _last[LAST_CAPABILITY] = min(int(file.read(16)), 63)
        except (OSError, ValueError):
            return len(NAMES) - 1  # no /proc yet: it may come
    return _last[LAST_CAPABILITY]


_last: dict[str, int] = {}


def parse(text: str, last: int | None = None) -> CapabilitySets:
    """Read the argument of -C.

    With a `/` in it or `.json` at its end it is the path of an OCI JSON object with up to five arrays; a
    missing set is empty. `cap_chown,cap_kill`, `all`, `none` and `0x21` give all five sets the same.
    `cap_chown+ep` and `cap_chown=p cap_kill=eipa` are clauses as in cap_from_text(3), with `a` for ambient;
    the bounding set is then what is permitted or inheritable.
    Raises ConfigError for a name that is not known, one above `last` (the running kernel's) and sets that do
    not go together: effective in permitted, ambient in permitted and inheritable, these two in bounding.
    """
    if last is None:
        last = last_capability()
    if file_of(text):
        return _from_file(text, last)
    if any(operator in text for operator in "+-="):
        sets = _from_clauses(text, last)
    else:
        mask = _from_list(text, last)
        sets = CapabilitySets(mask, mask, mask, mask, mask)
    _check(sets, {}, "capabilities")
    sets.keep = True
    return sets


def file_of(text: str) -> str:
    """The file that the argument of -C names, "" for one that names capabilities."""
    return text if "/" in text or text.endswith(".json") else ""


def describe(mask: int) -> str:
    """A mask in words, in the form that -C reads."""
    if not mask:
        return "none"
    if mask == (2 << last_capability()) - 1:
        return "all"
    return ",".join(_name(number) for number in range(mask.bit_length()) if mask >> number & 1)


def _name(number: int) -> str:
    return f"cap_{NAMES[number]}" if number < len(NAMES) else f"capability {number}"


def _bit(name: str, last: int, where: str) -> int:
    """The number of a capability by its name, in either case, with or without CAP_."""
    number = BITS.get(name.lower().removeprefix("cap_"))
    if number is None:
        from jail.near import did_you_mean

        shown = name if name.isprintable() else ascii(name)[1:-1]
        hint = did_you_mean(name, [f"cap_{known}" for known in NAMES]) or did_you_mean(name, NAMES)
        raise ConfigError(f'{where}: unknown capability "{shown[:60]}"{hint}')
    if number > last:
        raise ConfigError(f"{where}: {_name(number)} is not in this kernel, whose last one is {_name(last)}")
    return number


def _from_list(text: str, last: int) -> int:
    where = "capabilities"
    if text in ("all", "none"):
        return (2 << last) - 1 if text == "all" else 0
    if text[:2].lower() == "0x":
        try:
            mask = int(text, 16) if len(text) <= 18 else -1
        except ValueError:
            mask = -1
        if mask < 0:
            raise ConfigError(f'{where}: "{text[:60]}" is not a mask of at most 64 bits')
        if mask >> (last + 1):
            high = _name(mask.bit_length() - 1)
            raise ConfigError(f"{where}: {high} is not in this kernel, whose last one is {_name(last)}")
        return mask
    mask = 0
    for name in text.split(","):
        if not name:
            raise ConfigError(f'{where}: a name is missing in "{text[:60]}"')
        bit = 1 << _bit(name, last, where)
        if mask & bit:
            raise ConfigError(f"{where}: {name} is there twice")
        mask |= bit
    return mask


def _from_clauses(text: str, last: int) -> CapabilitySets:
    sets = CapabilitySets()
    for clause in text.split():
        start = min([clause.find(operator) for operator in "+-=" if operator in clause], default=-1)
        if start < 0:
            raise ConfigError(f'capabilities: "{clause[:60]}" needs one of = + - and then some of e, i, p, a')
        names = clause[:start]
        if not names and clause[0] != "=":
            raise ConfigError(f'capabilities: a name is missing in "{clause[:60]}"')
        _apply(sets, _from_list(names or "all", last), clause[start:])
    sets.bounding = sets.permitted | sets.inheritable
    return sets


def _apply(sets: CapabilitySets, mask: int, actions: str) -> None:
    """`=ep` or `+i-p`: operators, each with the sets that it is about."""
    operator = ""
    for char in actions:
        if char in "+-=":
            operator = char
            if char == "=":
                for name in FLAGS.values():
                    setattr(sets, name, getattr(sets, name) & ~mask)
        elif char not in FLAGS:
            raise ConfigError(f'capabilities: "{char}" in "{actions[:60]}" is none of e, i, p and a')
        else:
            name = FLAGS[char]
            old = getattr(sets, name)
            setattr(sets, name, old & ~mask if operator == "-" else old | mask)


def _check(sets: CapabilitySets, places: "dict[tuple[str, int], str]", where: str) -> None:
    """Refuse what the kernel would refuse or what could never take effect."""
    rules = (
        ("effective", "permitted"),
        ("ambient", "permitted"),
        ("ambient", "inheritable"),
        ("permitted", "bounding"),
        ("inheritable", "bounding"),
    )
    for inner, outer in rules:
        excess = getattr(sets, inner) & ~getattr(sets, outer)
        if excess:
            number = excess.bit_length() - 1
            place = places.get((inner, number), where)
            raise ConfigError(f"{place}: {_name(number)} is in {inner}, but not in {outer}")


def _from_file(path: str, last: int) -> CapabilitySets:
    from jail.capfile import read_sets  # on the start path only where there is a file

    sets = CapabilitySets(keep=True)
    places: dict[tuple[str, int], str] = {}
    for name, members in read_sets(path, SETS):
        for member, place in members:
            number = _bit(member, last, place)
            if (name, number) in places:
                raise ConfigError(f"{place}: {_name(number)} is in {name} twice")
            places[name, number] = place
            setattr(sets, name, getattr(sets, name) | 1 << number)
    _check(sets, places, path)
    return sets
