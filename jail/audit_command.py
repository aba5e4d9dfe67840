# SPDX-License-Identifier: MIT
"""`jailctl audit`: the services and jails that run and could be held better, and what each lacks. Only reads."""

import os

from jail.capabilities import last_capability
from jail.procfs import status
from jail.running import all_jails
from jail.spec import ENFORCE, MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SEEN = ("mnt", "pid")  # namespaces without which files and processes are the host's


def audit() -> list[str]:
    """A line for each that lacks something: name, pid, what."""
    found: dict[int, tuple[str, str]] = {}
    for jail in all_jails():
        mode = jail.door.partition(" ")[0]
        found[jail.service_pid] = (jail.name, mode if mode in MODES else "")
    for name, entry in services():
        if pid := entry.get("service_pid") or entry.get("pid"):
            found[int(pid)] = (name, str(entry.get("seccomp_mode", "")))
    lines = []
    for pid, (name, mode) in sorted(found.items(), key=lambda item: item[1]):
        try:
            said, shared = status(pid), [kind for kind in SEEN if is_shared(pid, kind)]
        except OSError:
            continue  # it has ended
        if lacks := lacking(said, shared, mode):
            lines.append(f"{name}\t{pid}\t{'; '.join(lacks)}")
    return lines


def lacking(status: dict[str, str], shared: list[str], mode: str) -> list[str]:
    """What could be better, worst first; `status` is /proc/PID/status, `shared` the host's namespaces."""
    out = []
    if mode not in ("", ENFORCE):
        out.append(f"its policy is in mode {mode}: nothing is denied")
    if status.get("Seccomp", "0") == "0":
        out.append("no filter: every system call is allowed")
    if shared:
        out.append(f"no namespaces of its own: {', '.join(shared)}")
    everything = (2 << last_capability()) - 1
    if int(status.get("CapEff", "0"), 16) & everything == everything:
        out.append("all capabilities")
    elif status.get("Uid", "").split()[1:2] == ["0"]:
        out.append("root")
    if status.get("NoNewPrivs", "0") == "0":
        out.append("programs that it executes may gain privileges")
    return out


def services() -> "list[tuple[str, dict[str, Any]]]":
    """What initd runs, by service::instance; nothing where there is no initd."""
    from initd.ubus.blocking import Session
    from initd.ubus.client import SOCKET_PATH
    from initd.ubus.wire import UbusError

    found = []
    try:
        with Session(os.environ.get("UBUS_SOCKET") or SOCKET_PATH) as session:
            for tree in ("service", "container"):
                for answer in session.call(tree, "list", {}):
                    for service, entry in answer.items():
                        instances = entry.get("instances") if isinstance(entry, dict) else None
                        for name, one in (instances if isinstance(instances, dict) else {}).items():
                            found.append((f"{service}::{name}", one if isinstance(one, dict) else {}))
    except UbusError:
        pass
    return found


def is_shared(pid: int, kind: str) -> bool:
    return os.path.samestat(os.stat(f"/proc/{pid}/ns/{kind}"), os.stat(f"/proc/self/ns/{kind}"))
