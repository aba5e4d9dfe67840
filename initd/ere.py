# SPDX-License-Identifier: MIT
"""POSIX extended regular expressions, asked only whether they match, in a time that has a bound.

A pattern becomes a small program of states, and all states that are possible at a character are followed at once: no
pattern can make it go back and try again, as those of the standard library do. Back references are not there, nor are
collating elements. No effects.
"""

from jail.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Ranges: TypeAlias = tuple[tuple[str, str], ...]
    # (SET, negated, ranges), (BEGIN,), (END,), (ROW, nodes), (CHOICE, nodes), (REPEAT, node, least, most or None)
    Node: TypeAlias = tuple[object, ...]

PATTERN_MAX = 512  # characters
STATES_MAX = 1024
DEPTH_MAX = 32
REPEAT_MAX = 255  # RE_DUP_MAX
SET, BEGIN, END, ROW, CHOICE, REPEAT, FORK, MATCH = range(8)
LAST = chr(0x10FFFF)
DIGITS, LETTERS = ("0", "9"), (("A", "Z"), ("a", "z"))
CLASSES: "dict[str, Ranges]" = {
    "alnum": (DIGITS, *LETTERS), "alpha": LETTERS, "blank": ((" ", " "), ("\t", "\t")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")), "digit": (DIGITS,), "graph": (("!", "~"),), "lower": (("a", "z"),),
    "print": ((" ", "~"),), "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "space": ((" ", " "), ("\t", "\r")), "upper": (("A", "Z"),), "xdigit": (DIGITS, ("A", "F"), ("a", "f")),
}  # fmt: skip
ESCAPES = {"w": (*CLASSES["alnum"], ("_", "_")), "s": CLASSES["space"], "d": CLASSES["digit"]}


class Budget:
    """How many states may still be looked at, in whatever is matched with it."""

    __slots__ = ("steps",)

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def spend(self, steps: int) -> None:
        """Raise ConfigError when nothing is left."""
        self.steps -= steps
        if self.steps < 0:
            raise ConfigError("script: its patterns take too long for what they are tried on")


class Pattern:
    """A pattern that was read. Raises ConfigError, with the reason, for what is none."""

    __slots__ = ("_states",)

    def __init__(self, text: str) -> None:
        if len(text) > PATTERN_MAX:
            raise ConfigError(f"script: a pattern longer than {PATTERN_MAX} characters")
        # (kind, negated or first next state, ranges or second next state); what is no FORK goes on to the next one
        self._states: list[tuple[int, int, object]] = []
        try:
            self._emit(_Reader(text).read())
        except ValueError as error:
            raise ConfigError(f'script: "{text}" is no pattern: {error}') from error
        self._states.append((MATCH, 0, 0))

    def is_in(self, text: str, budget: Budget) -> bool:
        """Whether it matches anywhere in the text. Raises ConfigError if that takes too long."""
        states = self._states
        alive: set[int] = set()
        for at in range(len(text) + 1):
            alive.add(0)  # it may begin anywhere
            reached = self._follow(alive, at == 0, at == len(text))
            budget.spend(len(reached) + 1)
            if len(states) - 1 in reached:
                return True
            if at < len(text):
                alive = {state + 1 for state in reached if _takes(states[state], text[at])}
        return False

    def _follow(self, alive: set[int], is_begin: bool, is_end: bool) -> set[int]:
        """All states that are reached from these without another character."""
        reached: set[int] = set()
        waiting = list(alive)
        while waiting:
            state = waiting.pop()
            if state in reached:
                continue
            reached.add(state)
            kind, first, second = self._states[state]
            if kind == FORK:
                assert isinstance(second, int)
                waiting += (first, second)
            elif (kind == BEGIN and is_begin) or (kind == END and is_end):
                waiting.append(state + 1)
        return reached

    def _emit(self, node: "Node") -> None:
        kind, states = node[0], self._states
        if len(states) >= STATES_MAX:
            raise ValueError(f"more than {STATES_MAX} states")
        if kind == ROW:
            for part in node[1]:  # type: ignore[attr-defined]
                self._emit(part)
        elif kind == CHOICE:
            self._emit_choice(list(node[1]))  # type: ignore[call-overload]
        elif kind == REPEAT:
            self._emit_repeat(node[1], node[2], node[3])  # type: ignore[arg-type]
        elif kind == SET:
            states.append((SET, bool(node[1]), node[2]))
        else:
            states.append((BEGIN if kind == BEGIN else END, 0, 0))

    def _emit_choice(self, branches: "list[Node]") -> None:
        ends = []
        for branch in branches[:-1]:
            fork = self._reserve()
            self._emit(branch)
            ends.append(self._reserve())
            self._states[fork] = (FORK, fork + 1, len(self._states))
        self._emit(branches[-1])
        for end in ends:
            self._states[end] = (FORK, len(self._states), len(self._states))

    def _emit_repeat(self, node: "Node", least: int, most: int | None) -> None:
        for _ in range(least):
            self._emit(node)
        if most is None:
            fork = self._reserve()
            self._emit(node)
            back = self._reserve()
            self._states[back] = (FORK, fork, fork)
            self._states[fork] = (FORK, fork + 1, len(self._states))
            return
        forks = []
        for _ in range(most - least):
            forks.append(self._reserve())
            self._emit(node)
        for fork in forks:
            self._states[fork] = (FORK, fork + 1, len(self._states))

    def _reserve(self) -> int:
        self._states.append((FORK, 0, 0))
        return len(self._states) - 1


def _takes(state: tuple[int, int, object], letter: str) -> bool:
    kind, negated, ranges = state
    if kind != SET:
        return False
    return any(low <= letter <= high for low, high in ranges) != negated  # type: ignore[attr-defined]


class _Reader:
    """The text of a pattern → its nodes. Raises ValueError."""

    __slots__ = ("_at", "_depth", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._depth = 0

    def read(self) -> "Node":
        node = self._choice()
        if self._at < len(self._text):
            raise ValueError("a bracket is closed that was not opened")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        letter = self._peek()
        if not letter:
            raise ValueError("it ends too early")
        self._at += 1
        return letter

    def _choice(self) -> "Node":
        branches = [self._row()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._row())
        return branches[0] if len(branches) == 1 else (CHOICE, branches)

    def _row(self) -> "Node":
        nodes: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            node = self._atom()
            if self._peek() in ("*", "+", "?", "{"):
                node = (REPEAT, node, *self._times())
            nodes.append(node)
        return (ROW, nodes)

    def _atom(self) -> "Node":
        letter = self._take()
        if letter in "*+?{":
            raise ValueError(f"nothing before {letter}")
        if letter == "(":
            return self._group()
        if letter == "[":
            return self._bracket()
        if letter in "^$":
            return (BEGIN,) if letter == "^" else (END,)
        if letter == ".":
            return (SET, False, (("\0", LAST),))
        if letter == "\\":
            letter = self._take()
            if letter.lower() in ESCAPES:
                return (SET, letter.isupper(), ESCAPES[letter.lower()])
            if letter.isalnum():
                raise ValueError(f"\\{letter} is not known")
        return (SET, False, ((letter, letter),))

    def _group(self) -> "Node":
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")
        if self._peek() == ")":
            raise ValueError("an empty group")
        node = self._choice()
        if self._take() != ")":
            raise ValueError("a group is not closed")
        self._depth -= 1
        return node

    def _times(self) -> tuple[int, int | None]:
        letter = self._take()
        if letter != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[letter]
        inner, _, rest = self._text[self._at :].partition("}")
        low, comma, high = inner.partition(",")
        if not _is_count(low) or (high and not _is_count(high)) or len(inner) == len(self._text[self._at :]):
            raise ValueError("{ begins no count such as {2,3}")
        self._at = len(self._text) - len(rest)
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if most == 0 or (most is not None and most < least) or max(least, most or 0) > REPEAT_MAX:
            raise ValueError(f"a count is 1 to {REPEAT_MAX}, and the second not below the first")
        return least, most

    def _bracket(self) -> "Node":
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        while True:
            letter = self._take()
            if letter == "]" and ranges:
                return (SET, negated, tuple(ranges))
            if letter == "[" and self._peek() in (":", ".", "="):
                ranges += self._class()
                continue
            high = letter
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._at += 1
                high = self._take()
            if high < letter:
                raise ValueError(f"{letter}-{high} is no range")
            ranges.append((letter, high))

    def _class(self) -> "Ranges":
        name, end, _ = self._text[self._at :].partition("]")
        self._at += len(name) + 1
        if not end or name[1:-1] not in CLASSES or not (len(name) > 2 and name[0] == name[-1] == ":"):
            raise ValueError(f"[{name}] is no class of characters")
        return CLASSES[name[1:-1]]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit()
