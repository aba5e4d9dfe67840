# SPDX-License-Identifier: MIT
"""OpenWrt's side: what stands in for /sbin/seccomp-trace, and the switch between procd and initd."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jail.ujail import make_spec, parse_options

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = REPOSITORY / "buildroot/openwrt/stockade/files"
REPLACED = ("lib/functions/procd.sh", "etc/rc.common", "sbin/service", "sbin/reload_config")


@pytest.fixture
def router(tmp_path: Path) -> Path:
    """A root with procd's files, those of stockade-initd, and its settings."""
    for name in (*REPLACED, "sbin/procd"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"procd's {name}")
    shutil.copytree(REPOSITORY / "initd/files", tmp_path / "usr/share/stockade/files")
    (tmp_path / "etc/config").mkdir()
    shutil.copy(FILES / "stockade.config", tmp_path / "etc/config/stockade")
    return tmp_path


def switch(root: Path, *words: str) -> int:
    return subprocess.run(
        [FILES / "switch", *words], env={**os.environ, "STOCKADE_ROOT": str(root)}
    ).returncode


def is_procds(root: Path) -> bool:
    return all((root / name).read_text() == f"procd's {name}" for name in (*REPLACED, "sbin/procd"))


def test_procd_stays_until_somebody_asks(router: Path) -> None:
    assert switch(router) == 0
    assert is_procds(router)


@pytest.mark.parametrize("times", [1, 2])
def test_on_and_off_leaves_procds_files(router: Path, times: int) -> None:
    for _ in range(times):
        assert switch(router, "on") == 0
    assert (router / "sbin/procd").readlink() == Path("/usr/libexec/stockade/procd")
    for name in REPLACED:
        assert (router / name).read_bytes() == (REPOSITORY / "initd/files" / name).read_bytes()
        assert (router / f"{name}.procd").read_text() == f"procd's {name}"
    for _ in range(times):
        assert switch(router, "off") == 0
    assert is_procds(router)
    assert not list(router.rglob("*.procd"))


@pytest.mark.parametrize(("words", "started"), [(["-h", "/etc/hotplug.json"], "procd.procd"), ([], "initd")])
def test_hotplug_of_preinit_stays_procds(tmp_path: Path, words: list[str], started: str) -> None:
    for name in ("procd.procd", "initd"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    text = (FILES / "procd").read_text().replace("/sbin/procd.procd", f"{tmp_path}/procd.procd")
    (tmp_path / "procd").write_text(text.replace("/usr/bin/initd", f"{tmp_path}/initd"))
    done = subprocess.run(["sh", tmp_path / "procd", *words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [started, *words]


def test_settings_decide(router: Path) -> None:
    settings = router / "etc/config/stockade"
    settings.write_text(settings.read_text().replace("'0'", "'1'"))
    assert switch(router) == 0
    assert (router / "sbin/procd").is_symlink()


def test_no_word_that_is_none(router: Path) -> None:
    assert switch(router, "perhaps") == 1
    assert is_procds(router)


def test_policy_without_a_jail_goes_through_ujail(tmp_path: Path) -> None:
    """procd puts /sbin/seccomp-trace before the command of a service that has a policy and no jail."""
    said = tmp_path / "said"
    fake = tmp_path / "ujail"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{said}\n')
    fake.chmod(0o755)
    script = tmp_path / "seccomp-trace"
    script.write_text((FILES / "seccomp-trace").read_text().replace("/sbin/ujail", str(fake)))
    script.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "TZ": "UTC 0", "SECCOMP_FILE": "/etc/seccomp/x.json", "LD_PRELOAD": ""}
    subprocess.run([script, "/usr/sbin/x", "-f", "two words"], env=env, check=True)
    words = said.read_text().splitlines()
    spec = make_spec(parse_options(words))
    assert spec.argv == ["/usr/sbin/x", "-f", "two words"]
    assert spec.seccomp == "/etc/seccomp/x.json"
    assert not spec.isolate  # identity and files stay what procd has made them
    passed = set(re.findall(r"(?m)^-e\n(\w+)$", said.read_text()))
    assert "TZ" in passed and not passed & {"SECCOMP_FILE", "LD_PRELOAD"}


def test_no_policy_no_start(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run([FILES / "seccomp-trace", "/bin/true"], env=env, capture_output=True, text=True)
    assert done.returncode != 0 and "names no policy" in done.stderr


def test_policies_of_the_feed_are_those_that_are_shipped(tmp_path: Path) -> None:
    """Read by make itself, with nothing of OpenWrt; each is named as a file that its owner may have changed."""
    feed = FILES.parent / "Makefile"
    (tmp_path / "rules.mk").touch()
    (tmp_path / "package.mk").touch()
    made = feed.read_text().replace("$(TOPDIR)/feeds/packages/lang/python/python3-package.mk", "/dev/null")
    made = re.sub(r"\$\(eval \$\(call (Py3|Build)Package.*", "", made)
    made += '\nexport TOLD:=$(Package/stockade-policies/conffiles)\nall:\n\t@echo "$$TOLD"\n'
    (tmp_path / "Makefile").write_text(made)
    words = [f"TOPDIR={tmp_path}", f"INCLUDE_DIR={tmp_path}", f"STOCKADE_SOURCE={REPOSITORY}"]
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", *words, "all"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told = done.stdout.split("\n")
    names = {line.strip() for line in told if line.strip()}
    shipped = {path.name for path in (REPOSITORY / "json-filters").glob("*.json")}
    policies = {
        name for name in shipped if not name.startswith(("startup-", "default", "schema", "tcp-ports"))
    }
    assert names == {f"/etc/seccomp/{name}" for name in policies}
    assert {"dnsmasq.json", "dropbear.json", "httpd.json"} <= policies
