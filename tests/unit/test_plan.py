# SPDX-License-Identifier: MIT
"""The steps of a plan, in the order in which each is safe, for every kind of start."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest

from jail import cgroup, doors, steps
from jail.errors import ConfigError, UsageError
from jail.packed import Packed
from jail.plan import Plan, make_plan
from jail.shares import present_shares
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


def test_what_is_traced_has_the_tracers_filter_and_the_shim() -> None:
    python = os.path.realpath(sys.executable)  # not static, as /bin/true may be
    plan = make_plan(spec(mode="trace", argv=[python]))
    out = lines(plan)
    [door] = place(out, "install the filter that stops every call for the tracer")
    assert "set no_new_privs" in out[door - 4 : door] and door == len(out) - 2
    assert f"LD_PRELOAD={doors.SHIM}".encode() in plan.steps[-1].texts[1] and plan.program == python
    assert make_plan(spec(mode="trace", seccomp="/no/such/policy")).steps[-2].text == out[-2]
    with pytest.raises(ConfigError, match="/no/such/policy"):
        make_plan(spec(seccomp="/no/such/policy"))


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="no mode 'complian': did you mean \"complain\""):
        spec(mode="complian")


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
    (tmp_path / "bin" / "true").write_bytes(Path(sys.executable).read_bytes())  # not static
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
        ({"nice": 20}, "nice: 20 is not a number from -20 to 19"),
        ({"overlay_dir": "/a", "overlay_size": "1m"}, "not both"),
        ({"overlay_size": "1m,x"}, "is no size"),
        ({"overlay_size": "0"}, "is no size"),
        ({"overlay_size": "1" * 5000}, "is no size"),
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
    assert len(shared.parts) == 3 and shared.filters and not alone.filters
    for index, step in enumerate(plan.steps):
        assert shared.describe(index) == step.describe()
        assert shared.is_exec(index) == (index == len(plan.steps) - 1)


def test_same_policy_is_compiled_once_and_a_changed_one_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "_compiled", {})
    policy = tmp_path / "p.json"
    asked = spec(seccomp=str(policy))
    seen = []
    for text, capabilities in ((POLICY, "none"), (POLICY.replace("write", "sync"), "none"), (POLICY, "kill")):
        policy.write_text(text)
        asked.capabilities = capabilities
        code = Packed(make_plan(asked), {}).filters[-1]
        assert Packed(make_plan(asked), {}).filters[-1] is code  # nothing has changed
        seen.append(code)
    assert seen[0] != seen[1] and seen[0] == seen[2] is not seen[0]
    for number in range(2 * doors.KEPT):
        policy.write_text(POLICY + " " * number)
        make_plan(asked)
    assert len(doors._compiled) <= doors.KEPT
    policy.write_text("{")
    with pytest.raises(ConfigError):
        make_plan(asked)


def test_policy_that_asks_for_capabilities_is_compiled_for_those_it_has(tmp_path: Path) -> None:
    policy = tmp_path / "p.json"
    rule = '{"names": ["reboot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL"]}}'
    policy.write_text(POLICY.replace('"}]', f'"}}, {rule}]'))
    codes = [
        Packed(make_plan(spec(seccomp=str(policy), capabilities=it)), {}).filters[-1]
        for it in ("none", "kill")
    ]
    assert codes[0] != codes[1]


def test_shared_file_that_becomes_a_program_brings_what_it_needs(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_text("data")
    asked = spec(shares=[Share(str(shared))])
    # not the shell: on small systems /bin/true is the same file
    python = os.path.realpath(sys.executable)
    bound = f"bind {python} read-only"
    assert bound not in lines(make_plan(asked))
    shared.write_text(f"#!{python}\n")  # in place
    assert bound in lines(make_plan(asked))
    (tmp_path / "other").write_text("data")
    (tmp_path / "other").rename(shared)
    assert bound not in lines(make_plan(asked))


def test_steps_that_are_alike_are_one_and_not_too_many_are_kept() -> None:
    one = steps.directory("/a")
    assert steps.directory("/a") is one and one.pack() is one.pack()
    assert steps.directory("/a", 0o700).pack() != one.pack() != steps.directory("/b").pack()
    for number in range(2 * steps.KEPT):
        steps.directory(f"/{number}")
    assert steps.directory("/a") is not one and steps.directory("/a").pack() == one.pack()


@pytest.mark.parametrize("count", range(5))
def test_step_is_packed_with_zeros_for_numbers_that_it_does_not_have(count: int) -> None:
    numbers, texts = [7, 8, 9, 1 << 63][:count], (b"one", b"")[: count % 3]
    packed = steps.Step(3, "x", *numbers, texts=texts).pack()
    filled = (*texts, b"", b"")
    head = pack("=IIII4Q", 3, len(filled[0]), len(filled[1]), 0, *(numbers + [0] * 4)[:4])
    assert packed == head + filled[0] + b"\0" + filled[1] + b"\0"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_policy_that_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "policy")
    with pytest.raises(ConfigError, match="policy: not a regular file"):
        make_plan(spec(**PLAIN, seccomp=str(tmp_path / "policy")))


@pytest.mark.parametrize("place", ["run", "run/deeper", "alias"])
def test_no_link_that_the_service_may_have_left_leads_out_of_what_it_may_write(
    tmp_path: Path, place: str
) -> None:
    folder, other = tmp_path / "written", tmp_path / "other"
    (folder / "real" / "deeper").mkdir(parents=True)
    (other / "deeper").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(folder / "run")
    named = str(tmp_path / "alias" if place == "alias" else folder / place)
    shares = [Share(str(folder), writable=True), Share(named, writable=True)]
    (folder / "run").symlink_to("real")
    make_plan(spec(shares=shares))
    (folder / "run").unlink()
    (folder / "run").symlink_to(other)
    with pytest.raises(ConfigError, match="which the jail may write, leads to"):
        make_plan(spec(shares=shares))
    make_plan(spec(shares=[*shares, Share(str(other), writable=True)]))  # shared by its own name
    make_plan(spec(shares=[Share(str(folder)), Share(named)]))  # nobody in the jail could have put it there


def test_what_decides_over_a_jail_is_not_where_it_may_write(tmp_path: Path) -> None:
    """At the next start it would be what the service has made of it."""
    folder, outside = tmp_path / "written", tmp_path / "outside"
    for place in (folder / "deeper", outside):
        place.mkdir(parents=True)
        (place / "caps").write_text("{}")
        (place / "policy").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    (folder / "link").symlink_to(outside)
    (folder / "policy").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    shares = [Share(str(folder), writable=True)]

    def make(place: Path, key: str, name: str = "", **options: object) -> None:
        asked = spec(**{"shares": list(shares), **options})
        path = str(place / name) if name else str(place)
        if key == "seccomp":
            asked.hold(path)
        else:
            setattr(asked, key, path)
        make_plan(asked)

    for key, name in (("capabilities", "caps"), ("seccomp", "policy"), ("overlay_dir", "")):
        make(outside, key, name)
        for place in (folder / "deeper", folder / "link"):
            with pytest.raises(ConfigError, match="which the jail may write"):
                make(place, key, name)
            make(place, key, name, shares=[Share(str(folder))])
    asked = spec(shares=shares, extroot=str(folder / "deeper"))
    with pytest.raises(ConfigError, match="which the jail may write: it could change it"):
        present_shares(asked, Plan("t"))
    # there it is a mount of its own, read-only, and its directory one that cannot be renamed
    make(folder, "seccomp", "policy")
    for more in (Share(str(folder), "/again", writable=True), Share(str(tmp_path), writable=True)):
        with pytest.raises(ConfigError, match="which the jail may write: it could change it"):
            make(folder, "seccomp", "policy", shares=[*shares, more])


@pytest.mark.parametrize("target", ["", "/elsewhere"])
def test_link_that_comes_once_links_were_looked_for_is_refused(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another instance that may write the same directory runs meanwhile."""
    folder, other = tmp_path / "written", tmp_path / "other"
    for place in (folder, other):
        place.mkdir()
        (place / "file").touch()

    def swap(*given: object) -> None:
        (folder / "file").unlink()
        (folder / "file").symlink_to(other / "file")

    shares = [Share(str(folder), "/w", writable=True), Share(f"{folder}//file", target)]
    make_plan(spec(shares=shares))
    monkeypatch.setattr("jail.shares._check_absent", swap)
    with pytest.raises(ConfigError, match="which it did not a moment ago"):
        make_plan(spec(shares=shares))


@pytest.mark.parametrize("kind", ["asked", "preset"])
def test_link_in_the_place_of_a_live_file_brings_no_other_directory(tmp_path: Path, kind: str) -> None:
    """Where a file is seen live and writable, so is its directory, and the service can put a link there."""
    folder, other = tmp_path / "resolv.d", tmp_path / "other"
    for place in (folder, other):
        place.mkdir()
        (place / "file").touch()
    (tmp_path / "named").symlink_to(folder / "file")
    share = Share(str(folder / "file" if kind == "asked" else tmp_path / "named"), writable=True)
    share.is_live, share.is_asked_live = True, kind == "asked"
    assert f"bind {folder} on /.live/0" in lines(make_plan(spec(shares=[share])))
    (folder / "next").touch()
    (folder / "file").unlink()
    (folder / "file").symlink_to("next")
    make_plan(spec(shares=[share]))
    for target in (other / "file", other):
        (folder / "file").unlink()
        (folder / "file").symlink_to(target)
        with pytest.raises(ConfigError, match="which the jail may write, leads to"):
            make_plan(spec(shares=[share]))
    (folder / "file").unlink()
    (folder / "file").touch()
    with pytest.raises(ConfigError, match="which the jail may write: it could change it"):
        asked = spec(shares=[share], capabilities=str(folder / "caps"))
        (folder / "caps").write_text("{}")
        make_plan(asked)


def test_files_of_ours_are_in_no_directory_that_the_jail_may_replace(tmp_path: Path) -> None:
    """By a link, to have root write them elsewhere."""
    folder, outside = tmp_path / "written", tmp_path / "outside"
    for place in (folder / "deeper", outside):
        place.mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "own").symlink_to("/etc/passwd")  # in the place of the file: that is for who opens it
    shares = [Share(str(folder), writable=True)]
    for path in (folder / "deeper/log", folder / "link/log", folder / "none/log"):
        with pytest.raises(ConfigError, match="which the jail may write: it could put a link there"):
            make_plan(spec(shares=shares, outputs=[str(path)]))
        make_plan(spec(shares=[Share(str(folder))], outputs=[str(path)]))
    for path in (folder / "log", folder / "own", outside / "log"):
        make_plan(spec(shares=shares, outputs=[str(path)]))


def test_mask_of_what_a_live_file_brings_along_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    binds = [f"{tmp_path}/a:/etc/a:live"]
    with pytest.raises(ConfigError, match=r"/\.live/0 shows all of .* mask it there"):
        make_plan(spec(binds=binds, masks=[f"{tmp_path}/b"]))
    assert "mask /.live/0/b" in lines(make_plan(spec(binds=binds, masks=["/.live/0/b"])))


def test_mask_of_what_nothing_shows_is_said_or_refused_with_requirejail(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    asked = [Share(str(tmp_path / "a"))]
    plan = make_plan(spec(shares=asked, masks=["/etc/nothing"]))
    assert "mask: /etc/nothing: nothing shows it, skipped" in plan.all_warnings()
    with pytest.raises(ConfigError, match="mask: /etc/nothing: nothing shows it"):
        make_plan(spec(shares=asked, masks=["/etc/nothing"], required=True))
    assert make_plan(spec(shares=asked, masks=[f"{tmp_path}/a"], required=True)).all_warnings() == []


def test_live_files_of_one_directory_keep_their_rights(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
    binds = [f"{tmp_path}/a:/a:rw,live", f"{tmp_path}/b:/b:live", f"{tmp_path}/c:/c:live"]
    said = lines(make_plan(spec(binds=binds)))
    assert f"bind {tmp_path} on /.live/0" in said and f"bind {tmp_path} on /.live/1 read-only" in said
    assert "make link /b -> /.live/1/b" in said and "make link /c -> /.live/1/c" in said


@pytest.mark.parametrize(
    ("name", "said", "status"),
    [
        ("plain", "plain: not executable (mode 0640), cannot execute", 126),
        ("folder", "folder: not a file, cannot execute", 126),
        ("none", "none: no such program", 127),
    ],
)
def test_why_a_program_cannot_be_executed(tmp_path: Path, name: str, said: str, status: int) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "plain").chmod(0o640)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError) as caught:
        make_plan(JailSpec("x", [f"{tmp_path}/{name}"]))
    assert (str(caught.value), caught.value.status) == (f"{tmp_path}/{said}", status)


@pytest.mark.parametrize(("key", "name"), [("capabilities", "caps.json"), ("seccomp", "policy.json")])
def test_what_decides_over_a_jail_is_not_in_its_own_overlay(tmp_path: Path, key: str, name: str) -> None:
    overlay, beside = tmp_path / "over", tmp_path / "over-beside"
    for folder in (overlay / "upper", beside):
        folder.mkdir(parents=True)
        text = '{"bounding": []}' if key == "capabilities" else '{"defaultAction": "SCMP_ACT_ALLOW"}'
        (folder / name).write_text(text)
    made = JailSpec("x", ["/bin/true"])
    made.overlay_dir = str(overlay)
    setattr(made, key, str(beside / name))
    make_plan(made)
    setattr(made, key, str(overlay / "upper" / name))
    with pytest.raises(ConfigError, match=f"over/upper/{name}: in .*, which the jail may write"):
        make_plan(made)
