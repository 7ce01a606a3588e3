"""The known name that a mistyped one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

LONGEST, MOST, TRIED = 100, 2000, 5
"""Characters of a name, known names, and similar names that are compared closely."""
LEAST_START = 3
"""Characters of a name's start that stand for the name."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that differs by a few typing errors, that begins with the name, or that is its first
    words; None without one.

    One error for every three characters, at least one, is allowed. Case and punctuation do not count.
    """
    typed = _letters(name)
    by_letters = {_letters(each): each for each in islice(known, MOST)}
    similar = get_close_matches(typed, by_letters, n=TRIED, cutoff=0.5)
    scored = ((typing_errors(typed, each), not each.startswith(typed), each) for each in similar)
    errors, _, nearest = min(scored, default=(len(typed), True, ""))
    allowed = max(1, len(typed) // 3)
    if errors <= allowed and errors < len(nearest):
        return by_letters[nearest]
    longer = [each for each in by_letters if len(typed) >= LEAST_START and each.startswith(typed)]
    if longer:
        return by_letters[min(longer, key=len)]
    shorter = [each for each in by_letters.values() if len(each) >= LEAST_START and _begins(name, each)]
    return max(shorter, key=len, default=None)


def _begins(name: str, known: str) -> bool:
    """Whether a known name is the first words of a name: "class" of "class_word"."""
    rest = name[: len(known) + 1].lower().removeprefix(known.lower())
    return len(rest) == 1 and not rest.isalnum()


def _letters(name: str) -> str:
    """The letters and figures of a name in lower case; the name itself if it has none."""
    start = name[:LONGEST].lower()
    return "".join(filter(str.isalnum, start)) or start


def typing_errors(first: str, second: str) -> int:
    """Return the number of letters that are missing, added, replaced or swapped (optimal string alignment)."""
    before, row = [0] * (len(second) + 1), list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(second, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == second[j - 2] and b == first[i - 2]:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]
