"""What is known of the rights in many pictures, counted, in little memory."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from limner.core.datasets import Rights

DISTINCT = 100
"""The most different values of one kind that are told apart; of more, those that come first."""
UNKNOWN, OTHERS = "unknown", "others"


class RightsCounts:
    """Counts of licences, authors, sources and consents, each picture's once, and of marks about training."""

    def __init__(self) -> None:
        self.pictures = 0
        self.counts: dict[str, dict[str, int]] = {
            name: {} for name in ("licences", "authors", "sources", "consent", "refused", "allowed", "overrides")
        }

    def add(self, rights: Rights, override: str | None = None) -> None:
        """Count a picture. override: why it is used though it refuses."""
        self.pictures += 1
        self._count("licences", rights.licence or UNKNOWN)
        self._count("authors", rights.author or UNKNOWN)
        self._count("sources", _place(rights.source) if rights.source else UNKNOWN)
        self._count("consent", rights.consent or UNKNOWN)
        if rights.training is not None:
            self._count(rights.training, rights.said or "said elsewhere")
        if override is not None:
            self._count("overrides", override)

    def _count(self, name: str, value: str) -> None:
        counts = self.counts[name]
        if value not in counts and value != UNKNOWN and len(counts) >= DISTINCT:
            value = OTHERS
        counts[value] = counts.get(value, 0) + 1

    def told(self, most: int = DISTINCT) -> dict[str, Any]:
        """Pictures, and kind -> value -> count, the most frequent `most` first and the rest as others.

        A kind of which nothing is known of any picture is left out.
        """
        known = {name: counts for name, counts in self.counts.items() if set(counts) - {UNKNOWN}}
        return {"pictures": self.pictures, **{name: _most(counts, most) for name, counts in known.items()}}


def _most(counts: dict[str, int], most: int) -> dict[str, int]:
    ranked = sorted(counts, key=lambda value: (value in (UNKNOWN, OTHERS), -counts[value], value))
    named, rest = [value for value in ranked if value not in (UNKNOWN, OTHERS)], counts.get(OTHERS, 0)
    found = {value: counts[value] for value in named[:most]}
    if rest := rest + sum(counts[value] for value in named[most:]):
        found[OTHERS] = rest
    return found | ({UNKNOWN: counts[UNKNOWN]} if UNKNOWN in counts else {})


def _place(source: str) -> str:
    """A source as it is counted: of a URL its host alone."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return source
    return parts.hostname or source if parts.scheme in ("http", "https") else source
