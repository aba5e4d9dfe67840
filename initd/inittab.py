# SPDX-License-Identifier: MIT
"""/etc/inittab → what runs on which terminal, and the lines before the boot and at the end. Nothing here has an effect.

A line is `terminal:runlevels:action:command`, in the words of BusyBox's init and of OpenWrt's. Runlevels
are not looked at. What is not understood is a fault that names the line, and that line does nothing.
"""

from jail.near import did_you_mean

PATH = "/etc/inittab"
CONSOLE = "console"
SYSINIT, WAIT, ONCE, SHUTDOWN, CTRLALTDEL = "sysinit", "wait", "once", "shutdown", "ctrlaltdel"
RESPAWN, RESPAWN_LATE = "respawn", "respawnlate"
ASK, ASK_CONSOLE, ASK_CONSOLE_LATE = "askfirst", "askconsole", "askconsolelate"
ASKING = (ASK, ASK_CONSOLE, ASK_CONSOLE_LATE)
EARLY = (RESPAWN, ASK, ASK_CONSOLE)  # before the scripts of the boot
LATE = (RESPAWN_LATE, ASK_CONSOLE_LATE)  # after them
ACTIONS = (SYSINIT, WAIT, ONCE, SHUTDOWN, CTRLALTDEL, *EARLY, *LATE)
# init's own work by other means: initd runs rc.d whether a line asks for it or not
OWN = ("rcS", "rcK")
SHELL = "/bin/sh"
SHELL_CHARS = frozenset("~`!$^&*()=|\\{}[];\"'<>?")


class Entry:
    """One line. `program` is executed as `argv`, whose first word has a dash in front for a login shell."""

    __slots__ = ("action", "argv", "program", "text", "tty")

    def __init__(self, tty: str, action: str, text: str) -> None:
        self.tty = tty  # below /dev
        self.action = action
        self.text = text
        self.program, self.argv = command_of(text)

    @property
    def asks(self) -> bool:
        """Whether somebody has to press Enter first."""
        return self.action in ASKING

    @property
    def key(self) -> tuple[str, str, str]:
        """By which a line is the same as one that was read before."""
        return self.tty, self.action, self.text


class Inittab:
    """All lines that are understood, in their order; `faults` are about the others."""

    def __init__(self, entries: list[Entry], faults: list[str]) -> None:
        self.entries = entries
        self.faults = faults

    def of(self, *actions: str) -> list[Entry]:
        """The entries with these actions."""
        return [entry for entry in self.entries if entry.action in actions]


def command_of(text: str) -> tuple[str, list[str]]:
    """Program and arguments; a shell's where a shell is needed to read the text."""
    dash, plain = ("-", text[1:]) if text.startswith("-") else ("", text)
    words = plain.split()
    if "#" in words:  # Buildroot marks its line for a getty so; a shell sees to it itself
        words = words[: words.index("#")]
    if not words[:1] or not words[0].startswith("/") or SHELL_CHARS & set(plain):
        return SHELL, [f"{dash}sh", "-c", plain]
    return words[0], [dash + words[0].rpartition("/")[2] if dash else words[0], *words[1:]]


def parse(text: str, path: str = PATH) -> Inittab:
    """The text of a whole file."""
    entries: list[Entry] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            entry = parse_line(line)
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}; the line is left out")
            continue
        if entry is not None:
            entries.append(entry)
    return Inittab(entries, faults)


def parse_line(line: str) -> Entry | None:
    """None for a line that asks for what is done anyway. Raises ValueError with what is wrong."""
    fields = [field.strip() for field in line.split(":", 3)]
    if len(fields) < 4 or not fields[3].strip("-"):
        raise ValueError("not of the form terminal:runlevels:action:command")
    tty, _, action, command = fields
    if action not in ACTIONS:
        raise ValueError(f"no action {action!r}{did_you_mean(action, ACTIONS)}")
    tty = tty.removeprefix("/dev/") or CONSOLE
    if tty.startswith("/") or ".." in tty.split("/"):
        raise ValueError(f"{tty!r} is no terminal below /dev")
    if action in (SYSINIT, SHUTDOWN) and command.split()[0].rpartition("/")[2] in OWN:
        return None
    return Entry(tty, action, command)


def term_of(tty: str, active: str, given: str) -> str:
    """TERM: a terminal of the kernel's own is `linux`, one on a line is none; what else was given stays.

    `active` are the kernel's consoles, the one that /dev/console stands for last.
    """
    name = (active.split() or [tty])[-1] if tty == CONSOLE else tty
    is_screen = name.startswith("tty") and name[3:].isdigit()
    if given and given != "linux":
        return given
    return "linux" if is_screen else "vt102"
