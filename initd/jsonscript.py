# SPDX-License-Identifier: MIT
"""The small language of triggers: which commands an event asks for. No effects but the calls of run_script.

A script is one command or a list of commands:
  ["if", condition, then]  ["if", condition, then, else]  ["run_script", argument, ...]
A condition is one of:
  ["eq", variable, value, ...]  a value may be a list; one equal value is enough
  ["has", variable]
  ["regex", variable, pattern, ...]  POSIX extended; one match anywhere is enough
  ["or", condition, ...]  ["and", condition, ...]  ["not", condition]
In values and arguments `%name%` is the variable's value, nothing if there is none, and `%%` is a percent sign.
A percent sign that is not part of either stays: `date +%s.%N` needs no care.

The whole script is checked at each run, also what the conditions leave out, before its first command is given
away: a bad script does nothing.
"""

from jail.errors import ConfigError
from jail.near import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from initd.ere import Budget
    from initd.ubus.blob import Value

    Variables: TypeAlias = Mapping[str, str]

MAX_DEPTH = 32
STEPS_MAX = 50_000  # of all patterns of a run: some 20 ms, a second on a slow router


class Asked:
    """Of one run: the variables, the commands that were asked for, and what its patterns may still cost."""

    __slots__ = ("budget", "commands", "variables")

    def __init__(self, variables: "Variables") -> None:
        self.variables = variables
        self.commands: list[list[str]] = []
        self.budget: Budget | None = None


def run(script: "Value", variables: "Variables", run_script: "Callable[[list[str]], None]") -> None:
    """Call `run_script(argv)` for each command that the script asks for. Raises ConfigError before any of them."""
    asked = Asked(variables)
    _commands(script, asked, True, 0)
    for argv in asked.commands:
        run_script(argv)


def check(script: "Value") -> None:
    """Raise ConfigError where run() would."""
    _commands(script, Asked({}), False, 0)


def _commands(script: "Value", asked: Asked, is_taken: bool, depth: int) -> None:
    items = _items(script, "a script", depth)
    if not items:
        return
    if not isinstance(items[0], str):
        for item in items:
            _commands(item, asked, is_taken, depth + 1)
        return
    name, arguments = items[0], items[1:]
    if name == "run_script":
        if not arguments:
            raise ConfigError("script: run_script needs a command")
        argv = [expand(_text(item, name), asked.variables) for item in arguments]
        if is_taken:
            asked.commands.append(argv)
    elif name == "if":
        _if(arguments, asked, is_taken, depth)
    else:
        raise ConfigError(f'script: "{name}" is no command{did_you_mean(name, ("if", "run_script"))}')


def _if(arguments: "list[Value]", asked: Asked, is_taken: bool, depth: int) -> None:
    if len(arguments) not in (2, 3):
        raise ConfigError("script: if needs a condition, what to do, and perhaps what else to do")
    is_true = _condition(arguments[0], asked, depth + 1)
    for branch, is_meant in zip(arguments[1:], (is_true, not is_true), strict=False):
        _commands(branch, asked, is_taken and is_meant, depth + 1)


def _condition(condition: "Value", asked: Asked, depth: int) -> bool:
    items = _items(condition, "a condition", depth)
    name = items[0] if items else None
    if not isinstance(name, str):
        raise ConfigError("script: a condition begins with its name")
    arguments = items[1:]
    if name in ("and", "or"):
        if not arguments:
            raise ConfigError(f"script: {name} needs a condition")
        results = [_condition(item, asked, depth + 1) for item in arguments]
        return all(results) if name == "and" else any(results)
    if name == "not":
        _need(name, arguments, 1, 1)
        return not _condition(arguments[0], asked, depth + 1)
    if name == "has":
        _need(name, arguments, 1, 1)
        return _text(arguments[0], name) in asked.variables
    if name in ("eq", "regex"):
        _need(name, arguments, 2, None)
        return _compare(name, arguments, asked)
    known = ("eq", "has", "regex", "or", "and", "not")
    raise ConfigError(f'script: "{name}" is no condition{did_you_mean(name, known)}')


def _compare(name: str, arguments: "list[Value]", asked: Asked) -> bool:
    value = asked.variables.get(_text(arguments[0], name))
    wanted: list[str] = []
    for item in arguments[1:]:
        wanted += [_text(each, name) for each in (item if isinstance(item, list) else [item])]
    if name == "eq":
        return any([value == expand(text, asked.variables) for text in wanted])
    from initd.ere import Budget, Pattern

    patterns = [Pattern(text) for text in wanted]
    if asked.budget is None:
        asked.budget = Budget(STEPS_MAX)
    return value is not None and any(pattern.is_in(value, asked.budget) for pattern in patterns)


def _items(value: "Value", what: str, depth: int) -> "list[Value]":
    if not isinstance(value, list):
        raise ConfigError(f"script: {what} is a list")
    if depth > MAX_DEPTH:
        raise ConfigError(f"script: nested deeper than {MAX_DEPTH}")
    return value


def _need(name: str, arguments: "list[Value]", least: int, most: "int | None") -> None:
    if len(arguments) < least or (most is not None and len(arguments) > most):
        number = f"{least} argument" if most == least else f"at least {least} arguments"
        raise ConfigError(f"script: {name} needs {number}")


def _text(value: "Value", name: str) -> str:
    if isinstance(value, str):
        return value
    raise ConfigError(f"script: an argument of {name} is no string")


def expand(text: str, variables: "Variables") -> str:
    """The text with the values of its variables."""
    pieces: list[str] = []
    at = 0
    while (start := text.find("%", at)) >= 0:
        end = text.find("%", start + 1)
        if end < 0:
            break
        name = text[start + 1 : end]
        pieces.append(text[at:start])
        at = end + 1
        if not name:
            pieces.append("%")
        elif name in variables:
            pieces.append(variables[name])
        elif not (name.isascii() and name.isidentifier()):
            pieces.append("%")  # the second one may begin a name
            at = start + 1
    pieces.append(text[at:])
    return "".join(pieces)
