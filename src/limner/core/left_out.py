"""Counts what cannot be used, by its reason."""

from __future__ import annotations

from collections import Counter

from limner.core.text import clean_line, counted


class LeftOut:
    """How often something was left out, for each kind of thing and each reason, with the first given example."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, what: str, reason: str, example: str = "", count: int = 1) -> None:
        """Count a thing. what: its kind in the singular, such as "pair". example: what is wrong with the first one."""
        if count:
            self._counts[what, reason] += count
            if example:
                self._examples.setdefault((what, reason), clean_line(example, 80))

    def __bool__(self) -> bool:
        return bool(self._counts)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each kind and reason, the most frequent first: "3 pairs: the images belong to two prompts"."""
        ordered = sorted(self._counts.items(), key=lambda each: (-each[1], each[0]))
        return tuple(self._line(key, count) for key, count in ordered)

    def _line(self, key: tuple[str, str], count: int) -> str:
        (what, reason), example = key, self._examples.get(key)
        line = f"{counted(count, what)}: {reason}"
        return f"{line} ({example!r})" if example else line
