# SPDX-License-Identifier: MIT
"""procd_add_jail NAME shared: several services in one jail, each held in its own way."""

import errno
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jail._native import lib

if TYPE_CHECKING:
    from jails import Host

SPAWNER = Path(__file__).with_name("spawner.py")
DENIED = f"errno {errno.EACCES}"
KINDS = ("mnt", "pid", "ipc", "uts", "net")


def service(host: "Host", instance: str, *verbs: object, jail: dict[str, Any], **more: Any) -> dict[str, Any]:
    command = [str(host.probes["glibc"]), *map(str, verbs)]
    table = {"name": "both", "shared": True, "procfs": True, **jail}
    return {"instance": instance, "command": command, "jail": table, "stdout": True, **more}


def report_of(host: "Host", *tables: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    process = host.spawn(
        sys.executable, "-I", SPAWNER, json.dumps({"tables": tables, **request}), stderr=None
    )
    if request.get("hold"):
        host.wait_ready(process)
    seen = host.finish(process)
    assert seen.status == 0, seen
    report: list[dict[str, Any]] = json.loads(seen.out.splitlines()[-1])
    for entry in report:
        entry["out"] = entry.get("head", "") + entry.get("out", "")
    return sorted(report, key=lambda entry: "failed" in entry)  # those that were started, in order


LINKS = [word for kind in KINDS for word in ("link", f"/proc/self/ns/{kind}")]


def test_second_service_is_in_the_jail_of_the_first(host: "Host") -> None:
    users = {"/etc/passwd": "0", "/etc/group": "0"}  # what a service with a user needs
    jail = {"tmpfs": ["/t"], "hostname": "one", "netns": True, "mount": users}
    first = service(host, "a", *LINKS, "create", "/t/x", "hold", jail=jail)
    second = service(host, "b", *LINKS, "list", "/t", "pids", "ids", "hold", jail={}, user="65534")
    one, two = report_of(host, first, second, hold=True, told=True)
    links = [[line for line in entry["out"].splitlines() if line.startswith("link ")] for entry in (one, two)]
    assert links[0] == links[1] and len(links[0]) == len(KINDS)
    assert f"link /proc/self/ns/net {os.readlink('/proc/self/ns/net')}" not in links[0]
    assert "entry x" in two["out"] and "uid 65534" in two["out"]
    pids = next(line for line in two["out"].splitlines() if line.startswith("pids "))
    assert pids.split()[1:3] == ["1", "2"] and len(pids.split()) == 4  # both services and the stub
    # the twin: a jail of that name that nobody has said to be shared
    alone = {**second, "jail": {**second["jail"], "shared": False, "tmpfs": ["/t"]}}
    one, two = report_of(host, first, alone, hold=True, told=True)
    assert "entry x" not in two["out"]


@pytest.mark.parametrize("is_hidden", [True, False])
def test_mask_of_the_second_has_to_be_there(host: "Host", is_hidden: bool) -> None:
    jail = {"mount": {"/etc/group": "0"}, "mask": ["/etc/group"]}
    first = service(host, "a", "hold", jail=jail if is_hidden else {"mount": jail["mount"]})
    second = service(host, "b", "hold", jail=jail)
    entries = report_of(host, first, second, hold=True, told=True)
    failures = [entry["failed"] for entry in entries if "failed" in entry]
    assert len(failures) == (not is_hidden) and all("both shows it" in each for each in failures), failures


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"mount": {"F": "1"}}, {"mount": {"F": "0"}}, "F: the jail both shows it writable"),
        ({"mount": {"F": "0"}}, {"mount": {"F": "1"}}, "F: the jail both shows it read-only"),
        ({"bind": ["F:/x:rw"]}, {"bind": ["F:/x:rw,noexec"]}, "/x: the jail both shows it exec"),
        ({"mount": {"F": "0", "F/sub": "1"}}, {"mount": {"F": "0"}}, "F: the jail both shows F/sub writable"),
        ({"tmpfs": ["/t:2m"]}, {"tmpfs": ["/t:1m"]}, "tmpfs: /t: the jail both has mode=1777,size=2m"),
        ({}, {"netns": True}, "netns: the jail both has none"),
    ],
    ids=["ro", "rw", "noexec", "ro-below", "tmpfs", "netns"],
)
def test_second_gets_what_it_asks_for_or_nothing(
    host: "Host", tmp_path: Path, first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "sub").mkdir()
    filled = [json.loads(json.dumps(each).replace('"F', f'"{tmp_path}')) for each in (first, second)]
    one, two = (service(host, name, "hold", jail=jail) for name, jail in zip("ab", filled, strict=True))
    failed = report_of(host, one, two, hold=True, told=True)[1]["failed"]
    assert message.replace("F", str(tmp_path)) in failed and "\n" not in failed
    # the twin: both ask for the same, and so the first does get what the second is not given
    alike = report_of(host, {**two, "instance": "a"}, two, hold=True, told=True)
    assert not any("failed" in entry for entry in alike), alike


def test_end_of_the_first_is_the_end_of_all_and_the_next_one_makes_it_anew(host: "Host") -> None:
    first = service(host, "a", "stay", jail={})
    table = service(host, "b", *LINKS, jail={})
    one, two = report_of(host, {**first, "command": [*first["command"][:1], "exit", "3"]}, table)
    assert (one["status"], two["status"]) == (3, 0)
    assert "link /proc/self/ns/mnt" in two["out"]


@pytest.mark.parametrize("listed", [True, False])
def test_file_that_the_jail_has_not_stops_the_start(host: "Host", tmp_path: Path, listed: bool) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("")
    mount = {str(tmp_path / "file"): "0"}
    first = service(host, "a", "hold", jail={"mount": mount if listed else {}})
    second = service(host, "b", "read", tmp_path / "file", "hold", jail={"mount": mount})
    two = report_of(host, first, second, hold=True, told=True)[1]
    if listed:
        assert two["out"].startswith(f"read:{tmp_path}/file ok")
    else:
        assert f"{tmp_path}/file: not in the jail both" in two["failed"]


def test_each_has_its_own_capabilities_and_filter(host: "Host") -> None:
    policy = str(host.policy("getdents64", "prctl", "capget", "read", "pause", "openat", "fstat", "close"))
    jail = {"mount": {policy: "0"}}
    first = service(host, "a", "caps", "modes", "hold", jail=jail)
    second = service(host, "b", "modes", "call", "sched_yield", "-", "hold", jail=jail, seccomp=policy)
    _, two = report_of(host, first, second, hold=True, told=True)
    assert "call:sched_yield errno" in two["out"] and "no_new_privs 1" in two["out"]
    assert "seccomp 2" in two["out"]


@pytest.mark.skipif(lib.landlock_abi() < 2, reason="no Landlock in this kernel")
def test_second_is_under_the_rules_of_the_jail(host: "Host") -> None:
    """A device can be written through a read-only mount; the rules deny it to all but who may mount."""
    jail = {"bind": ["/dev/zero:/zero:dev"]}
    first = service(host, "a", "write", "/zero", "write", "/dev/null", "hold", jail=jail)
    for more, expected in (({}, DENIED), ({"allow_userns": True}, "ok")):
        second = {**first, "instance": "b", "jail": {**first["jail"], **more}}
        one, two = report_of(host, first, second, hold=True, told=True)
        assert f"write:/zero {expected}\nwrite:/dev/null ok" in two["out"], two
        assert f"write:/zero {DENIED}\nwrite:/dev/null ok" in one["out"], one


def test_service_that_would_be_traced_is_not_started(host: "Host") -> None:
    """The jail would be the tracer's, where the others do not find it; the twin has one of its own."""
    table = service(host, "a", "exit", "0", jail={}, trace=True)
    (entry,) = report_of(host, table)
    assert "trace it without shared" in entry["failed"]
    (entry,) = report_of(host, {**table, "jail": {**table["jail"], "shared": False}})
    assert entry["status"] == 0, entry
    Path(entry["trace_file"]).unlink()
