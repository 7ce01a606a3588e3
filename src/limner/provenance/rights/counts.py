"""Counts what is known of the rights of many images, in bounded memory."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from limner.core.datasets import Rights

DISTINCT = 100
"""The most different values of one kind that are counted separately: those that come first."""
UNKNOWN, OTHERS = "unknown", "others"


class RightsCounts:
    """Counts of licences, authors, sources and consents, one of each per image, and of permissions and refusals."""

    def __init__(self) -> None:
        self.images = 0
        self.counts: dict[str, dict[str, int]] = {
            name: {} for name in ("licences", "authors", "sources", "consent", "refused", "allowed", "overrides")
        }

    def add(self, rights: Rights, override: str | None = None) -> None:
        """Count an image. override: the reason why it is used despite a refusal."""
        self.images += 1
        self._count("licences", rights.licence or UNKNOWN)
        self._count("authors", rights.author or UNKNOWN)
        self._count("sources", _host(rights.source) if rights.source else UNKNOWN)
        self._count("consent", rights.consent or UNKNOWN)
        if rights.training is not None:
            self._count(rights.training, rights.statement or "said elsewhere")
        if override is not None:
            self._count("overrides", override)

    def _count(self, name: str, value: str) -> None:
        counts = self.counts[name]
        if value not in counts and value != UNKNOWN and len(counts) >= DISTINCT:
            value = OTHERS
        counts[value] = counts.get(value, 0) + 1

    def summary(self, most: int = DISTINCT) -> dict[str, Any]:
        """The counts as a dictionary: "pictures" is the number of images, all others count values by kind.

        Only the `most` most frequent values are separate; the rest are "others". Kinds of which nothing is known for
        any image are left out.
        """
        known = {name: counts for name, counts in self.counts.items() if set(counts) - {UNKNOWN}}
        return {"pictures": self.images, **{name: _most_frequent(counts, most) for name, counts in known.items()}}


def _most_frequent(counts: dict[str, int], most: int) -> dict[str, int]:
    ranked = sorted(counts, key=lambda value: (value in (UNKNOWN, OTHERS), -counts[value], value))
    named, rest = [value for value in ranked if value not in (UNKNOWN, OTHERS)], counts.get(OTHERS, 0)
    found = {value: counts[value] for value in named[:most]}
    if rest := rest + sum(counts[value] for value in named[most:]):
        found[OTHERS] = rest
    return found | ({UNKNOWN: counts[UNKNOWN]} if UNKNOWN in counts else {})


def _host(source: str) -> str:
    """The host of a URL; any other source as it is."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return source
    return parts.hostname or source if parts.scheme in ("http", "https") else source
