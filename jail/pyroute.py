# SPDX-License-Identifier: MIT
"""Loads what encodes messages in pyroute2, and neither the rest of it nor what its messages never use.

For the process that makes a network and then becomes another program (network.py): what is put in the place of
modules here, nobody else sees.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = "pyroute2"
MESSAGES = f"{PACKAGE}.netlink.rtnl"
LINKS = (f"{MESSAGES}.ifinfmsg", f"{MESSAGES}.ifaddrmsg", f"{MESSAGES}.rtmsg")
RULES = f"{PACKAGE}.netlink.nfnetlink.nftsocket"
# what messages are declared with, logged with and sent by, and what is of other messages: most of what it would cost
UNUSED = (
    *("logging", "multiprocessing", "pkgutil", "platform", "re", "threading", "traceback", "typing"),
    *(f"{PACKAGE}.config", f"{PACKAGE}.netlink.nlsocket"),
    f"{MESSAGES}.ifinfmsg.plugins",  # kinds of device, and neither veth nor macvlan
)


class Unused:
    """Whatever such a module would have: may be called, derived from and named in a type, and is no value.

    Where it comes to be one after all, as in a message, what uses it raises an error, and there is no network.
    """

    __slots__ = ()
    __name__ = "unused"

    def __getattr__(self, name: str) -> "Unused":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> "Unused":
        return self

    def __getitem__(self, _: object) -> "Unused":
        return self

    def __iter__(self) -> "Unused":
        return self

    def __next__(self) -> None:
        raise StopIteration

    def __mro_entries__(self, _: object) -> tuple[type, ...]:
        return ()

    def __bool__(self) -> bool:
        raise TypeError("left out: has no truth")

    def __str__(self) -> str:
        raise TypeError("left out: has no text")


def load(*names: str) -> None:
    """Import these modules of pyroute2 and no others. Raises ImportError.

    Whatever is imported of pyroute2 runs its __init__, which does nothing but import every module that it has, to
    offer all names in one place. So the package is put where importlib puts it, with its name and path, and
    __init__ is not run; its modules are then imported as ever, with nothing in the place of UNUSED. A version for
    which that is not enough is imported whole.
    """
    if PACKAGE in sys.modules:
        return _import(names)
    package = _package()
    before = set(sys.modules)
    put = {name: _nothing(name) for name in UNUSED if name not in before}
    if "socket" not in before:
        put["socket"] = _c_half()
    sys.modules.update({**put, PACKAGE: package})
    try:
        _import(names)
    except Exception:  # whatever it is that Unused cannot do
        for name in sys.modules.keys() - before:
            del sys.modules[name]
        _import(names)
    else:
        for name in put:
            del sys.modules[name]


def _import(names: tuple[str, ...]) -> None:
    from importlib import import_module

    for name in names:
        import_module(name)


def _package() -> "ModuleType":
    from importlib.util import find_spec, module_from_spec

    spec = find_spec(PACKAGE)
    if spec is None and sys.flags.no_site:
        # our commands are started without; it knows of more places
        import site

        site.main()
        spec = find_spec(PACKAGE)
    if spec is None:
        raise ImportError(f"no module named {PACKAGE}")
    return module_from_spec(spec)


def _nothing(name: str) -> "ModuleType":
    unused = Unused()
    module = type(sys)(name)
    module.__dict__.update({"__getattr__": unused.__getattr__, "TYPE_CHECKING": False})
    return module


def _c_half() -> "ModuleType":
    """The C half of `socket`: numbers and addresses' forms, without enum and selectors."""
    import _socket

    module = _nothing("socket")
    module.__dict__.update({name: value for name, value in vars(_socket).items() if name[:2] != "__"})
    return module
