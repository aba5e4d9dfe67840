# SPDX-License-Identifier: MIT
"""Each function that an init script calls, and the JSON that initd is sent for it."""

import json
from pathlib import Path
from typing import Any

import pytest
from initd_shell import AVAILABLE, World

DELAY = 1000
RELOAD = ["run_script", "ROOT/etc/init.d/svc", "reload"]

# What stands between opening and closing an instance, and the instance that comes of it
INSTANCES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": (":", {}),
    "command": ("procd_set_param command /bin/x -a ''", {"command": ["/bin/x", "-a", ""]}),
    "command with odd words": (
        r"""procd_set_param command /bin/x '-n' '*' '$HOME' '`id`' '%s' 'a "b" c' 'back\slash' "it's" 'ä€😀'""",
        {
            "command": ["/bin/x", "-n", "*", "$HOME", "`id`", "%s", 'a "b" c', "back\\slash", "it's", "ä€😀"],
        },
    ),
    "command set twice": (
        "procd_set_param command a b\nprocd_set_param nice 1\nprocd_set_param command c",
        {"command": ["c"], "nice": 1},
    ),
    "append": (
        "procd_set_param command a\nprocd_append_param command b 'c d'",
        {"command": ["a", "b", "c d"]},
    ),
    "append to nothing": ("procd_append_param env A=1", {"env": {"A": "1"}}),
    "append nothing": ("procd_set_param command a\nprocd_append_param command", {"command": ["a"]}),
    "append to a word": ("procd_set_param user a\nprocd_append_param user b", {"user": "b"}),
    "env": (
        "procd_set_param env A=1 B= 'C=x=y z' \"D=it's\"\nprocd_append_param env E=2",
        {"env": {"A": "1", "B": "", "C": "x=y z", "D": "it's", "E": "2"}},
    ),
    "limits": (
        'procd_set_param limits core="unlimited" nofile="1000 2000"',
        {"limits": {"core": "unlimited", "nofile": "1000 2000"}},
    ),
    "data": ("procd_set_param data name=x kind=y", {"data": {"name": "x", "kind": "y"}}),
    "cgroup": (
        "procd_set_param cgroup memory.max=16M cpu.max='50000 100000'",
        {"cgroup": {"memory.max": "16M", "cpu.max": "50000 100000"}},
    ),
    "files and devices": (
        "procd_set_param file /etc/a /etc/b\nprocd_set_param netdev br-lan eth0",
        {"file": ["/etc/a", "/etc/b"], "netdev": ["br-lan", "eth0"]},
    ),
    "watch": (
        "procd_set_param watch network.interface\nprocd_set_param watchdog 2 60",
        {"watch": ["network.interface"], "watchdog": ["2", "60"]},
    ),
    "respawn": ("procd_set_param respawn", {"respawn": ["3600", "5", "5"]}),
    "respawn with values": ("procd_set_param respawn 60 1 0", {"respawn": ["60", "1", "0"]}),
    "error": ("procd_set_param error 'no such device'", {"error": ["no such device"]}),
    "numbers": (
        "procd_set_param nice -5\nprocd_set_param term_timeout 30",
        {"nice": -5, "term_timeout": 30},
    ),
    # initd refuses these; 08 is no JSON
    "numbers that are none": (
        "procd_set_param nice high\nprocd_set_param term_timeout 08",
        {"nice": "high", "term_timeout": "08"},
    ),
    "signal by name": ("procd_set_param reload_signal HUP", {"reload_signal": 1}),
    "signal with SIG": ("procd_set_param reload_signal SIGTERM", {"reload_signal": 15}),
    "signal by number": ("procd_set_param reload_signal 12", {"reload_signal": 12}),
    "signal unknown": ("procd_set_param reload_signal FOO", {"reload_signal": "FOO"}),
    "words": (
        "procd_set_param user nobody\nprocd_set_param group nogroup\nprocd_set_param pidfile /var/run/x.pid\n"
        "procd_set_param facility local0\nprocd_set_param seccomp /etc/seccomp/x.json\n"
        "procd_set_param seccomp_mode log\nprocd_set_param capabilities /etc/capabilities/x.json\n"
        "procd_set_param extroot /x\nprocd_set_param overlaydir /o\nprocd_set_param tmpoverlaysize 1M\n"
        "procd_set_param bundle /b\nprocd_set_param vrf v",
        {
            "user": "nobody",
            "group": "nogroup",
            "pidfile": "/var/run/x.pid",
            "facility": "local0",
            "seccomp": "/etc/seccomp/x.json",
            "seccomp_mode": "log",
            "capabilities": "/etc/capabilities/x.json",
            "extroot": "/x",
            "overlaydir": "/o",
            "tmpoverlaysize": "1M",
            "bundle": "/b",
            "vrf": "v",
        },
    ),
    "truth": (
        "procd_set_param stdout 1\nprocd_set_param stderr 0\nprocd_set_param no_new_privs yes",
        {"stdout": True, "stderr": False, "no_new_privs": True},
    ),
    "truth without a value": (
        "procd_set_param stdout\nprocd_set_param no_new_privs ''",
        {"stdout": False, "no_new_privs": True},
    ),
    "truth that is none": ("procd_set_param no_new_privs perhaps", {"no_new_privs": "perhaps"}),
    "jail": (
        "procd_add_jail x log ubus udebug procfs sysfs ronly requirejail netns userns cgroupsns",
        {
            "jail": {
                "name": "x",
                "log": True,
                "ubus": True,
                "udebug": True,
                "procfs": True,
                "sysfs": True,
                "ronly": True,
                "requirejail": True,
                "netns": True,
                "userns": True,
                "cgroupsns": True,
            }
        },
    ),
    "jail without flags": ("procd_add_jail x", {"jail": {"name": "x"}}),
    "jail mounts": (
        "cd /\nprocd_add_jail x\nprocd_add_jail_mount /a '/b /c' '/et*' ''\nprocd_add_jail_mount_rw /d",
        {"jail": {"name": "x", "mount": {"/a": "0", "/b": "0", "/c": "0", "/et*": "0", "/d": "1"}}},
    ),
    "jail mounts without a jail": ("procd_add_jail_mount /a\nprocd_add_jail_mount_rw /b", {}),
    "jail parameters": (
        "procd_add_jail x\nprocd_set_jail_param hostname h\nprocd_set_jail_param pidfile /p\n"
        "procd_set_jail_param console\nprocd_set_jail_param immediately 0\nprocd_add_jail_mount /a\n"
        "procd_set_jail_param setns 1 net ipc\nprocd_set_jail_param setns 7 uts",
        {
            "jail": {
                "name": "x",
                "hostname": "h",
                "pidfile": "/p",
                "console": True,
                "immediately": False,
                "mount": {"/a": "0"},
                "setns": [{"pid": 1, "namespaces": ["net", "ipc"]}, {"pid": 7, "namespaces": ["uts"]}],
            }
        },
    ),
    "jail parameters that are set again, and added to": (
        "procd_add_jail x\nprocd_set_jail_param tmpfs /a\nprocd_set_jail_param tmpfs /b:1m,exec '/c d'\n"
        "procd_append_jail_param tmpfs '/e\\:f'\nprocd_set_jail_param hostname g\n"
        "procd_set_jail_param hostname h",
        {"jail": {"name": "x", "tmpfs": ["/b:1m,exec", "/c d", "/e\\:f"], "hostname": "h"}},
    ),
    "a jail's network": (
        "procd_add_jail x\nprocd_add_jail_net veth:eth0 addr=10.9.0.2/24 gw=10.9.0.1\n"
        "procd_add_jail_net bind tcp:53 udp:53\nprocd_add_jail_net connect tcp:10.0.0.0/8:443\n"
        "procd_add_jail_net dev:eth1\nprocd_add_jail_net bind tcp:80",
        {
            "jail": {
                "name": "x",
                "net": ["veth:eth0,addr=10.9.0.2/24,gw=10.9.0.1", "dev:eth1"],
                "net_bind": ["tcp:53", "udp:53", "tcp:80"],
                "net_connect": ["tcp:10.0.0.0/8:443"],
            }
        },
    ),
    "jail parameters begin anew with each jail": (
        "procd_add_jail x\nprocd_set_jail_param tmpfs /a\nprocd_add_jail y",
        {"jail": {"name": "y"}},
    ),
    "trace": (
        "TRACE_SYSCALLS=1 procd_open_instance; procd_set_param command x",
        {"trace": True, "command": ["x"]},
    ),
    "data of an instance": (
        "procd_open_data\njson_add_string a 'b \"c\"'\njson_add_array l\njson_add_int '' 1\njson_close_array\n"
        "procd_close_data\nprocd_set_param nice 1",
        {"nice": 1, "data": {"a": 'b "c"', "l": [1]}},
    ),
    "data that is no number": (
        "procd_open_data\njson_add_array l\n"
        "for n in 22 -7 0 1.5 -1.5e-3 2E+4 1-2 022 1. .5 e5 1e5.5 1e+-5 1.2.3 - +1 1.e5 x; do\n"
        "json_add_double '' $n\njson_add_int '' $n\ndone\njson_close_array\nprocd_close_data",
        {"data": {"l": [n for n in (22, -7, 0, 1.5, -1.5e-3, 2e4, *[0] * 12) for _ in (1, 2)]}},
    ),
    "data in two ways": (
        "procd_set_param data a=b\nprocd_open_data\njson_add_boolean c 1\nprocd_close_data",
        {"data": {"a": "b", "c": True}},
    ),
    "mdns": (
        "procd_add_mdns ssh tcp 22 'daemon=x y'\nprocd_add_mdns sftp tcp 22",
        {
            "data": {
                "mdns": {
                    "ssh_22": {"service": "_ssh._tcp.local", "port": 22, "txt": ["daemon=x y"]},
                    "sftp_22": {"service": "_sftp._tcp.local", "port": 22},
                }
            }
        },
    ),
    "mdns in a part of the data": (
        "procd_open_data\njson_add_object mdns\nprocd_add_mdns_service http tcp 80\njson_close_object\n"
        "procd_close_data",
        {"data": {"mdns": {"http_80": {"service": "_http._tcp.local", "port": 80}}}},
    ),
    "a trigger of the instance": (
        "procd_open_trigger\nprocd_add_raw_trigger x 0 /bin/y\nprocd_close_trigger",
        {"triggers": [["x", [["run_script", "/bin/y"]]]]},
    ),
}

# What service_triggers or start_service do outside of instances, and what is sent beside name, script and instances
SERVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": (":", {"triggers": []}),
    "reload": (
        "procd_add_reload_trigger svc network",
        {
            "triggers": [
                ["config.change", ["if", ["eq", "package", "svc"], RELOAD], DELAY],
                ["config.change", ["if", ["eq", "package", "network"], RELOAD], DELAY],
            ]
        },
    ),
    "configuration": (
        "procd_open_trigger\nprocd_open_trigger\nprocd_add_config_trigger config.change p /bin/x 'a b'\n"
        "procd_close_trigger\nprocd_close_trigger",
        {
            "triggers": [
                ["config.change", ["if", ["eq", "package", "p"], ["run_script", "/bin/x", "a b"]], DELAY],
            ]
        },
    ),
    "interface": (
        "procd_add_interface_trigger 'interface.*.up' wan /etc/init.d/svc restart\n"
        "procd_add_reload_interface_trigger lan",
        {
            "triggers": [
                [
                    "interface.*.up",
                    ["if", ["eq", "interface", "wan"], ["run_script", "/etc/init.d/svc", "restart"]],
                    DELAY,
                ],
                ["interface.*", ["if", ["eq", "interface", "lan"], RELOAD], DELAY],
            ]
        },
    ),
    "data of another service": (
        "procd_add_reload_data_trigger umdns",
        {"triggers": [["service.data.update", ["if", ["eq", "name", "umdns"], RELOAD], DELAY]]},
    ),
    "raw": (
        "procd_add_raw_trigger acme.renew 5000 /etc/init.d/svc reload 'x%y%'",
        {"triggers": [["acme.renew", [["run_script", "/etc/init.d/svc", "reload", "x%y%"]], 5000]]},
    ),
    "own delay": (
        "PROCD_RELOAD_DELAY=50\nprocd_add_reload_trigger a\nPROCD_RELOAD_DELAY=0\nprocd_add_reload_trigger b",
        {
            "triggers": [
                ["config.change", ["if", ["eq", "package", "a"], RELOAD], 50],
                ["config.change", ["if", ["eq", "package", "b"], RELOAD]],
            ]
        },
    ),
    "mounts": (
        "procd_add_reload_mount_trigger /mnt/usb/x\nprocd_add_restart_mount_trigger /mnt/usb /srv/a\n"
        "procd_add_reload_mount_trigger /nowhere /mnt/usbx",
        {
            "triggers": [
                ["mount.add", ["if", ["eq", "target", "/mnt/usb"], RELOAD], DELAY],
                [
                    "mount.add",
                    [
                        "if",
                        ["or", ["eq", "target", "/mnt/usb"], ["eq", "target", "/srv"]],
                        ["run_script", "ROOT/etc/init.d/svc", "restart"],
                    ],
                    DELAY,
                ],
            ]
        },
    ),
    "mounts with another action or event": (
        "procd_add_action_mount_trigger stop /srv/a\n"
        "procd_add_mount_trigger mount.remove start $(procd_get_mountpoints /mnt/usb/x /srv/a/b)",
        {
            "triggers": [
                [
                    "mount.add",
                    ["if", ["eq", "target", "/srv"], ["run_script", "ROOT/etc/init.d/svc", "stop"]],
                    DELAY,
                ],
                [
                    "mount.remove",
                    [
                        "if",
                        ["or", ["eq", "target", "/mnt/usb"], ["eq", "target", "/srv"]],
                        ["run_script", "ROOT/etc/init.d/svc", "start"],
                    ],
                    DELAY,
                ],
            ]
        },
    ),
    "validation": (
        "validate_a() { uci_load_validate svc a \"$1\" \"$2\" 'on:bool:1' 'port:or(port, \"a:b\"):53' 'x:string'; }\n"
        "validate_b() { uci_validate_section svc b \"$1\" 'dns:list(ip4addr):1.1.1.1 8.8.8.8'; }\n"
        "procd_add_validation validate_a\nprocd_open_validate\nvalidate_b\nprocd_close_validate",
        {
            "triggers": [],
            "validate": [
                {
                    "package": "svc",
                    "type": "a",
                    "data": {"on": "bool", "port": 'or(port, "a:b")', "x": "string"},
                },
                {"package": "svc", "type": "b", "data": {"dns": "list(ip4addr)"}},
            ],
        },
    ),
    "data": (
        "procd_open_data\njson_add_array firewall\njson_add_object\njson_add_string type rule\njson_add_int port 22\n"
        "json_close_object\njson_close_array\nprocd_close_data",
        {"triggers": [], "data": {"firewall": [{"type": "rule", "port": 22}]}},
    ),
}

FSTAB = """
config global
config mount
	option target '/mnt/usb'
config mount
	option target '/srv/'
	option enabled '1'
config mount
	option target '/srv/a'
	option enabled '0'
config mount
	option target '/'
"""


def batch(world: World, shell: str, bodies: list[str]) -> list[Any]:
    """The message of each body, all from one shell: a body is run in a subshell of its own."""
    text = "".join(f"case_{i}() {{\n{body}\n}}\n( case_{i} )\n" for i, body in enumerate(bodies))
    ran = world.source(shell, text)
    assert len(ran.calls) == len(bodies), ran
    return [json.loads(call[2].replace(str(world.root), "ROOT")) for call in ran.calls]


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Any]:
    """By shell, kind and case: what was sent."""
    found = {}
    for shell in AVAILABLE:
        world = World(tmp_path_factory.mktemp(shell))
        world.config("fstab", FSTAB)
        start = "procd_open_service svc /etc/init.d/svc\n"
        inside = [
            f"{start}procd_open_instance\n{body}\nprocd_close_service" for body, _ in INSTANCES.values()
        ]
        outside = [f"{start}{body}\nprocd_close_service set" for body, _ in SERVICES.values()]
        results = batch(world, shell, inside + outside)
        names = [("instance", name) for name in INSTANCES] + [("service", name) for name in SERVICES]
        found.update({(shell, *name): result for name, result in zip(names, results, strict=True)})
    return found


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize("case", INSTANCES)
def test_instance_is_sent_as(messages: dict[tuple[str, str, str], Any], shell: str, case: str) -> None:
    instances = messages[shell, "instance", case]["instances"]
    got = instances["instance2" if case == "trace" else "instance1"]
    assert json.dumps(got) == json.dumps(INSTANCES[case][1])


@pytest.mark.parametrize("shell", AVAILABLE)
@pytest.mark.parametrize("case", SERVICES)
def test_service_is_sent_as(messages: dict[tuple[str, str, str], Any], shell: str, case: str) -> None:
    start = {"name": "svc", "script": "/etc/init.d/svc", "instances": {}}
    assert json.dumps(messages[shell, "service", case]) == json.dumps(start | SERVICES[case][1])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("shell", AVAILABLE)
def test_instances_are_numbered_or_named_in_order(world: World, shell: str) -> None:
    ran = world.source(
        shell,
        'procd_open_service s\nprocd_add_instance a\nprocd_open_instance "na me"\nprocd_set_param nice 1\n'
        "procd_close_instance\nprocd_add_instance b c\nprocd_close_service add",
    )
    assert ran.calls[0][:2] == ["service", "add"]
    expected = {"instance1": {"command": ["a"]}, "na me": {"nice": 1}, "instance3": {"command": ["b", "c"]}}
    assert json.dumps(ran.sent["instances"]) == json.dumps(expected)


@pytest.mark.parametrize("shell", AVAILABLE)
def test_respawn_defaults_come_from_the_system_configuration(world: World, shell: str) -> None:
    world.config("system", "config system\nconfig service\n\toption respawn_timeout '9'\n")
    ran = world.source(
        shell,
        "procd_open_service s\nprocd_open_instance\nprocd_set_param respawn\nprocd_close_instance\n"
        "procd_open_instance\nprocd_set_param respawn\nprocd_close_service",
    )
    assert [one["respawn"] for one in ran.sent["instances"].values()] == [["3600", "9", "5"]] * 2


UNKNOWN = {
    "procd_set_param secomp /x": ("unknown parameter 'secomp', did you mean 'seccomp'?", True),
    "procd_set_param capabilites /x": ("unknown parameter 'capabilites', did you mean 'capabilities'?", True),
    "procd_set_param no-new-privs 1": (
        "unknown parameter 'no-new-privs', did you mean 'no_new_privs'?",
        True,
    ),
    "procd_set_param seccomp_profile x": (
        "unknown parameter 'seccomp_profile', did you mean 'seccomp'?",
        True,
    ),
    "procd_set_param uesr nobody": ("unknown parameter 'uesr', did you mean 'user'?", True),
    "procd_set_param stduot 1": ("unknown parameter 'stduot' is left out, did you mean 'stdout'?", False),
    "procd_set_param colour red": ("unknown parameter 'colour' is left out", False),
    "procd_set_param triggers x": ("unknown parameter 'triggers' is left out", False),
    "procd_add_jail x ronyl": ("unknown jail flag 'ronyl', did you mean 'ronly'?", True),
    "procd_add_jail x prcofs": ("unknown jail flag 'prcofs', did you mean 'procfs'?", True),
    "procd_add_jail x log another": ("unknown jail flag 'another' is left out", False),
    "procd_add_jail x; procd_set_jail_param hostnme h": (
        "unknown jail parameter 'hostnme', did you mean 'hostname'?",
        True,
    ),
    "procd_add_jail x; procd_set_jail_param tmpf /a": (
        "unknown jail parameter 'tmpf', did you mean 'tmpfs'?",
        True,
    ),
    "procd_add_jail x; procd_set_jail_param": ("unknown jail parameter '' is left out", False),
    "procd_set_jail_param hostname h": ("jail parameter hostname without a jail", True),
    "procd_set_param limits nofile": ("limits: 'nofile' is not NAME=VALUE", True),
    "procd_set_param env =x '' A=b": ("env: '=x' is not NAME=VALUE and left out", False),
    "procd_set_param user ''": ("user is empty, as if it were not there", False),
}


@pytest.mark.parametrize("shell", AVAILABLE)
def test_unknown_words_are_said_and_refused_when_near_a_protection(world: World, shell: str) -> None:
    text = "".join(f"procd_open_instance\n{body}\nprocd_close_instance\n" for body in UNKNOWN)
    # a function, for a busybox that has its own logger prefers that to what is on the PATH
    logger = """logger() { printf '%s\\n' "$*" >>"$STOCKADE_ROOT/tmp/log"; }"""
    ran = world.source(shell, f"{logger}\nprocd_open_service s\n{text}procd_close_service")
    lines = ran.err.splitlines()
    log = (world.root / "tmp/log").read_text().splitlines()
    for line, logged, instance, (message, is_refused) in zip(
        lines, log, ran.sent["instances"].values(), UNKNOWN.values(), strict=True
    ):
        assert line == f"s: {message}" + ("; the instance will not start" if is_refused else "")
        assert logged == "-t s -p daemon.warn " + line.removeprefix("s: ")
        assert instance.get("error") == ([message] if is_refused else None)


@pytest.mark.parametrize("shell", AVAILABLE)
def test_misplaced_calls_are_said(world: World, shell: str) -> None:
    ran = world.source(
        shell,
        "procd_set_param command a\nprocd_open_instance\nprocd_open_service s\nprocd_add_jail x\n"
        "procd_open_instance a\nprocd_open_instance a\nprocd_close_service",
    )
    assert ran.err.splitlines() == [
        "procd.sh: parameter command outside of an instance",
        "procd.sh: procd_open_instance outside of a service",
        "s: procd_add_jail outside of an instance",
        's: instance "a" is not closed before the next; the instance will not start',
        's: instance "a" twice: the later one counts',
    ]


CALLS = {
    "procd_kill svc": ["delete", {"name": "svc"}],
    "procd_kill svc inst": ["delete", {"name": "svc", "instance": "inst"}],
    "procd_send_signal svc": ["signal", {"name": "svc"}],
    "procd_send_signal svc '*' HUP": ["signal", {"name": "svc", "signal": 1}],
    "procd_send_signal svc inst 9": ["signal", {"name": "svc", "instance": "inst", "signal": 9}],
    "procd_set_config_changed net": ["event", {"type": "config.change", "data": {"package": "net"}}],
}


@pytest.mark.parametrize("shell", AVAILABLE)
def test_other_calls(world: World, shell: str) -> None:
    ran = world.source(shell, "\n".join(CALLS))
    assert [[call[1], json.loads(call[2])] for call in ran.calls] == list(CALLS.values())


@pytest.mark.parametrize("shell", AVAILABLE)
def test_debug_shows_what_is_sent(world: World, shell: str) -> None:
    ran = world.source(shell, "procd_open_service s\nprocd_close_service", PROCD_DEBUG="1")
    assert ran.err == '{"name":"s","instances":{},"triggers":[]}\n'


@pytest.mark.parametrize("shell", AVAILABLE)
def test_status_of_ubus_is_the_status(world: World, shell: str) -> None:
    ran = world.source(shell, "procd_open_service s\nprocd_close_service", UBUS_STATUS="4")
    assert ran.status == 4
