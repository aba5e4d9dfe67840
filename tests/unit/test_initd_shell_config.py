# SPDX-License-Identifier: MIT
"""functions.sh and what it reads: configuration without `uci`, lists of words, users."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from initd_shell import AVAILABLE, World

CONFIG = r"""
# a comment
package thing

config interface 'lan'
	option proto 'dhcp'     # and another
	option	device	"br\"lan"
	option bare back\ slash#no-comment
	option mixed 'a'"b"c
	option empty ''
	option odd 'it'"'"'s $HOME `id` \n "x"'
	list dns '1.1.1.1'
	list dns '8.8.8.8 spaced'
	option lines 'one
two'
	option on 'yes'
	option off "off"
	option word 'maybe'

config host
	option name 'first'
config host
	option name 'second'
config host 'named'
	option name 'third'
config interface 'lan'
	option proto 'static'
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.config("thing", CONFIG)
    return made


@pytest.mark.parametrize("shell", AVAILABLE)
class TestConfig:
    def test_options_are_read(self, world: World, shell: str) -> None:
        names = ("proto", "device", "bare", "mixed", "empty", "odd", "dns", "lines", "none")
        reads = "".join(f"config_get x lan {name} default\nprintf '%s\\0' \"$x\"\n" for name in names)
        ran = world.source(shell, f"config_load thing\n{reads}config_get lan proto")
        *got, printed = ran.out.split("\0")
        assert dict(zip(names, got, strict=True)) == {
            "proto": "static",  # the section again, further down
            "device": 'br"lan',
            "bare": "back slash#no-comment",
            "mixed": "abc",
            "empty": "default",
            "odd": 'it\'s $HOME `id` \\n "x"',
            "dns": "1.1.1.1 8.8.8.8 spaced",
            "lines": "one\ntwo",
            "none": "default",
        }
        assert printed == "static\n"

    def test_truth(self, world: World, shell: str) -> None:
        reads = "".join(
            f'config_get_bool x lan {o}; echo "$x"\n' for o in ("on", "off", "word", "none", "none 1")
        )
        ran = world.source(shell, f"config_load thing\n{reads}")
        assert ran.out.split("\n") == ["1", "0", "", "", "1", ""]

    def test_sections_and_lists_in_order(self, world: World, shell: str) -> None:
        ran = world.source(
            shell,
            'config_load thing\nshow() { config_get name "$1" name; echo "$1 $name $2 $3"; }\n'
            "config_foreach show host a 'b c'\nconfig_foreach show\n"
            'item() { echo "<$1> $2"; }\nconfig_list_foreach lan dns item x\nconfig_list_foreach lan proto item',
        )
        lines = ran.out.splitlines()
        first, second = (line.split()[0] for line in lines[:2])
        assert lines[:3] == [f"{first} first a b c", f"{second} second a b c", "named third a b c"]
        assert [line.split()[0] for line in lines[3:7]] == ["lan", first, second, "named"]
        assert lines[7:] == ["<1.1.1.1> x", "<8.8.8.8 spaced> x"]
        assert first.startswith("cfg02")
        assert second.startswith("cfg03")

    def test_another_package_takes_the_place(self, world: World, shell: str) -> None:
        world.config("other", "config x one\n\toption a 1\n")
        ran = world.source(
            shell,
            "config_load thing\nconfig_load other\nconfig_get x lan proto gone\necho $x $CONFIG_SECTIONS\n"
            "config_load missing || echo missing $CONFIG_SECTIONS",
        )
        assert ran.out == "gone one\nmissing\n"

    def test_another_package_within_a_loop_leaves_the_sections_that_come(
        self, world: World, shell: str
    ) -> None:
        world.config("loop", "config a one\n\toption o 1\nconfig a two\n\toption o 2\nconfig b three\n")
        world.config("other", "config x ex\n\toption o 9\n")
        ran = world.source(
            shell,
            'show() { config_get v "$1" o; echo "$1 $v"; config_load other; config_get v ex o; echo "$v"; }\n'
            "config_load loop\nconfig_foreach show a\necho $CONFIG_SECTIONS\n"
            "config_load other\nconfig_get v two o gone\necho $v",
        )
        assert ran.out == "one 1\n9\ntwo 2\n9\nex\ngone\n"

    def test_callbacks(self, world: World, shell: str) -> None:
        world.config("small", "config a x\n\toption o 'v w'\n\tlist l 1\nconfig b\n")
        ran = world.source(
            shell,
            'config_cb() { echo "section $1 $2"; }\noption_cb() { echo "$CONFIG_SECTION $1=$2"; }\n'
            'list_cb() { echo "list $1=$2"; }\nconfig_load small\nreset_cb\nconfig_load small',
        )
        lines = ran.out.splitlines()
        assert lines[:3] == ["section a x", "x o=v w", "list l=1"]
        assert lines[3].startswith("section b cfg02")
        assert lines[4:] == ["section  "]

    def test_bad_files_are_said_and_the_rest_is_read(self, world: World, shell: str) -> None:
        world.config(
            "bad", "option early 1\nconfig a x\n\toption a-b 1\n\toption c 2\n\tnonsense\nconfig a 'x y'\n"
        )
        ran = world.source(shell, 'config_load bad || echo bad\nconfig_get c x c\necho "$c"')
        assert ran.out == "bad\n2\n"
        assert [line.rsplit("/", 1)[1] for line in ran.err.splitlines()] == [
            "bad:1: an option before the first section",
            "bad:3: not understood: \toption a-b 1",
            "bad:5: not understood: \tnonsense",
            "bad:6: a section named x y",
        ]

    def test_names_cannot_become_commands(self, world: World, shell: str) -> None:
        world.config(
            "evil", "config 'a;touch evil' x\n\toption 'o;touch evil' 1\n\toption p '$(touch evil)'\n"
        )
        ran = world.source(
            shell,
            'config_load evil\nconfig_get v "x;touch evil" p d\necho "$v"\nconfig_get v x "p;touch evil" d\necho "$v"\n'
            'config_get v x p\necho "$v"\nconfig_get v x TYPE\necho "$v"',
        )
        assert ran.out == "d\nd\n$(touch evil)\na;touch evil\n"
        assert not (world.root / "evil").exists()

    @pytest.mark.parametrize("command", ["config_get", "config_set", "config_unset"])
    @pytest.mark.parametrize("section, option", [("x}$(touch evil)${y", "p"), ("x", "p=1;touch evil;q")])
    def test_names_of_any_command_cannot(
        self, world: World, shell: str, command: str, section: str, option: str
    ) -> None:
        ran = world.source(
            shell,
            f"{command} {single(section)} {single(option)}\nconfig_load thing\nconfig_get lan proto",
        )
        assert ran.out == "static\n", ran
        assert not (world.root / "evil").exists()

    def test_config_set(self, world: World, shell: str) -> None:
        ran = world.source(
            shell, "config_load thing\nconfig_set lan proto 'a b'\nconfig_get x lan proto\necho $x"
        )
        assert ran.out == "a b\n"


def single(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def double(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def bare(text: str) -> str:
    """Each character after a backslash; a newline and nothing need quotes."""
    return "".join("'\n'" if char == "\n" else f"\\{char}" for char in text) or "''"


VALUE = st.text(max_size=30).map(lambda text: text.replace("\0", ""))


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(VALUE, st.sampled_from([single, double, bare])), min_size=1, max_size=30))
@pytest.mark.parametrize("shell", AVAILABLE)
def test_any_value_in_any_quotes(world: World, shell: str, values: list[tuple[str, Any]]) -> None:
    lines = [f"\toption o{i} {quote(value)}\n" for i, (value, quote) in enumerate(values)]
    world.config("any", "config a x\n" + "".join(lines))
    reads = "".join(f"config_get v x o{i}\nprintf '%s\\0' \"$v\"\n" for i in range(len(values)))
    ran = world.source(shell, f"config_load any\n{reads}")
    assert ran.out.split("\0")[:-1] == [value for value, _ in values], ran


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize(
    ("separator", "joined"), [("", "a b|c"), ("LIST_SEP='\n'\n", "a b\nc"), ("LIST_SEP=\n", "a b|c")]
)
def test_items_of_a_list_are_kept_apart(world: World, shell: str, separator: str, joined: str) -> None:
    """A script whose items hold spaces sets LIST_SEP, before it loads, and IFS, when it goes through them."""
    world.config("any", "config a x\n\tlist o 'a b'\n\tlist o c\n")
    ran = world.source(shell, f'{separator}config_load any\nconfig_get v x o\nprintf %s "$v"')
    assert (ran.out, ran.err) == (joined.replace("|", " "), "")


@pytest.mark.parametrize("shell", AVAILABLE)
class TestUci:
    @pytest.mark.parametrize(
        ("words", "out"),
        [
            ("thing lan proto", "static"),
            ("thing lan dns", "1.1.1.1 8.8.8.8 spaced"),
            ("thing lan", "interface"),
            ("thing @host[0] name", "first"),
            ("thing @host[-1] name", "third"),
            ("thing lan none 'the default'", "the default"),
        ],
    )
    def test_get_without_uci(self, world: World, shell: str, words: str, out: str) -> None:
        ran = world.source(shell, f"uci_get {words}")
        assert (ran.out, ran.status) == (f"{out}\n", 0)

    @pytest.mark.parametrize(
        "words", ["thing lan none", "thing none proto", "none a b", "../thing lan proto", "thing @host[9]"]
    )
    def test_get_what_there_is_not(self, world: World, shell: str, words: str) -> None:
        ran = world.source(shell, f"uci_get {words}")
        assert (ran.out, ran.status) == ("", 1)

    def test_set_without_uci_fails_aloud(self, world: World, shell: str) -> None:
        ran = world.source(shell, "uci_set thing lan proto x")
        assert (ran.err, ran.status) == (
            "there is no uci to change a configuration with: set thing.lan.proto=x\n",
            1,
        )

    def test_what_uci_cannot_read_is_not_empty(self, world: World, shell: str) -> None:
        stub = world.root / "bin/uci"
        stub.write_text("#!/bin/sh\nexit 1\n")
        stub.chmod(0o755)
        ran = world.source(
            shell, "config_load thing && echo loaded\nuci_get thing lan proto x\nuci_get thing lan\n"
        )
        assert (ran.out, ran.status) == ("x\n", 1)

    def test_uci_is_used_where_there_is_one(self, world: World, shell: str) -> None:
        stub = world.root / "bin/uci"
        stub.write_text(
            '#!/bin/sh\necho "$*" >>"$STOCKADE_ROOT/tmp/uci"\n'
            'case "$*" in *export*) echo "config a \'cfg01\'"; echo "option b \'from uci\'";; *) echo added;; esac\n'
        )
        stub.chmod(0o755)
        ran = world.source(
            shell,
            "config_load thing\nconfig_get x cfg01 b\necho $x\nuci_get thing @a[0] b\nuci_set p s o 'v w'\n"
            "uci_add p t\n"
            "echo $CONFIG_SECTION\nuci_add_list p s o v\nuci_remove p s\nuci_commit p",
        )
        assert ran.out.splitlines()[:2] == ["from uci", "from uci"]
        folder = world.root / "etc/config"
        assert (world.root / "tmp/uci").read_text().splitlines() == [
            f"-c {folder} {rest}"
            for rest in (
                "-q -n export thing",
                "-q -n export thing",
                "set p.s.o=v w",
                "add p t",
                "add_list p.s.o=v",
                "delete p.s",
                "commit p",
            )
        ]


@pytest.mark.parametrize("shell", AVAILABLE)
class TestWords:
    def test_lists_of_words(self, world: World, shell: str) -> None:
        ran = world.source(
            shell,
            "append l a\nappend l 'b$(id)'\nappend l c ,\nprepend l z\necho \"$l\"\nlist_contains l a && echo yes\n"
            "list_contains l x || echo no\nw='a b c *'\nlist_remove w b\necho \"$w\" ??c",
        )
        assert ran.out == "z a b$(id),c\nyes\nno\na c * etc\n"

    def test_include(self, world: World, shell: str) -> None:
        (world.root / "d").mkdir()
        (world.root / "d/a.sh").write_text("echo a\n")
        (world.root / "d/b.txt").write_text("echo b\n")
        assert world.source(shell, "include d; include none").out == "a\n"

    def test_users_and_groups(self, world: World, shell: str) -> None:
        etc = world.root / "etc"
        (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (etc / "group").write_text("root:x:0:\n")
        (etc / "shadow").write_text("root:*:0::::::\n")
        ran = world.source(
            shell,
            "user_exists root && group_exists root && ! user_exists roo && ! user_exists 'r.*t' && echo exist\n"
            "group_add www 33\ngroup_add www 34\ngroup_add_next www\ngroup_add_next new\ngroup_add_user www root\n"
            "group_add_user www root\ngroup_add_user www other\nuser_add a 5 6 words /home /bin/sh\n"
            "user_add a\nuser_add b\n",
        )
        assert ran.out == "exist\n33\n65536\n", ran
        assert (etc / "group").read_text() == "root:x:0:\nwww:x:33:root,other\nnew:x:65536:\nb:x:65537:\n"
        assert (etc / "passwd").read_text() == (
            "root:x:0:0:root:/root:/bin/sh\na:x:5:6:words:/home:/bin/sh\nb:x:65536:65537:b:/var/run/b:/bin/false\n"
        )
        assert (etc / "shadow").read_text().splitlines()[1:] == ["a:x:0:0:99999:7:::", "b:x:0:0:99999:7:::"]
