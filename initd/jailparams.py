# SPDX-License-Identifier: MIT
"""The parameters of a jail that procd has not: what `procd_set_jail_param` puts into the `jail` table. A table.

One row a parameter: its key, the shape of its value, the attribute of JailSpec of the same shape where it lands
(a list is added to what is there), and whether it asks for namespaces. What a value means is jail/spec.py's to
say, as for `ujail`. The shell has the same keys in files/usr/libexec/stockade/jail.sh. Must have no effects.
"""

from initd.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initd.ubus.blob import Value
    from jail.spec import JailSpec

    Param = str | bool | list[str] | dict[str, str]

# shapes, each a method of Fields
TEXT, FLAG, TEXTS, WORDS = "text", "flag", "texts", "words"
# fmt: off
PARAMETERS: tuple[tuple[str, str, str, bool], ...] = (
    # key, shape, attribute of JailSpec, asks for namespaces
    ("bind", TEXTS, "binds", True),
    ("dev", TEXTS, "devices", True),
    ("mask", TEXTS, "masks", True),
    ("tmpfs", TEXTS, "tmpfs", True),
    ("uidmap", TEXTS, "uidmap", False),
    ("gidmap", TEXTS, "gidmap", False),
    ("umask", TEXT, "umask", False),
    ("oom_score_adj", TEXT, "oom_score_adj", False),
    ("ioprio", TEXT, "ioprio", False),
    ("proc", TEXT, "proc", True),
    ("no_default_filter", FLAG, "no_default_filter", False),
    ("allow_userns", FLAG, "allow_userns", False),
    ("net", TEXTS, "net", True),
    ("net_bind", TEXTS, "net_bind", False),
    ("net_connect", TEXTS, "net_connect", False),
)
# fmt: on
KEYS = tuple(row[0] for row in PARAMETERS)


def read_params(fields: Fields) -> "dict[str, Param]":
    """Those that are there and not empty. A value of another shape is a fault."""
    out: dict[str, Param] = {}
    for key, shape, _, _ in PARAMETERS:
        if value := getattr(fields, shape)(key):
            out[key] = value
    return out


def listed(params: "dict[str, Param]") -> "dict[str, Value]":
    """As `service list` shows them."""
    return {key: [*value] if isinstance(value, list) else _value(value) for key, value in params.items()}


def _value(value: "str | bool | dict[str, str]") -> "Value":
    return {**value} if isinstance(value, dict) else value


def asks_for_namespaces(params: "dict[str, Param]") -> bool:
    return any(isolates for key, _, _, isolates in PARAMETERS if key in params)


def land(spec: "JailSpec", params: "dict[str, Param]") -> None:
    """Put each where its row says."""
    for name, value in _landings(params):
        there = getattr(spec, name)
        if isinstance(value, list):
            value = [*there, *value]
        elif isinstance(value, dict):
            value = {**there, **value}
        setattr(spec, name, value)


def _landings(params: "dict[str, Param]") -> "Iterator[tuple[str, Param]]":
    return ((name, params[key]) for key, _, name, _ in PARAMETERS if key in params)
