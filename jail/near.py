# SPDX-License-Identifier: MIT
"""The near match for a name that is not known. Called only on the way to an error."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAME_LENGTH = 64  # longer ones are no typing mistakes


def near(name: str, known: "Iterable[str]") -> str:
    """The known name that `name` was most likely meant to be, "" if there is none.

    Case does not count. One edit in three letters, at most three; swapping two neighbours is one edit.
    """
    best = ""
    if len(name) > NAME_LENGTH:
        return best
    limit = min(max(len(name) // 3, 1), 3)
    for other in known:
        if abs(len(other) - len(name)) <= limit:
            edits = _edits(name.lower(), other.lower())
            if edits <= limit:
                best, limit = other, edits - 1
    return best


def did_you_mean(name: str, known: "Iterable[str]") -> str:
    """The end of a message: `: did you mean "x"?`, "" if there is no near match."""
    match = near(name, known)
    return f': did you mean "{match}"?' if match else ""


def _edits(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours from one name to the other."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            edits = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (char != other))
            if i > 1 and j > 1 and char == b[j - 2] and a[i - 2] == other:
                edits = min(edits, before[j - 2] + 1)
            row.append(edits)
        before, last = last, row
    return last[-1]
