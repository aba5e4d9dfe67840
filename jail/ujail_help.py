# SPDX-License-Identifier: MIT
"""What `ujail --help` and `--version` print. Imported for that alone."""

from jail.options import Options
from jail.options import usage as make_usage
from jail.stdout import show
from jail.ujail import OPTIONS
from jail.version import VERSION

HEAD = """\
usage: ujail [OPTION]... -- PROGRAM [ARGUMENT]...
Run a program in a jail that holds only what is named here."""
EXAMPLES = """\
  ujail -n true -- /bin/true                      the full jail, with the program and its libraries in it
  ujail -n dns -U dnsmasq -S /etc/seccomp/dnsmasq.json -r /etc/dnsmasq.conf -w /tmp/dhcp.leases -- dnsmasq -k
  ujail -n sh -r /bin/busybox -p -- /bin/sh       look around inside
  ujail --explain -n web -r /www -- uhttpd -f     every step that would be taken

Exit status: the service's own, 128+N if signal N killed it; 125 ujail failed, 126 the program cannot be
executed, 127 it was not found."""


def answer(options: Options) -> int:
    """One of the two; the exit status."""
    show(f"{usage() if 'help' in options.given else version()}\n")
    return 0


def usage() -> str:
    """The help text, grouped as the table of options is."""
    return make_usage(HEAD, OPTIONS, f"Examples:\n{EXAMPLES}")


def version() -> str:
    """One line."""
    return f"ujail (Stockade) {VERSION}"
