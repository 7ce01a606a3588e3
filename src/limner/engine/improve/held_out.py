"""Prompts that are held out of training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

MOST_HELD_OUT = 2.0
"""Held-out prompts may have this many times the wanted share of all feedback; more would be lost for training."""
LEAST_HELD_OUT = 0.75
"""They have at least this many times the wanted share, if there are prompts enough; less would measure little."""


def prompt_key(prompt: str) -> str:
    """A prompt in a form that is the same for prompts that differ in case and spaces only."""
    return " ".join(prompt.split()).casefold()


def held_out(counts: Mapping[str, int], seed: int, share: float) -> list[str]:
    """The prompts that are held out, by a hash of seed and prompt: more feedback does not move a prompt to another
    side, except where there are few prompts, of which the next ones by the hash are taken too.

    counts: how much feedback each prompt has. At least one prompt is held out and one is not, if there are two.
    """
    if share <= 0 or len(counts) < 2:
        return []
    total, taken, found = sum(counts.values()), 0, list[str]()
    for place, prompt in sorted((_place(prompt, seed), prompt) for prompt in counts):
        if place >= share and taken >= LEAST_HELD_OUT * share * total:
            break
        fits = taken + counts[prompt] <= min(MOST_HELD_OUT * share, 0.5) * total
        if fits and len(found) + 1 < len(counts):
            found.append(prompt)
            taken += counts[prompt]
    return found or [min(counts, key=lambda prompt: (counts[prompt], _place(prompt, seed)))]


def _place(prompt: str, seed: int) -> float:
    """A number from 0 to 1 by a hash of seed and prompt."""
    digest = hashlib.sha256(f"{seed}\0{prompt}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
