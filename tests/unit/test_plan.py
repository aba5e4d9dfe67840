# SPDX-License-Identifier: MIT
"""The steps of a plan, in the order in which each is safe, for every kind of start."""

import os
from pathlib import Path

import pytest

from jail import cgroup
from jail.errors import ConfigError, UsageError
from jail.packed import Packed
from jail.plan import Plan, make_plan
from jail.spec import JailSpec, Share

POLICY = '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ALLOW"}]}'


def spec(**attributes: object) -> JailSpec:
    made = JailSpec("x", ["/bin/true"])
    for name, value in attributes.items():
        setattr(made, name, value)
    made.validate()
    return made


def lines(plan: Plan) -> list[str]:
    return [step.describe() for step in plan.steps]


def place(out: list[str], *starts: str) -> list[int]:
    """Where the lines are that begin so; each must be there once."""
    found = [[number for number, line in enumerate(out) if line.startswith(start)] for start in starts]
    assert all(len(each) == 1 for each in found), (starts, found, out)
    return [each[0] for each in found]


PLAIN = {"isolate": False, "stub": False, "plain": True, "no_new_privs": False}


def test_plain_service_is_left_as_it_is() -> None:
    assert lines(make_plan(spec(**PLAIN))) == [
        "start a session",
        "change directory to /",
        "take the descriptors that are given for 0, 1 and 2",
        "let every descriptor but 0, 1 and 2 close at exec",
        "die with the parent, check that it lives",
        "reset signals",
        "execute /bin/true",
    ]
    assert make_plan(spec(**PLAIN)).namespaces == 0


def test_limits_come_while_they_can_be_raised_and_hinder_nothing() -> None:
    out = lines(make_plan(spec(nice=-5, limits={"nofile": "3 3", "core": "unlimited"}, user="65534")))
    [begin] = place(out, "take the desc")  # of what the service's process does
    service = out[begin:]
    order = place(
        service, "take the desc", "let every descriptor", "set nice", "set limit nofile", "set limit core",
        "limit the bounding", "set supplementary", "set uid", "set capabilities", "die with", "set no_new_privs",
        "reset signals", "execute /bin/true",
    )  # fmt: skip
    assert order == sorted(order)


def test_group_and_joins_come_first_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory")
    monkeypatch.setattr(cgroup, "hierarchy", lambda: str(tmp_path))
    asked = {
        "cgroup": "services/a/b",
        "cgroup_files": {"memory.max": "1M"},
        "joins": [(os.getpid(), ["net", "uts"])],
    }
    plan = make_plan(spec(**asked))
    assert lines(plan)[:4] == [
        f"join cgroup {tmp_path}/services/a/b (memory.max 1M)",
        f"join net, uts of process {os.getpid()}",
        "make mount propagation private",
        "open every source and the stub",
    ]
    assert "clone into new namespaces: mount, pid, ipc" in plan.explain().splitlines()[0]
    assert "uts" not in plan.explain().splitlines()[0]


def test_layers_are_put_together_when_all_places_are_made_and_before_any_mount(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "true").write_bytes(Path("/bin/true").read_bytes())
    made = JailSpec("x", ["/bin/true"])
    made.extroot, made.overlay_size, made.procfs = str(tmp_path), "1m", True
    made.shares = [Share("/etc/passwd", "/new/passwd")]
    (tmp_path / "bin" / "true").chmod(0o755)
    with pytest.raises(ConfigError, match="needed by"):
        make_plan(made)  # its libraries are not in that root
    made.argv, made.extroot = ["/bin/true"], ""
    out = lines(make_plan(made))
    [layers] = place(out, "put the layers together")
    for number, line in enumerate(out[: out.index("pivot into the new root, detach the old one")]):
        if line.startswith(("mount tmpfs on", "mount proc", "mount devpts", "bind ", "mask ", "make device")):
            assert number > layers, line
        elif line.startswith(("make directory", "make empty file", "make link")):
            in_mount = "/dev/" in line
            assert (number > layers) == in_mount, line
    assert "make / read-only" not in out and "make /dev read-only" in out


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"plain": True}, "cannot have a jail"),
        ({"nice": 20}, "nice value"),
        ({"overlay_dir": "/a", "overlay_size": "1m"}, "not both"),
        ({"overlay_size": "1m,x"}, "is no size"),
        ({"overlay_size": "0"}, "is no size"),
        ({"extroot": "relative"}, "not an absolute path"),
        ({**PLAIN, "extroot": "/a"}, "needs a jail"),
    ],
)
def test_spec_that_contradicts_itself_is_refused(attributes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec(**attributes)


def test_packed_plan_says_the_same_and_is_the_same_with_a_shared_filter(tmp_path: Path) -> None:
    policy = tmp_path / "p.json"
    policy.write_text(POLICY)
    plan = make_plan(spec(seccomp=str(policy)))
    alone, shared = Packed(plan), Packed(plan, {})
    assert alone.join() == shared.join() == b"".join(step.pack() for step in plan.steps)
    assert len(shared.parts) == 3 and shared.filter and not alone.filter
    for index, step in enumerate(plan.steps):
        assert shared.describe(index) == step.describe()
        assert shared.is_exec(index) == (index == len(plan.steps) - 1)
