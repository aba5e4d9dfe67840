# SPDX-License-Identifier: MIT
"""`@resolver`, `@tls`, `@tz`, `@log`, `@ubus`: what services of a kind need, wherever a system has it. Tables.

Of a list of files those that exist are shown, and nothing is said of the others.
"""

PRESETS = {
    "resolver": ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"),
    "tls": (
        *("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs"),
        *("/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
    ),
    "tz": ("/etc/TZ", "/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"),
}
SOCKET_PRESETS = ("log", "ubus")
# files that daemons replace; seen as they are replaced if their directory is there for nothing else
LIVE = ("/etc/resolv.conf",)
LIVE_FOLDER = "resolv"  # is in the name of such a directory: resolv.conf.d, resolvconf, systemd's resolve
# directories with something of everybody in them
BROAD = frozenset(
    [
        *(
            "/",
            "/bin",
            "/dev",
            "/etc",
            "/etc/config",
            "/home",
            "/lib",
            "/mnt",
            "/opt",
            "/proc",
            "/root",
            "/run",
        ),
        *("/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run"),
        "/var/tmp",
    ]
)


def is_broad(folder: str) -> bool:
    return folder in BROAD


def is_dedicated(folder: str) -> bool:
    """Whether a directory is a resolver's own."""
    return LIVE_FOLDER in folder.rpartition("/")[2] and folder not in BROAD
